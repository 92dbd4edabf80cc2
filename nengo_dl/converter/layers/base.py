"""What the converters of all layers share, and their registry; they stand in the files beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import keras
import nengo
import numpy as np
from nengo.exceptions import ValidationError

from ...utils import Connectable, warn
from ..activations import ACTIVATIONS, Activation
from ..conversion import Conversion
from ..graph import Call
from ..neurons import activated
from ..nodes import ConstantNode
from ..records import EXACT

#: Names of a layer's arguments, each with the value that can be converted where it is not None.
Unsupported: TypeAlias = Sequence[str | tuple[str, object]]
#: Converters by class of layer; None is for all others.
CONVERTERS: dict[type | None, type[LayerConverter]] = {}


def register(
    layer_class: type | None,
) -> Callable[[type[LayerConverter]], type[LayerConverter]]:
    """Register the decorated `LayerConverter` for a class of layers.

    Warns if there is one already; it is replaced.

    Parameters
    ----------
    layer_class : type or None
        A class of Keras layers; exactly this one, no subclass. None: all that have no converter.

    Raises
    ------
    ValidationError
        If it is no class, or what is decorated is no `LayerConverter`.
    """
    if not (layer_class is None or isinstance(layer_class, type)):
        raise ValidationError(
            f"got {layer_class!r}, expected a class of Keras layers", attr="layer_class"
        )

    def add(converter_class: type[LayerConverter]) -> type[LayerConverter]:
        is_class = isinstance(converter_class, type)
        if not is_class or not issubclass(converter_class, LayerConverter):
            raise ValidationError(
                f"got {converter_class!r}, expected a subclass of LayerConverter",
                attr="converter_class",
            )
        if layer_class in CONVERTERS:
            name = getattr(layer_class, "__name__", layer_class)
            warn(f"The converter of layer type {name} is overwritten by {converter_class.__name__}")
        CONVERTERS[layer_class] = converter_class
        return converter_class

    return add


class LayerConverter:
    """Converts layers of one class; a subclass overwrites `convert`.

    Parameters
    ----------
    layer : keras.Layer
    converter : nengo_dl.Converter

    Attributes
    ----------
    activation_map : dict
        What activation functions become.
    unsupported_args : list of str or (str, object)
        Arguments of the layer that cannot be converted unless they have their default: None, or
        what is given with the name.
    unsupported_training_args : list of str or (str, object)
        The same, but of no matter with ``inference_only``.
    has_weights : bool
        Whether the layer has weights that calls share.
    allow_fallback : bool
        Whether the layer may become a `TensorNode` if it cannot be converted.
    along_time : bool
        Whether what the layer does with one step of a temporal model does not depend on others.
    takes_constants : bool
        Whether arguments other than tensors are converted too.
    folds : bool
        Whether its weights can take in a batch normalisation after it; see `factors_after`.
    exactness, reason : str
        For the record of the layer; see `LayerRecord`.
    source : keras.Layer
        The layer of the model: another one, if this one is wrapped.
    """

    activation_map: ClassVar[Mapping[Activation, Activation]] = ACTIVATIONS
    unsupported_args: ClassVar[Unsupported] = ()
    unsupported_training_args: ClassVar[Unsupported] = ()
    has_weights: bool = False
    allow_fallback: ClassVar[bool] = True
    along_time: ClassVar[bool] = False
    takes_constants: ClassVar[bool] = False
    folds: ClassVar[bool] = False
    exactness: str = EXACT
    reason: str = ""

    def __init__(self, layer: keras.Layer, converter: Conversion) -> None:
        self.layer, self.converter = layer, converter
        self.source = layer

    def convert(self, node_id: int) -> Connectable | Sequence[Connectable] | nengo.Network:
        """Make what one call of the layer becomes, and connect it to its inputs.

        Parameters
        ----------
        node_id : int
            Which call of the layer it is.

        Returns
        -------
        nengo.Node, nengo.ensemble.Neurons, TensorNode or nengo.Network
            The object whose output is that of the layer.
        """
        raise NotImplementedError

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        """Tell whether a layer can be converted, and if not, why.

        Parameters
        ----------
        layer : keras.Layer
        converter : nengo_dl.Converter

        Returns
        -------
        convertible : bool
        reason : str or None
            What cannot be converted, and what to do; None if it can be.
        """
        # what these do shows in training alone
        waived = () if not converter.inference_only else cls.unsupported_training_args
        for arg in (*cls.unsupported_args, *cls.unsupported_training_args):
            name, default = arg if isinstance(arg, tuple) else (arg, None)
            value = getattr(layer, name, default)
            if arg in waived or _equal(value, default):
                continue
            training = arg in cls.unsupported_training_args
            remedy = "; with inference_only=True it is of no matter" if training else ""
            return False, f"{name}={_shown(value)}, only {default!r} can be converted{remedy}"
        return True, None

    def add_nengo_obj(
        self, node_id: int, biases: np.ndarray | None = None, activation: Activation = None
    ) -> Connectable:
        """Make the object that applies an activation.

        Parameters
        ----------
        node_id : int
        biases : array (size,), optional
            Trainable biases, one for each element of the output.
        activation : callable or NeuronType, optional
            None: linear.

        Returns
        -------
        nengo.Node, nengo.ensemble.Neurons or TensorNode
            What connections are to be made to.
        """
        return activated(self, node_id, biases, activation)

    def applied(self, activation: Activation) -> Activation:
        """What an activation that is a layer applies, where that is known; or itself.

        Parameters
        ----------
        activation : callable, NeuronType or None
        """
        found = CONVERTERS.get(type(activation))
        if found is None or not hasattr(found, "activation"):
            return activation
        if found.convertible(activation, self.converter)[0]:
            made: Any = found(activation, self.converter)
            return self.applied(made.activation)
        return activation

    def add_connection(
        self,
        node_id: int,
        obj: Connectable,
        input_idx: int = 0,
        trainable: bool = False,
        **kwargs: Any,
    ) -> nengo.Connection:
        """Connect an input of the layer to an object.

        Parameters
        ----------
        node_id : int
        obj : NengoObject
        input_idx : int
            Which of the inputs.
        trainable : bool
            Whether the weights are. False by default.
        **kwargs
            Passed to `nengo.Connection`.
        """
        pre = self.get_input_obj(node_id, input_idx)
        return self.connect(pre, obj, trainable, **kwargs)

    def connect(
        self, pre: Connectable, obj: Connectable, trainable: bool = False, **kwargs: Any
    ) -> nengo.Connection:
        """Connect two objects; what neurons give out passes the converter's synapse.

        Parameters
        ----------
        pre, obj : NengoObject
            From and to.
        trainable : bool
            Whether the weights are. False by default.
        **kwargs
            Passed to `nengo.Connection`.
        """
        # Nengo's own default, a lowpass, has no counterpart in Keras
        kwargs.setdefault("synapse", self.converter.synapse_of(pre))
        conn = nengo.Connection(pre, obj, **kwargs)
        self.set_trainable(conn, trainable)
        return conn

    def add_bias(
        self, node_id: int, obj: Connectable, biases: np.ndarray, trainable: bool = True
    ) -> None:
        """Add constants to what an object receives.

        Parameters
        ----------
        node_id : int
            Which call of the layer it is, for the label.
        obj : NengoObject
        biases : array (size,)
            One for each element that the object receives.
        trainable : bool
            Whether training may change them. True by default.
        """
        node = ConstantNode([1], label=f"{self.label(node_id)}.bias")
        self.connect(node, obj, trainable, transform=np.reshape(biases, (-1, 1)))

    def add_index(self, node_id: int, index: np.ndarray, input_idx: int = 0) -> nengo.Node:
        """Make a Node of some elements of an input; -1 stands for a zero.

        Parameters
        ----------
        node_id : int
        index : array of int
            Elements of the flattened input, in the shape of the output.
        input_idx : int
        """
        node = nengo.Node(size_in=index.size, label=self.label(node_id))
        self.select(self.get_input_obj(node_id, input_idx), node, index)
        return node

    def select(self, pre: Connectable, node: nengo.Node, index: np.ndarray) -> None:
        """Connect some elements of an object to a Node; -1 stands for a zero.

        Parameters
        ----------
        pre : NengoObject
        node : nengo.Node
        index : array of int
            Elements of the output of `pre`, in any shape; as many as the Node has.
        """
        index = np.ravel(index)
        there = np.flatnonzero(index >= 0)
        source = pre if np.array_equal(index, np.arange(pre.size_out)) else pre[index[there]]
        target = node if len(there) == len(index) else node[there]
        if len(there):
            self.connect(source, target, synapse=self.converter.synapse_of(pre))

    def factors_after(self, node_id: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Scale and shift (channels,) of the normalisation that the weights are to take in.

        Parameters
        ----------
        node_id : int

        Returns
        -------
        (array, array) or None
            Each of shape (channels,); None if there is no such normalisation.
        """
        call = self.converter.frame.foldings.get(id(self.call(node_id)))
        if call is None:
            return None
        return self.converter.get_converter(call.layer).by_channel()

    def folded(self, node_id: int, kernel: np.ndarray) -> np.ndarray:
        """A kernel (…, channels), scaled by the normalisation after the layer.

        Parameters
        ----------
        node_id : int
        kernel : array (…, channels)
        """
        factors = self.factors_after(node_id)
        return kernel if factors is None else kernel * factors[0]

    def folded_bias(self, node_id: int) -> np.ndarray | None:
        """The layer's biases (channels,), with the normalisation after it; None if it has none.

        Parameters
        ----------
        node_id : int
        """
        bias = np.asarray(self.layer.bias) if self.layer.use_bias else None
        factors = self.factors_after(node_id)
        if factors is None:
            return bias
        return factors[1] if bias is None else factors[0] * bias + factors[1]

    def label(self, node_id: int) -> str:
        """Name of a call.

        Parameters
        ----------
        node_id : int
        """
        return f"{self.layer.name}.{node_id}"

    def call(self, node_id: int) -> Call:
        """The call itself.

        Parameters
        ----------
        node_id : int
        """
        return self.converter.frame.graph.call(self.layer, node_id)

    def get_input_obj(self, node_id: int, tensor_idx: int = 0) -> Connectable:
        """The Nengo object that an input of the layer became.

        Parameters
        ----------
        node_id : int
        tensor_idx : int, default 0
            Which of the inputs.
        """
        return self.converter.frame.value(self.call(node_id).inputs[tensor_idx])

    def input_shape(self, node_id: int, full_shape: bool = False) -> Any:
        """Shape of the input, or list of those of all inputs.

        The batch axis is left out, and the time axis of a temporal model too, unless `full_shape`.

        Parameters
        ----------
        node_id : int
        full_shape : bool, default False
            Whether to keep all axes.

        Returns
        -------
        tuple of int, or list of tuple
        """
        return self._shapes(self.call(node_id).inputs, full_shape)

    def output_shape(self, node_id: int, full_shape: bool = False) -> Any:
        """Shape of the output, or list of those of all outputs; see `input_shape`."""
        return self._shapes(self.call(node_id).outputs, full_shape)

    def _shapes(self, tensors: Sequence[keras.KerasTensor], full_shape: bool) -> Any:
        skip = 0 if full_shape else 2 if self.converter.temporal_model else 1
        shapes = [tuple(t.shape[skip:]) for t in tensors]
        return shapes[0] if len(shapes) == 1 else shapes

    @staticmethod
    def set_trainable(obj: Connectable, trainable: bool) -> None:
        """Say whether training may change the parameters of an object of the current network.

        Parameters
        ----------
        obj : NengoObject
        trainable : bool
        """
        nengo.Network.context[-1].config[obj].trainable = trainable


def _shown(value: object) -> str:
    """A value as a message names it: objects of Keras by their type, as they have no `repr`."""
    has_none = type(value).__repr__ is object.__repr__
    return f"{type(value).__name__}()" if has_none else repr(value)


def _equal(value: object, default: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_equal(v, default) for v in value)
    return value is default or value == default


def is_frozen(layer: keras.Layer, converter: Conversion) -> bool:
    """Whether training does not change a layer."""
    return converter.inference_only or not layer.trainable


def elements(shape: Sequence[int]) -> np.ndarray:
    """The numbers of the elements of a flattened array, in its shape."""
    return np.arange(int(np.prod(shape))).reshape(shape)
