"""Settings: what a user can choose about this back end, declared, validated and resolved here.

Nengo's config system holds the choices; `configure_settings` writes them, and `Settings.of` and
`object_value` are the only readers (for `opinions`, what applies to single objects). The rest of
the package sees plain values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field, fields
from inspect import cleandoc
from typing import Any, TypedDict, Unpack

import nengo
from nengo.base import NengoObject
from nengo.builder import Model
from nengo.ensemble import Neurons
from nengo.exceptions import BuildError, ConfigError, NetworkContextError, ValidationError
from nengo.params import BoolParam, Parameter, Unconfigurable

from .. import surrogate
from .validators import (
    BOOL,
    CALLABLE,
    CALLABLES,
    CHECKPOINTS,
    DTYPE,
    MEMORY,
    NAMES,
    OPTIONAL_BOOL,
    SMOOTHING,
    TRAINABLE_SYNAPSES,
    Rule,
    is_bool,
    optional,
)

TRAINABLE_TYPES = (nengo.Ensemble, nengo.Connection, Neurons)
NEAREST = (*TRAINABLE_TYPES, nengo.Node)  # whose options apply to the nearest enclosing network
UNSET = object()


def _option(default: object, rule: Rule, doc: str, per: type = nengo.Network) -> Any:
    """Declare an option; ``per`` is the Nengo class whose config holds it."""
    return field(default=default, metadata={"rule": rule, "doc": doc, "per": per})


@dataclass(frozen=True)
class Settings:
    """The settings of one network, validated and complete.

    Whether a parameter is trainable is decided object by object, see `nengo_dl.config.per_object`,
    and so is what spikes do in training: `nengo_dl.config.training_spikes`.

    Parameters
    ----------
    <OPTIONS>

    Raises
    ------
    ValidationError
        If a value is not one that its option accepts.
    TypeError
        If ``dtype`` is not a string.
    BuildError
        If ``inference_only`` is combined with ``learning_phase=True``.

    See Also
    --------
    configure_settings : describes every option.
    """

    planner: Callable | None = _option(
        None, CALLABLE, "Groups operators that are computed together. None: the default planner."
    )
    sorter: Callable | None = _option(
        None, CALLABLE, "Arranges signals in memory. None: the default sorter."
    )
    simplifications: Sequence[Callable] | None = _option(
        None,
        CALLABLES,
        "Rewrites that remove or fuse operators. None: the default ones; ``[]``: none at all.",
    )
    skip_passes: Sequence[str] = _option(
        (),
        NAMES,
        "Names of passes of the compiler to leave out, which changes no result: to find out which "
        "one is at fault if it does. An unknown name leads to a message that lists all.",
    )
    inference_only: bool = _option(
        False, BOOL, "Build without support for training; nothing is trainable."
    )
    lif_smoothing: float | None = _option(
        None,
        SMOOTHING,
        "Train `nengo.LIF` and `nengo.LIFRate` neurons, and their adaptive forms, with the rates "
        "of `.SoftLIFRate`, whose ``sigma`` this is. None: with the rates of `nengo.LIFRate`.",
    )
    training_spikes: surrogate.TrainingSpikes | str | None = _option(
        None,
        optional(surrogate.is_choice, f"{surrogate.EXPECTED},"),
        "What spiking neurons do in training: give their rates, or spikes with a surrogate "
        "gradient; see `nengo_dl.surrogate`. Applies to the nearest enclosing network, and to "
        "those within it that say nothing else; ``net.config[ens].training_spikes = ...`` "
        "chooses for one ensemble. None: no opinion; rates (see ``lif_smoothing``).",
        per=nengo.Ensemble,
    )
    trainable_synapses: bool | str | None = _option(
        None,
        TRAINABLE_SYNAPSES,
        "Whether training may change the time constants of connections with `nengo.Lowpass` or "
        "`nengo.Alpha` synapses. True: one for each connection; ``'per_dimension'``: one for each "
        "of its dimensions. Applies to the nearest enclosing network, and to those within it that "
        "say nothing else; ``net.config[conn].trainable_synapses = ...`` chooses for one "
        "connection. None: no opinion; none is trained.",
        per=nengo.Connection,
    )
    pure: bool | None = _option(
        None,
        OPTIONAL_BOOL,
        "Whether the functions and processes of nodes depend on nothing but their arguments and "
        "their own random numbers, and change nothing else. They are then called whenever that is "
        "fastest: functions of time ahead of the simulation. Otherwise, in networks with other "
        "Python that they may share objects with, all are called within each step, in Nengo's "
        "order. Applies to the nearest enclosing network, and to those within it that say nothing "
        "else; ``net.config[node].pure = ...`` chooses for one node. None: no opinion; only "
        "Nengo's own processes and NumPy's own functions are taken for pure.",
        per=nengo.Node,
    )
    dtype: str = _option(
        "float32",
        DTYPE,
        "Precision of the simulation: ``'float16'``, ``'float32'`` or ``'float64'``.",
    )
    keep_history: bool = _option(
        True,
        BOOL,
        "Whether probes keep every step, or the last step of each call only. To choose for one "
        "probe: ``net.config[probe].keep_history = ...``, on the top-level network.",
        per=nengo.Probe,
    )
    stateful: bool = _option(
        True, BOOL, "Whether a call may continue from the state in which the last one ended."
    )
    use_loop: bool = _option(
        True,
        BOOL,
        "Loop over steps. False: build exactly ``unroll_simulation`` steps, without a loop.",
    )
    learning_phase: bool | None = _option(
        None,
        OPTIONAL_BOOL,
        "Force the behaviour of training (True) or of inference (False) in every call. "
        "None: as the call says.",
    )

    checkpoint_steps: int | str | None = _option(
        "auto",
        CHECKPOINTS,
        "Train long series in little memory: keep only the state before every so many steps, and "
        "compute these steps again for the gradient, which takes up to half as much time more. "
        "``'auto'``: only if a minibatch would not fit into ``training_memory``, and then as many "
        "steps as do. None: never. No effect on what is learned.",
    )
    training_memory: float | None = _option(
        None,
        MEMORY,
        "Bytes that gradients of a minibatch may take with ``checkpoint_steps='auto'``. None: half "
        "of the memory that the machine, or the container, has; on a GPU, whose memory is not "
        "known, no bound.",
    )

    def __post_init__(self) -> None:
        for name in OPTIONS:
            _validate(name, getattr(self, name), obj=self)
        if self.inference_only and self.learning_phase:
            raise BuildError(
                "inference_only=True builds no training behaviour, so learning_phase=True cannot "
                "force it; configure only one of them"
            )
        if self.simplifications is not None:
            # a tuple, as whoever gave a list may go on changing it
            object.__setattr__(self, "simplifications", tuple(self.simplifications))
        object.__setattr__(self, "skip_passes", tuple(self.skip_passes))

    @classmethod
    def of(cls, network: nengo.Network | None) -> Settings:
        """Read the settings of a network.

        Parameters
        ----------
        network : nengo.Network or None
            The top-level network. Without one, every option has its default.

        Returns
        -------
        Settings
            The value of every option.
        """
        if network is None:
            return cls()
        values = {name: _class_value(network.config, _owner(name), name) for name in OPTIONS}
        return cls(**{name: value for name, value in values.items() if value is not UNSET})


class Choices(TypedDict, total=False):
    """What `configure_settings` takes, for editors and checkers of types: as in `Settings`."""

    trainable: bool | None
    planner: Callable | None
    sorter: Callable | None
    simplifications: Sequence[Callable] | None
    skip_passes: Sequence[str]
    inference_only: bool
    lif_smoothing: float | None
    training_spikes: surrogate.TrainingSpikes | str | None
    trainable_synapses: bool | str | None
    pure: bool | None
    dtype: str
    keep_history: bool
    stateful: bool
    use_loop: bool
    learning_phase: bool | None
    checkpoint_steps: int | str | None
    training_memory: float | None


OPTIONS: dict[str, Field] = {f.name: f for f in fields(Settings)}


def _owner(name: str) -> type:
    return OPTIONS[name].metadata["per"]


def _validate(name: str, value: object, obj: NengoObject | Neurons = nengo.Network) -> None:
    rule = OPTIONAL_BOOL if name == "trainable" else OPTIONS[name].metadata["rule"]
    if not rule.accepts(value):
        raise ValidationError(f"got {value!r}, expected {rule.expects}", attr=name, obj=obj)


class _OptionParam(Parameter):
    """Holds an option in a Nengo config, and rejects values that the option does not accept."""

    def coerce(self, instance: nengo.config.ClassParams | None, value: object) -> object:
        _validate(self.name, value)
        return value


def _make_param(name: str) -> Parameter:
    if name == "trainable":
        return BoolParam(name, default=None, optional=True)
    make = BoolParam if name == "keep_history" else _OptionParam
    return make(name, default=OPTIONS[name].default)


def _set_class_value(config: nengo.Config, cls: type, name: str, value: object) -> None:
    if cls not in config.params:
        config.configures(cls)
    params = config.params[cls]
    if name not in params.extra_params:
        params.set_param(name, _make_param(name))
    # Nengo's BoolParam takes no truth values of NumPy's
    setattr(params, name, bool(value) if is_bool(value) else value)


def _document_options(func: Callable) -> Callable:
    """Complete the docstring with the declared options, so that they are described once."""
    entries = [
        f"{name} : {f.type}, default {f.default!r}\n    {f.metadata['doc']}"
        for name, f in OPTIONS.items()
    ]
    func.__doc__ = cleandoc(func.__doc__ or "").replace("<OPTIONS>", "\n".join(entries))
    return func


_document_options(Settings)


@_document_options
def configure_settings(**settings: Unpack[Choices]) -> None:
    """Choose how the Simulator treats the network that is being defined.

    To be called inside a ``with network:`` block. A call changes the options that it names, and
    no other. ``trainable``, ``training_spikes``, ``trainable_synapses`` and ``pure`` apply to the
    nearest enclosing network, every other option to the top-level network.

    Parameters
    ----------
    trainable : bool | None
        Whether training may change the parameters in this network, and in those within it that
        say nothing else. This also lets single types and objects be configured:
        ``net.config[nengo.Ensemble].trainable = ...``, ``net.config[ens].trainable = ...``.
        None: no opinion.
    <OPTIONS>

    Raises
    ------
    NetworkContextError
        If called outside a ``with network:`` block.
    ConfigError
        If an option is unknown.
    ValidationError
        If an option does not accept its value; then no option is changed.
    TypeError
        If ``dtype`` is not a string.

    Examples
    --------
    >>> with nengo.Network() as net:
    ...     nengo_dl.configure_settings(dtype="float64", trainable=False)
    """
    if len(nengo.Network.context) == 0:
        raise NetworkContextError(
            "configure_settings was called outside a network; call it inside `with network:`"
        )
    known = ("trainable", *OPTIONS)
    for name, value in settings.items():
        if name not in known:
            raise ConfigError(f"unknown option {name!r}; the options are {', '.join(known)}")
        _validate(name, value)

    # all values were valid: either all options are set, or none
    toplevel, nearest = nengo.Network.context[0], nengo.Network.context[-1]
    for name, value in settings.items():
        if name == "trainable":
            for cls in TRAINABLE_TYPES:
                _set_class_value(nearest.config, cls, name, value)
        else:
            network = nearest if _owner(name) in NEAREST else toplevel
            _set_class_value(network.config, _owner(name), name, value)


def _class_value(config: nengo.Config, cls: type, name: str) -> Any:
    params = _class_params(config, cls)
    if params is None or name not in params.extra_params:
        return UNSET
    value = params.get_param(name).get_default(params)
    return UNSET if value is Unconfigurable else value


def _class_params(config: nengo.Config, cls: type) -> Any:
    return next((config.params[base] for base in cls.__mro__ if base in config.params), None)


def object_value(config: nengo.Config, obj: NengoObject | Neurons, name: str) -> Any:
    """Look up what was set on the object, else on its class.

    ``config[obj]`` would write an entry into the user's config; this does not.
    """
    if says(config, obj, name):
        return getattr(config.params[obj], name)
    return _class_value(config, type(obj), name)


def says(config: nengo.Config, obj: NengoObject | Neurons, name: str) -> bool:
    """Whether something was set on the object itself."""
    instance = config.params.get(obj)
    if instance is None:  # as for most objects
        return False
    params = _class_params(config, type(obj))
    return name in params.extra_params and instance in params.get_param(name)


def get_setting(
    model_or_network: Model | nengo.Network | None,
    name: str,
    default: Any = None,
    obj: NengoObject | Neurons = None,
) -> Any:
    """Read one option from the config of a network.

    Parameters
    ----------
    model_or_network : nengo.builder.Model, nengo.Network or None
        The network, or the model that was built from it.
    name : str
        Name of the option.
    default : object, default None
        Returned if the option was not configured.
    obj : object, default None
        Read what applies to this object, such as ``keep_history`` of a probe.

    Returns
    -------
    object
        The configured value, or ``default``.
    """
    network = model_or_network
    if isinstance(network, Model):
        network = network.toplevel
    if network is None:
        return default
    if obj is not None:
        value = object_value(network.config, obj, name)
    else:
        owner = _owner(name) if name in OPTIONS else nengo.Network
        value = _class_value(network.config, owner, name)
    return default if value is UNSET else value


def keep_history(network: nengo.Network | None, probe: nengo.Probe) -> bool:
    """Tell whether a probe keeps every step, or the last one only.

    Parameters
    ----------
    network : nengo.Network or None
        The top-level network.
    probe : nengo.Probe
        The probe.

    Returns
    -------
    bool
        What was configured for the probe, else for all probes, else True.
    """
    return get_setting(network, "keep_history", OPTIONS["keep_history"].default, obj=probe)
