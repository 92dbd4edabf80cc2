"""`Converter`: turns a Keras model into a Nengo network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Literal

import keras
import nengo
import numpy as np
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError

from ..config.settings import configure_settings
from ..utils import Connectable, Synapse, Tensor, warn
from .activations import Activation, Swaps
from .arguments import Inputs, check_flags, check_synapse
from .checks import verify
from .folding import find_foldings
from .frame import Frame
from .graph import Call, Graph, compute, is_model
from .layers import CONVERTERS, LayerConverter, choose_converter, register
from .layers.nested import ConvertModel
from .mapping import KerasTensorDict
from .models import check_known, check_shapes, functional
from .recipes import choose
from .recipes.base import Recipe
from .records import FALLBACK, LayerRecord
from .reports import Reports


class Converter(Reports):
    """Converts a Keras model to a Nengo network.

    Parameters
    ----------
    model : keras.Model
        A built functional or Sequential model, or a subclass that Keras can trace. Its weights are
        copied, and it is never changed, except by ``verify(training=True)``.
    allow_fallback : bool
        Whether layers that have no Nengo equivalent become a `TensorNode`, with a warning. True
        by default; False: they raise TypeError.
    inference_only : bool
        Whether to allow conversions that are valid for inference only, such as of batch
        normalisation and of layers with regularisers. False by default.
    max_to_avg_pool : bool
        Whether maximum pooling becomes average pooling, which changes outputs. False by default.
    split_shared_weights : bool
        Whether each call of a layer that is called repeatedly gets weights of its own.
        False by default.
    swap_activations : dict, optional
        Replaces activations: keys are functions or neuron types, values what is to replace them.
    scale_firing_rates : float, dict or str, optional
        Firing rate [Hz] of neurons at an activation of 1, for all layers or by Keras layer;
        ``"auto"``: from calibration data.
    synapse : float or nengo.synapses.Synapse, optional
        Filter of what neurons give out. None by default.
    temporal_model : bool
        Whether the axis after the batch is time. False by default.
    calibration : array or list of array (B, ...), optional
        Typical data for the inputs of the model, for recipes that look at activations.
    recipe : Recipe, optional
        How values become spikes; see `nengo_dl.converter.Recipe`.
    true_max_pool : bool
        Whether maximum pooling is computed by rectifiers, in every Nengo back end: exactly, for
        rates; for spikes, it is the maximum of what `synapse` makes of them. False by default:
        a `TensorNode` (or, with `max_to_avg_pool`, an average).

    Attributes
    ----------
    net : nengo.Network
    model : keras.Model
        The functional model that was converted.
    inputs, outputs, layers : KerasTensorDict
        Nodes, Probes, and Nengo objects, by Keras tensor or layer.
    records : list of LayerRecord
        What each call of a layer became, in order.

    Raises
    ------
    TypeError
        If a layer cannot be converted.
    ValidationError
        If the model is not built, its shapes are not fully known, or an argument is not valid.
    ValueError
        If a layer with weights is called repeatedly, without `split_shared_weights`.
    """

    converters: ClassVar[dict[type | None, type[LayerConverter]]] = CONVERTERS
    KerasTensorDict = KerasTensorDict

    def __init__(
        self,
        model: keras.Model,
        allow_fallback: bool = True,
        inference_only: bool = False,
        max_to_avg_pool: bool = False,
        split_shared_weights: bool = False,
        swap_activations: Mapping[Activation, Activation] | None = None,
        scale_firing_rates: float | Mapping[keras.Layer, float] | Literal["auto"] | None = None,
        synapse: Synapse = None,
        temporal_model: bool = False,
        calibration: Inputs | None = None,
        recipe: Recipe | None = None,
        true_max_pool: bool = False,
    ) -> None:
        check_flags(
            allow_fallback=allow_fallback,
            inference_only=inference_only,
            max_to_avg_pool=max_to_avg_pool,
            split_shared_weights=split_shared_weights,
            temporal_model=temporal_model,
            true_max_pool=true_max_pool,
        )
        self.allow_fallback, self.inference_only = allow_fallback, inference_only
        self.max_to_avg_pool, self.split_shared_weights = max_to_avg_pool, split_shared_weights
        self.true_max_pool = true_max_pool
        self.swap_activations = Swaps(swap_activations)
        self.scale_firing_rates, self.synapse = scale_firing_rates, check_synapse(synapse)
        self.temporal_model = temporal_model
        self.recipe = choose(recipe, scale_firing_rates)
        self.model = functional(model)
        check_shapes(self.model.inputs, temporal_model)
        self.records: list[LayerRecord] = []
        self._frames: list[Frame] = []
        self._converters: dict[tuple[int, bool], LayerConverter] = {}
        self._graphs: dict[int, tuple[keras.Model, Graph]] = {}
        self._copied: set[int] = set()
        self.copies: dict[int, keras.Layer] = {}
        self.graph = Graph.of(self.model)
        self.recipe.prepare(self, calibration)
        self.net = self._network()
        self._warn_about_unused()

    def _network(self) -> nengo.Network:
        with nengo.Network(label=self.model.name) as network:
            self.configure(network)
            if self.inference_only:
                configure_settings(inference_only=True)
            frame = self.convert_graph(self.graph, network)
            probes = KerasTensorDict("outputs")
            for tensor in self.graph.outputs:
                # a model may give out a tensor twice: one Probe serves both
                if tensor not in list(probes):
                    obj = frame.value(tensor)
                    probes[tensor] = nengo.Probe(obj, synapse=self.synapse_of(obj))
        network.outputs = probes
        self.inputs, self.outputs, self.layers = network.inputs, probes, network.layers
        return network

    @staticmethod
    def configure(network: nengo.Network) -> None:
        """Let parameters of a network be declared trainable.

        Parameters
        ----------
        network : nengo.Network
        """
        with network:
            configure_settings(trainable=None)

    def convert_graph(
        self, graph: Graph, network: nengo.Network, path: str = "", nodes: Sequence[nengo.Node] = ()
    ) -> Frame:
        """Convert all calls of a graph into a network.

        Parameters
        ----------
        graph : Graph
        network : nengo.Network
            Receives ``inputs``, ``outputs`` and ``layers``.
        path : str
            Comes before the names of layers.
        nodes : list of Node
            What the inputs are; by default, new Nodes.
        """
        frame = Frame(graph, network, path)
        self._frames.append(frame)
        network.inputs = KerasTensorDict("inputs")
        network.outputs, network.layers = KerasTensorDict("outputs"), KerasTensorDict("layers")
        for tensor, node in zip(graph.inputs, nodes, strict=False):
            frame.set(tensor, node)
        # before any layer is converted: weights take in a normalisation that comes after them
        frame.foldings = find_foldings(graph, self)
        with network:
            for call in graph.calls:
                self._convert(call)
        for tensor in graph.inputs:
            network.inputs[tensor] = frame.value(tensor)
        for tensor in graph.outputs:
            network.outputs[tensor] = frame.value(tensor)
        self._frames.pop()
        return frame

    def _convert(self, call: Call) -> None:
        frame = self.frame
        # what was noted about the last layer is not to get into this one's record
        frame.begin()
        if all(t in frame for t in call.outputs):  # an input of a nested model
            for tensor in call.outputs:
                frame.network.layers[tensor] = frame.value(tensor)
            return
        check_known(call, self.temporal_model)
        converter = self._converter(call.layer, call.is_plain)
        self._check_sharing(call, converter)
        # ensembles that are there from here on are this layer's: nothing else says whose they are
        n_ensembles = len(frame.network.ensembles)
        made = self._each(converter.convert(call.index), call)
        objects = tuple(frame.set(t, obj) for t, obj in zip(call.outputs, made, strict=True))
        if id(call) in frame.foldings:
            objects = ()  # none gives out what the layer does
        for tensor, obj in zip(call.outputs, objects, strict=False):
            frame.network.layers[tensor] = obj
        self._record(call, converter, objects, tuple(frame.network.ensembles[n_ensembles:]))

    def _each(
        self, made: Connectable | Sequence[Connectable] | nengo.Network, call: Call
    ) -> list[Connectable]:
        """The object of each output tensor, of what a `LayerConverter` gave."""
        graph = self.graph_of(call.layer)
        if isinstance(made, nengo.Network) and graph is not None:
            return [made.outputs[t] for t in graph.outputs]
        found = list(made) if isinstance(made, list | tuple) else [made]
        sizes = [getattr(obj, "size_out", None) for obj in found]
        wanted = [self.size_of(t) for t in call.outputs]
        if sizes != wanted:
            layer, given = call.layer, ", ".join(map(str, found))
            raise ValidationError(
                f"the converter of layer {layer.name!r} ({type(layer).__name__}) returned {given} "
                f"with outputs of size {sizes}; expected a Nengo object for each output, of size "
                f"{wanted}",
                attr="convert",
            )
        return found

    def _record(
        self,
        call: Call,
        converter: LayerConverter,
        objects: tuple[Connectable, ...],
        ensembles: tuple[nengo.Ensemble, ...],
    ) -> None:
        frame, layer = self.frame, call.layer
        has_weights = isinstance(layer, keras.layers.Layer) and layer.built
        self.records.append(
            LayerRecord(
                name=f"{frame.path}{layer.name}.{call.index}",
                layer=layer,
                exactness=FALLBACK if frame.fallback else converter.exactness,
                reason=frame.fallback or _folded(frame, call) or converter.reason,
                objects=objects,
                outputs=call.outputs,
                ensembles=ensembles,
                parameters=layer.count_params() if has_weights else 0,
                scale=frame.scale,
            )
        )

    @property
    def frame(self) -> Frame:
        """The graph that is being converted."""
        return self._frames[-1]

    def graph_of(self, layer: keras.Operation) -> Graph | None:
        """The graph of a nested model; None for a layer that is converted as a whole.

        Parameters
        ----------
        layer : keras.Layer or Keras operation
        """
        known = self.converters.get(type(layer), ConvertModel)
        if not isinstance(layer, keras.Model) or not issubclass(known, ConvertModel):
            return None
        if id(layer) not in self._graphs:
            found = layer if is_model(layer) else functional(layer)
            # the model is kept too: another one could get its id
            self._graphs[id(layer)] = found, Graph.of(found)
        return self._graphs[id(layer)][1]

    def activations(self, x: Inputs) -> Iterator[tuple[str, Call, list[Tensor]]]:
        """Compute what each layer gives in Keras, one after the other.

        Parameters
        ----------
        x : array or list of array (B, ...)
            One for each input of the model.

        Yields
        ------
        name : str
            As in `records`.
        call : Call
            Its ``layer``, and ``inputs`` and ``outputs``.
        outputs : list of tensor (B, ...)
        """
        arrays = x if isinstance(x, list | tuple) else [x]
        pairs = zip(arrays, self.graph.inputs, strict=True)
        values = [keras.ops.convert_to_tensor(a, dtype=t.dtype) for a, t in pairs]
        return compute(self.graph, values, self.graph_of)

    def get_converter(self, layer: keras.Layer) -> LayerConverter:
        """The converter of a layer.

        Parameters
        ----------
        layer : keras.Layer
            Of `model`.

        Raises
        ------
        TypeError
            If the layer cannot be converted.
        """
        return self._converter(layer, plain=True)

    def _converter(self, layer: keras.Operation, plain: bool) -> LayerConverter:
        """That of calls with tensors alone, or of others."""
        key = id(layer), plain
        if key not in self._converters:
            self._converters[key] = choose_converter(self, layer, plain)
        return self._converters[key]

    def _check_sharing(self, call: Call, converter: LayerConverter) -> None:
        layer = call.layer
        if not converter.has_weights:
            return
        if id(layer) in self._copied and not self.split_shared_weights:
            raise ValueError(
                f"layer {layer.name!r} ({type(layer).__name__}) is called more than once, and its "
                f"weights would be shared, which Nengo's connections cannot. With "
                f"split_shared_weights=True each call gets a copy of its own"
            )
        self._copied.add(id(layer))

    def synapse_of(self, pre: Connectable) -> nengo.synapses.Synapse | None:
        """The synapse of a connection from an object: the user's, if that is neurons.

        Parameters
        ----------
        pre : NengoObject
            Where the connection comes from.

        Returns
        -------
        nengo.synapses.Synapse or None
        """
        return self.synapse if isinstance(getattr(pre, "obj", pre), Neurons) else None

    def size_of(self, tensor: keras.KerasTensor) -> int:
        """Number of elements that a tensor has in one step.

        Parameters
        ----------
        tensor : KerasTensor (B, ...), or (B, T, ...) in a temporal model
        """
        return int(np.prod(tensor.shape[2 if self.temporal_model else 1 :]))

    def _warn_about_unused(self) -> None:
        names = ", ".join(repr(layer.name) for layer in self.recipe.unused_layers())
        if names:
            warn(
                f"scale_firing_rates contained {names}, but neurons were made of none of these; "
                f"keys are the layers (or wrappers) whose activations become neurons"
            )
        unused = self.swap_activations.unused_keys()
        if unused:
            names = ", ".join(str(getattr(key, "__name__", key)) for key in unused)
            warn(
                f"swap_activations contained {names}, but no layer of model "
                f"{self.model.name!r} has such an activation"
            )

    def verify(
        self,
        training: bool = False,
        inputs: Inputs | None = None,
        atol: float = 1e-8,
        rtol: float = 1e-5,
    ) -> bool:
        """Check that the network gives the outputs of the Keras model.

        Parameters
        ----------
        training : bool
            Whether to train both before; this changes the Keras model. False by default.
        inputs : list of array (B, ...), optional
            For the inputs of the model. By default, ones: two items, of ten steps if the model is
            temporal.
        atol, rtol : float
            Largest absolute and relative difference.

        Returns
        -------
        bool
            True.

        Raises
        ------
        ValueError
            If outputs differ, or, with `training`, the numbers of trainable parameters.
        """
        return verify(self, training, inputs, atol, rtol)

    @classmethod
    def register(
        cls, layer_class: type[keras.Layer]
    ) -> Callable[[type[LayerConverter]], type[LayerConverter]]:
        """Register the decorated `LayerConverter` for a class of layers.

        Parameters
        ----------
        layer_class : type
            A class of Keras layers; exactly this one, no subclass.
        """
        return register(layer_class)


def _folded(frame: Frame, call: Call) -> str:
    """What is to be said of a layer that became one with another."""
    if frame.is_absorbed(call):
        return "part of the weights before it"
    other = frame.foldings.get(id(call))
    return "" if other is None else f"with the normalisation {other.layer.name!r} in its weights"
