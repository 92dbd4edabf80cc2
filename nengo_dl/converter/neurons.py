"""Makes the objects that apply activations: Nodes, neurons, sums of neurons, TensorNodes."""

from __future__ import annotations

from typing import Any

import keras
import nengo
import numpy as np
from nengo.ensemble import Neurons
from nengo.neurons import NeuronType

from ..tensor_node import TensorNode
from ..utils import Connectable, warn
from .activations import Activation, Rectifiers, Term, Unknown, resolve, with_parameters
from .conversion import Part
from .copies import copy_of
from .nodes import ConstantNode
from .recipes.hooks import neurons_of, scale_of, with_state
from .recipes.scaling import jumps, through_step


def activated(
    part: Part, node_id: int, biases: np.ndarray | None, activation: Activation
) -> Connectable:
    """The object that applies an activation; see `LayerConverter.add_nengo_obj`.

    If what it receives and what it gives out are different objects, the converter remembers.

    Parameters
    ----------
    part : LayerConverter
    node_id : int
    biases : array (size,) or None
    activation : callable, NeuronType, Rectifiers or None
    """
    swaps = part.converter.swap_activations
    found = resolve(activation, part.activation_map, swaps, part.applied)
    if isinstance(found, NeuronType):
        return _neurons(part, node_id, found, biases)
    size = int(np.prod(part.output_shape(node_id)))
    label = part.label(node_id)
    if isinstance(found, Unknown):
        obj = _unknown(part, node_id, found.function)
    else:
        obj = nengo.Node(size_in=size, label=label)
    if biases is not None:
        part.add_bias(node_id, obj, biases, _is_trained(part))
    if isinstance(found, Rectifiers):
        part.converter.frame.outlets[obj] = _sum(part, node_id, obj, found)
    return obj


def _neurons(
    part: Part, node_id: int, neuron_type: NeuronType, biases: np.ndarray | None
) -> Connectable:
    label, trainable = part.label(node_id), _is_trained(part)
    neurons, scale = _ensemble(part, node_id, neuron_type, biases, label, trainable)
    outlet = _unscaled(part, neurons, scale, label)
    if outlet is not neurons:
        part.converter.frame.outlets[neurons] = outlet
    return neurons


def _is_trained(part: Part) -> bool:
    """Whether training changes the layer, as Keras has it."""
    return bool(getattr(part.layer, "trainable", True))


def _unscaled(
    part: Part, neurons: Neurons, scale: float | np.ndarray | None, label: str
) -> Connectable:
    """What gives the neurons' output as an activation: a Node, where scales differ."""
    if not isinstance(scale, np.ndarray):
        return neurons
    output = nengo.Node(size_in=neurons.size_in, label=f"{label}.unscaled")
    part.connect(neurons, output, transform=1 / scale)
    return output


def _sum(part: Part, node_id: int, inlet: nengo.Node, rectifiers: Rectifiers) -> nengo.Node:
    """The Node in which the terms of a sum come together."""
    label = part.label(node_id)
    output = nengo.Node(size_in=inlet.size_out, label=f"{label}.output")
    for i, term in enumerate(rectifiers.terms):
        rectified = rectify(part, node_id, inlet, term, f"{label}.{i}")
        part.connect(rectified, output, transform=None if term.weight == 1 else term.weight)
    if rectifiers.constant:
        constant = ConstantNode([rectifiers.constant], label=f"{label}.constant")
        part.connect(constant, output, transform=np.ones((output.size_in, 1)))
    return output


def rectify(part: Part, node_id: int, inlet: nengo.Node, term: Term, label: str) -> Connectable:
    """What gives  relu(gain · x + bias)  of a Node: neurons, or a Node after them.

    Parameters
    ----------
    part : LayerConverter
    node_id : int
    inlet : nengo.Node
        Gives x, in the shape of the layer's output.
    term : Term
        Its weight is left to the caller.
    label : str
    """
    neuron_type = part.converter.swap_activations.swapped(term.neuron_type)
    bias = np.full(inlet.size_out, term.bias) if term.bias else None
    neurons, scale = _ensemble(
        part, node_id, neuron_type, bias, label, trainable=False, is_term=True
    )
    part.connect(inlet, neurons, transform=None if term.gain == 1 else term.gain)
    return _unscaled(part, neurons, scale, label)


def largest(part: Part, node_id: int, index: np.ndarray) -> nengo.Node:
    """The Node that gives the largest of some elements of the input.

    They are compared in pairs, round by round:  max(a, b) = a + relu(b - a).  These rectifiers
    neither spike nor are they swapped or scaled, so that the maximum is that of the rates.

    Parameters
    ----------
    part : LayerConverter
    node_id : int
    index : array of int (n, size)
        The elements of which each output is the largest.
    """
    (left, size), label = index.shape, part.label(node_id)
    node = nengo.Node(size_in=index.size, label=label if left == 1 else f"{label}.candidates")
    part.select(part.get_input_obj(node_id), node, index)
    while left > 1:
        n, left = left // 2 * size, left - left // 2
        ens = nengo.Ensemble(
            n,
            1,
            neuron_type=nengo.RectifiedLinear(),
            gain=nengo.dists.Choice([1]),
            bias=nengo.dists.Choice([0]),
            label=f"{label}.more",
        )
        # trained, it would be the maximum no more
        part.set_trainable(ens, False)
        part.set_trainable(ens.neurons, False)
        found = nengo.Node(size_in=left * size, label=label if left == 1 else f"{label}.{left}")
        part.connect(node[n : 2 * n], ens.neurons)
        part.connect(node[:n], ens.neurons, transform=-1)
        part.connect(node[:n], found[:n])
        part.connect(ens.neurons, found[:n], synapse=None)  # what it adds is filtered already
        if node.size_out > 2 * n:
            part.connect(node[2 * n :], found[n:])
        node = found
    return node


def _ensemble(
    part: Part,
    node_id: int,
    neuron_type: NeuronType,
    biases: np.ndarray | None,
    label: str,
    trainable: bool = True,
    is_term: bool = False,
) -> tuple[Neurons, Any]:
    """Neurons, scaled as the recipe says; an array of scales is for the caller to undo."""
    layer, recipe = part.source, part.converter.recipe
    shape = part.output_shape(node_id)
    neuron_type = neurons_of(recipe, layer, neuron_type, is_term)
    is_first = getattr(part.layer, "data_format", None) == "channels_first"
    scale = scale_of(recipe, layer, neuron_type, shape, is_first)
    # a gain would move the currents at which they jump: they are made faster instead
    if scale is not None and jumps(neuron_type):
        neuron_type, scale = through_step(neuron_type, float(np.max(scale))), None
    # an array of scales is undone by a Node behind the neurons: amplitudes are numbers
    if scale is not None and not isinstance(scale, np.ndarray):
        neuron_type = _lower(layer, neuron_type, scale)
    neuron_type = with_state(recipe, layer, neuron_type)
    factor = 1.0 if scale is None else scale
    ens = nengo.Ensemble(
        int(np.prod(shape)),
        1,
        neuron_type=neuron_type,
        gain=factor if isinstance(factor, np.ndarray) else nengo.dists.Choice([factor]),
        bias=nengo.dists.Choice([0]) if biases is None else np.ravel(biases) * factor,
        label=label,
    )
    part.set_trainable(ens, False)
    part.set_trainable(ens.neurons, trainable and biases is not None)
    part.converter.frame.scale = scale
    return ens.neurons, scale


def _lower(layer: keras.Layer, neuron_type: NeuronType, scale: float) -> NeuronType:
    """The neuron type with an output that the scale is taken from."""
    if not hasattr(neuron_type, "amplitude"):
        warn(
            f"The firing rates of layer {layer.name!r} are scaled, but {neuron_type} has no "
            f"amplitude that could undo it: the output changes"
        )
        return neuron_type
    return with_parameters(neuron_type, amplitude=neuron_type.amplitude / scale)


def _unknown(part: Part, node_id: int, activation: Activation) -> TensorNode:
    """A TensorNode, for an activation that no neurons have."""
    layer = part.source
    is_layer = isinstance(activation, keras.layers.Layer)
    name = getattr(type(activation) if is_layer else activation, "__name__", activation)
    if not part.converter.allow_fallback:
        raise TypeError(
            f"activation {name!r} of layer {layer.name!r} ({type(layer).__name__}) has no Nengo "
            f"equivalent. Replace it with swap_activations, or set allow_fallback=True"
        )
    warn(
        f"Activation {name!r} of layer {layer.name!r} ({type(layer).__name__}) has no Nengo "
        f"equivalent; it becomes a TensorNode, which only nengo_dl.Simulator runs"
    )
    part.converter.frame.fallback = f"activation {name!r} is a TensorNode"
    shape = part.output_shape(node_id)
    function = copy_of(activation, part.converter)
    return TensorNode(
        function, shape_in=shape, shape_out=shape, pass_time=False, label=part.label(node_id)
    )
