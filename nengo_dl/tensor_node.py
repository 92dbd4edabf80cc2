"""Tensor code inside Nengo networks: the objects that users create."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, overload

import nengo
import numpy as np
from nengo.base import NengoObject
from nengo.config import SupportDefaultsMixin
from nengo.ensemble import Neurons
from nengo.exceptions import SimulationError, ValidationError
from nengo.neurons import NeuronType
from nengo.params import BoolParam, Default, Parameter, ShapeParam
from numpy.typing import ArrayLike, DTypeLike

from .config.settings import configure_settings
from .kernels.tensor_node import check_output
from .runtimes.later import keras
from .utils import Connectable, Synapse, Tensor

# Arguments of what a `Layer` makes that it gives itself.
FIXED_BY_LAYERS = {
    *("self", "args", "kwargs", "tensor_func", "shape_in", "pass_time"),
    *("n_neurons", "dimensions", "neuron_type"),
}

#: What a `Layer` applies: tensor code, or a type of neurons.
LayerFunction: TypeAlias = Callable[..., Tensor] | NeuronType
#: What a `Layer` makes.
LayerObject: TypeAlias = "TensorNode | Neurons"
#: What a connection multiplies by: weights, where they come from, or nothing.
Transform: TypeAlias = nengo.transforms.Transform | nengo.dists.Distribution | ArrayLike | None


class TensorFuncParam(Parameter):
    """A callable; if the node has no `shape_out`, it is found out by calling it."""

    def coerce(self, instance: TensorNode, value: Callable[..., Tensor]) -> Callable:
        """Raise ValidationError if the value cannot be called."""
        value = super().coerce(instance, value)
        if not callable(value):
            raise ValidationError(
                f"TensorNode output must be a function or Keras Layer, got {value!r}",
                attr=self.name,
                obj=instance,
            )
        return value


class TensorNode(nengo.Node):
    """Inserts tensor code (a function, a Keras layer, or a whole Keras model) into a network.

    Parameters
    ----------
    tensor_func : callable or keras.Layer
        Called with the time (a scalar, in seconds) if `pass_time`, and with the input
        ``(minibatch_size,) + shape_in`` if `shape_in` is given; a Keras layer that takes both
        receives them as a list. Returns a tensor ``(minibatch_size,) + shape_out``.
    shape_in : tuple of int, optional
        Shape of the input, without batch axis. None (the default): no input.
    shape_out : tuple of int, optional
        Shape of the output, without batch axis. None (the default): found out by calling the
        function, or asking the layer, with a batch of one.
    pass_time : bool
        Whether `tensor_func` receives the time. True by default.
    label : str, optional

    Raises
    ------
    ValidationError
        If there is neither input nor time, or the shape of the output cannot be found out.

    Notes
    -----
    The Keras layer itself becomes part of the simulation: what is trained is its weights.
    """

    tensor_func: Callable[..., Tensor] = TensorFuncParam("tensor_func")
    shape_in = ShapeParam("shape_in", default=None, optional=True, low=1)
    shape_out = ShapeParam("shape_out", default=None, optional=True, low=1)
    pass_time = BoolParam("pass_time", default=True)

    def __init__(
        self,
        tensor_func: Callable[..., Tensor],
        shape_in: tuple[int, ...] | None = Default,
        shape_out: tuple[int, ...] | None = Default,
        pass_time: bool = Default,
        label: str | None = Default,
    ) -> None:
        # not that of Node, which would call `output` to find out its size
        NengoObject.__init__(self, label=label, seed=Default)
        self.shape_in = shape_in
        self.shape_out = shape_out
        self.pass_time = pass_time
        if self.shape_in is None and not self.pass_time:
            raise ValidationError(
                "A TensorNode needs an input: give shape_in, or set pass_time=True",
                attr="pass_time",
                obj=self,
            )
        # after the shapes: what it returns is found out by calling it with them
        self.tensor_func = tensor_func
        self._check_arguments()
        if self.shape_out is None:
            self.shape_out = self._infer_shape_out()
        self.size_in = 0 if self.shape_in is None else int(np.prod(self.shape_in))
        self.size_out = int(np.prod(self.shape_out))
        # so that other back ends say what is wrong, when they run it
        self.output = _not_here if self.size_in else _not_here_without_input

    @property
    def layer(self) -> keras.layers.Layer | None:
        """The Keras layer, if `tensor_func` is one."""
        return self.tensor_func if isinstance(self.tensor_func, keras.layers.Layer) else None

    def call(self, args: Sequence[Tensor], training: bool, dtype: str) -> Tensor:
        """Call `tensor_func` on tensors; a layer of another precision gives the simulation's."""
        if self.layer is None:
            return self.tensor_func(*args)
        inputs = args[0] if len(args) == 1 else args
        if self.layer.activity_regularizer is None:
            # Keras tells layers within, too, whatever this one takes
            output = self.layer(inputs, training=training)
        else:  # activity losses cannot leave the loop over time
            output = self.layer.call(inputs, **_training_argument(self.layer.call, training))
        return keras.ops.cast(output, dtype)

    def _check_arguments(self) -> None:
        """Raise ValidationError for a function that takes other arguments than it gets."""
        if self.layer is not None:
            return
        try:
            signature = inspect.signature(self.tensor_func)
        except (TypeError, ValueError):  # not every callable has one
            return
        names = ["time"] if self.pass_time else []
        names += [] if self.shape_in is None else ["input"]
        try:
            signature.bind(*names)
        except TypeError as error:
            raise ValidationError(
                f"tensor_func is called with the {' and the '.join(names)}, but takes {signature} "
                f"({error}). {self._remedy()}",
                attr="tensor_func",
                obj=self,
            ) from None

    def _remedy(self) -> str:
        if self.shape_in is None:
            return "Give shape_in if it has an input besides the time."
        if self.pass_time:
            return "Give pass_time=False if it takes the input alone."
        return "Give pass_time=True if it takes the time too."

    def _infer_shape_out(self) -> tuple[int, ...]:
        try:
            output = self._example_output()
        except Exception as error:
            remedy = "Give shape_out explicitly."
            if self.layer is not None and self.shape_in is None:
                remedy = "Give shape_in: without it, the layer receives the time and nothing else."
            raise ValidationError(
                f"Calling tensor_func to find out the shape of its output failed "
                f"({type(error).__name__}: {error}). {remedy}",
                attr="tensor_func",
                obj=self,
            ) from error
        if self.layer is None:
            check_output(output, None, None, None, self.label or type(self).__name__)
        shape = getattr(output, "shape", None)
        if shape is None or len(shape) < 1 or any(n is None for n in shape[1:]):
            raise ValidationError(
                f"tensor_func returned {output!r}, whose shape does not tell shape_out. "
                f"Give shape_out explicitly.",
                attr="tensor_func",
                obj=self,
            )
        return tuple(int(n) for n in shape[1:]) or (1,)

    def _example_output(self) -> Tensor:
        if self.layer is not None:
            return _layer_output(self.layer, self._example(keras.KerasTensor))
        zeros = lambda shape, dtype: keras.ops.zeros(shape, dtype)  # noqa: E731
        return self.tensor_func(*self._example(zeros))

    def _example(self, make: Callable[..., Tensor]) -> list[Tensor]:
        args = [make((), dtype="float32")] if self.pass_time else []
        if self.shape_in is not None:
            args.append(make((1, *self.shape_in), dtype="float32"))
        return args


def _layer_output(layer: keras.layers.Layer, args: Sequence[Tensor]) -> Tensor:
    """What a layer gives for symbolic inputs; a layer without weights yet keeps being so."""
    inputs = args[0] if len(args) == 1 else args
    if layer.built:
        spec = layer.compute_output_spec
        return spec(inputs, **_training_argument(spec, False, layer.call))
    try:
        twin = type(layer).from_config(layer.get_config())
    except Exception:  # layers need not be able to copy themselves
        twin = layer
    return twin(inputs, training=False)


def _training_argument(
    function: Callable, training: bool, call: Callable | None = None
) -> dict[str, bool]:
    """The argument `training`, if a function takes it, or hands on all that `call` takes."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.name == "training" for p in parameters):
        return {"training": training}
    if call is not None and any(p.kind is p.VAR_KEYWORD for p in parameters):
        return _training_argument(call, training)
    return {}


def _not_here(t: float, x: np.ndarray | None) -> None:
    raise SimulationError("A TensorNode can only be simulated by NengoDL (nengo_dl.Simulator)")


def _not_here_without_input(t: float) -> None:
    _not_here(t, None)


class Layer(SupportDefaultsMixin):
    """Adds layers to a network in the style of Keras's functional API.

    ``nengo_dl.Layer(f)(x)`` makes an object that computes ``f`` and a connection to it from ``x``.

    Parameters
    ----------
    layer_func : callable, keras.Layer or nengo.neurons.NeuronType
        A function or layer becomes a `TensorNode`, a neuron type an Ensemble of such neurons.
    """

    def __init__(self, layer_func: LayerFunction) -> None:
        self.layer_func = layer_func

    @overload
    def __call__(
        self,
        input: Connectable,
        transform: Transform = None,
        shape_in: tuple[int, ...] | None = None,
        synapse: Synapse = None,
        return_conn: Literal[False] = False,
        **layer_args: object,
    ) -> LayerObject: ...

    @overload
    def __call__(
        self,
        input: Connectable,
        transform: Transform = None,
        shape_in: tuple[int, ...] | None = None,
        synapse: Synapse = None,
        *,
        return_conn: Literal[True],
        **layer_args: object,
    ) -> tuple[LayerObject, nengo.Connection]: ...

    def __call__(
        self,
        input: Connectable,
        transform: Transform = None,
        shape_in: tuple[int, ...] | None = None,
        synapse: Synapse = None,
        return_conn: bool = False,
        **layer_args: Any,
    ) -> LayerObject | tuple[LayerObject, nengo.Connection]:
        """Apply the layer to a Nengo object.

        Parameters
        ----------
        input : NengoObject
            What the layer is connected to.
        transform : array_like, Distribution or Transform, optional
            Of the connection. None by default.
        shape_in : tuple of int, optional
            Shape of the layer's input, if it is not a vector.
        synapse : float or Synapse, optional
            Of the connection. None by default.
        return_conn : bool
            Whether to return the connection too. False by default.
        **layer_args
            Passed to the `TensorNode` or the Ensemble.

        Returns
        -------
        NengoObject, or (NengoObject, nengo.Connection)

        Raises
        ------
        ValidationError
            If `input` is no object of a network, or `layer_args` has an argument that the object
            does not take.
        """
        _check_arguments(self, input, layer_args)
        size = _input_size(input, transform, shape_in)
        if isinstance(self.layer_func, NeuronType):
            obj = nengo.Ensemble(size, 1, neuron_type=self.layer_func, **layer_args).neurons
        else:
            shape = (size,) if shape_in is None else shape_in
            obj = TensorNode(self.layer_func, shape_in=shape, pass_time=False, **layer_args)
        conn = nengo.Connection(input, obj, synapse=synapse, transform=transform)
        _freeze(conn)
        return (obj, conn) if return_conn else obj

    def __str__(self) -> str:
        func = self.layer_func
        name = getattr(func, "name", None) or getattr(func, "__name__", None) or func
        return f"Layer({name})"


def _check_arguments(layer: Layer, input: Connectable, given: dict[str, Any]) -> None:
    """Raise ValidationError for an input or an argument that cannot be meant."""
    if not hasattr(input, "size_out"):
        raise ValidationError(
            f"{layer} is applied to {input!r}, of type {type(input).__name__}; expected an object "
            f"of the network that has an output, such as a Node, an Ensemble or what another layer "
            f"returned",
            attr="input",
        )
    made = TensorNode
    if isinstance(layer.layer_func, NeuronType):
        made = nengo.Ensemble
    taken = {*inspect.signature(made.__init__).parameters} - FIXED_BY_LAYERS
    unknown = [name for name in given if name not in taken]
    if unknown:
        raise ValidationError(
            f"{layer} takes no argument {', '.join(map(repr, unknown))}; besides those of the "
            f"connection (transform, shape_in, synapse, return_conn) it takes the arguments of "
            f"{made.__name__}: {', '.join(sorted(taken))}",
            attr=unknown[0],
        )


def _input_size(input: Connectable, transform: Transform, shape_in: tuple[int, ...] | None) -> int:
    if shape_in is not None and all(n is not None for n in shape_in):
        return int(np.prod(shape_in))
    if isinstance(transform, np.ndarray) and transform.ndim == 2:
        return transform.shape[0]
    return input.size_out


def _freeze(conn: nengo.Connection) -> None:
    """Mark the connection of a layer as not trainable, in the innermost network's config."""
    config = nengo.Network.context[-1].config
    if "trainable" not in _params_of(config):
        configure_settings(trainable=None)
    config[conn].trainable = False


def _params_of(config: nengo.Config) -> set[str]:
    if nengo.Connection not in config.params:
        return set()
    return set(config[nengo.Connection].extra_params)


def validate_output(
    output: Tensor,
    minibatch_size: int | None = None,
    output_d: int | None = None,
    dtype: DTypeLike | None = None,
) -> None:
    """Check what the function of a `TensorNode` returned.

    Parameters
    ----------
    output : tensor
        Expected to be (minibatch_size, ...), with `output_d` elements for each item.
    minibatch_size, output_d : int, optional
        None: any.
    dtype : str or tf.DTypeLike, optional
        None: any.

    Raises
    ------
    ValidationError
        If it is something else.
    """
    dtype = None if dtype is None else keras.backend.standardize_dtype(dtype)
    check_output(output, minibatch_size, output_d, dtype, "TensorNode")


def tensor_layer(
    input: Connectable, layer_func: LayerFunction, **kwargs: Any
) -> LayerObject | tuple[LayerObject, nengo.Connection]:
    """Deprecated: use ``nengo_dl.Layer(layer_func)(input, **kwargs)``."""
    warnings.warn(
        "tensor_layer is deprecated, use nengo_dl.Layer", DeprecationWarning, stacklevel=2
    )
    return Layer(layer_func)(input, **kwargs)
