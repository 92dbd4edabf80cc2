"""What users give a simulator: names of types, for annotations.

Shapes are those of the documentation: (batch, steps, size). Keras and Nengo have no types of their
own for a checker, so that it takes theirs for `Any`; readers and editors see the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import nengo
from nengo.base import NengoObject
from nengo.ensemble import Neurons
from numpy.typing import ArrayLike

from ..utils import Tensor

if TYPE_CHECKING:
    import keras

Given = TypeVar("Given")

#: An input Node or a Probe, or its name; see `Simulator.get_name`.
Key: TypeAlias = nengo.Node | nengo.Probe | str
#: Arrays by object; several in the order of the objects; one for the only object. An array is what
#: NumPy takes for one, a tensor, or a table of pandas.
Arrays: TypeAlias = Mapping[Key, ArrayLike] | ArrayLike
#: Values of input Nodes.
Data: TypeAlias = Arrays
#: What Probes should have seen.
Targets: TypeAlias = Arrays
#: Arrays without names: several in the order of the objects, or one.
Unnamed: TypeAlias = list[Tensor] | tuple[Tensor, ...] | Tensor
#: What gives one minibatch after the other: a generator, a Dataset, a PyDataset.
Minibatches: TypeAlias = "Iterable[Any] | keras.utils.PyDataset"
#: One thing for each Probe: by Probe, in their order, or the same for all.
ForProbes: TypeAlias = Mapping[Key, Given] | Sequence[Given] | Given
#: A loss of Keras's, its name, or a function of (y_true, y_pred).
Loss: TypeAlias = "keras.losses.Loss | str | Callable[[Tensor, Tensor], Tensor]"
#: A metric likewise.
Metric: TypeAlias = "keras.metrics.Metric | str | Callable[[Tensor, Tensor], Tensor]"
#: A callback of Keras's, several, or the list that Keras makes of them.
Callbacks: TypeAlias = (
    "keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | keras.callbacks.CallbackList"
)
#: What has parameters: ensembles (or their neurons), and connections.
Parametrized: TypeAlias = nengo.Ensemble | Neurons | nengo.Connection
#: What parameters can be frozen in.
Freezable: TypeAlias = nengo.Network | nengo.Ensemble | nengo.Connection
#: What `Simulator.data` tells about.
Described: TypeAlias = NengoObject | Neurons | nengo.Network
#: Weights (batch,) or (batch, steps) of samples: for all Probes, or for each.
Weights: TypeAlias = Mapping[Key, ArrayLike] | ArrayLike
#: Weights of classes, by their numbers: for the only Probe with a loss, or by Probe.
ClassWeights: TypeAlias = Mapping[int, float] | Mapping[Key, Mapping[int, float]]
