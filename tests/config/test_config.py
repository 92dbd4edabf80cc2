"""Settings, how they are configured, and what they make trainable."""

import pickle
import subprocess
import sys
from dataclasses import fields
from functools import partial

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError, ConfigError, NetworkContextError, ValidationError
from nengo.params import BoolParam, Parameter

from nengo_dl.config import configure_settings, get_setting
from nengo_dl.config.per_object import resolve_trainable
from nengo_dl.config.settings import Choices, Settings, keep_history

VALID = {
    "planner": partial(len),
    "sorter": len,
    "simplifications": (len, abs),
    "skip_passes": ("pack",),
    "inference_only": True,
    "lif_smoothing": 0.5,
    "training_spikes": "fast_sigmoid",
    "trainable_synapses": "per_dimension",
    "dtype": "float64",
    "keep_history": False,
    "stateful": False,
    "use_loop": False,
    "learning_phase": False,
    "checkpoint_steps": 7,
    "training_memory": 1e9,
    "pure": True,
}


def identity(x):
    return x


def test_checkers_know_all_options():
    """Types of the keyword arguments of `configure_settings` are those of `Settings`."""
    known = {name: hint.__forward_arg__ for name, hint in Choices.__annotations__.items()}
    assert known.pop("trainable") == "bool | None"
    assert known == {field.name: field.type for field in fields(Settings)}


def test_importing_needs_no_tensorflow():
    code = (
        "import sys, nengo_dl.config, nengo_dl.dists, nengo_dl.neurons, nengo_dl.session.progress\n"
        "print([m for m in ('tensorflow', 'keras', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_defaults():
    settings = Settings.of(None)
    assert settings == Settings.of(nengo.Network()) == Settings()
    assert settings.dtype == "float32"
    assert settings.keep_history is settings.stateful is settings.use_loop is True
    assert settings.inference_only is False
    assert all(
        getattr(settings, name) is None
        for name in ("planner", "sorter", "simplifications", "lif_smoothing", "learning_phase")
    )


@pytest.mark.parametrize("name", VALID)
def test_every_option_is_read_back(name):
    with nengo.Network() as net:
        configure_settings(**{name: VALID[name]})
    assert set(VALID) == {f.name for f in fields(Settings)}
    assert Settings.of(net) == Settings(**{name: VALID[name]})
    assert get_setting(net, name, default="unset") == VALID[name]


def test_every_option_is_documented():
    for name in ("trainable", *VALID):
        assert f"\n{name} : " in configure_settings.__doc__
    assert "<OPTIONS>" not in configure_settings.__doc__


def test_empty_simplifications_are_not_the_default():
    with nengo.Network() as net:
        configure_settings(simplifications=[])
    assert Settings.of(net).simplifications == ()


def test_calls_change_only_what_they_name_and_override():
    with nengo.Network() as net:
        configure_settings(dtype="float64", stateful=False)
        configure_settings(dtype="float16")
    assert Settings.of(net) == Settings(dtype="float16", stateful=False)


def test_settings_go_to_the_toplevel_network():
    with nengo.Network() as net:
        with nengo.Network() as subnet:
            configure_settings(dtype="float64", keep_history=False, trainable=False)
    assert Settings.of(net) == Settings(dtype="float64", keep_history=False)
    assert Settings.of(subnet) == Settings()
    with pytest.raises(AttributeError):
        net.config[nengo.Ensemble].trainable  # noqa: B018
    assert subnet.config[nengo.Ensemble].trainable is False


def test_nengo_config_is_equivalent():
    net = nengo.Network()
    net.config.configures(nengo.Network)
    net.config[nengo.Network].set_param("planner", Parameter("planner", default=len))
    net.config[nengo.Network].set_param("unset", Parameter("unset"))
    net.config[nengo.Network].set_param("sorter", Parameter("sorter"))
    assert Settings.of(net) == Settings(planner=len)
    net.config[nengo.Network].planner = abs
    assert Settings.of(net).planner is abs
    with net:
        configure_settings(planner=max)
    assert net.config[nengo.Network].planner is max
    assert get_setting(net, "unset", default=3) == 3


def test_unconfigurable_nengo_parameters_are_validated_when_read():
    net = nengo.Network()
    net.config.configures(nengo.Network)
    net.config[nengo.Network].set_param("stateful", Parameter("stateful", default="yes"))
    with pytest.raises(ValidationError, match="stateful: got 'yes', expected True or False"):
        Settings.of(net)


def test_outside_a_network():
    with pytest.raises(NetworkContextError, match="inside `with network:`"):
        configure_settings(dtype="float64")


def test_unknown_option_names_the_known_ones():
    with (
        nengo.Network(),
        pytest.raises(ConfigError, match="unknown option 'dtyp'; .*trainable.*dtype"),
    ):
        configure_settings(dtyp="float64")


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("trainable", 5, "True, False or None"),
        ("trainable", "no", "True, False or None"),
        ("planner", "tree", "a callable or None"),
        ("sorter", 1, "a callable or None"),
        ("simplifications", len, "a sequence of callables or None"),
        ("simplifications", ["x"], "a sequence of callables or None"),
        ("skip_passes", "pack", "a sequence of names"),
        ("skip_passes", [len], "a sequence of names"),
        ("inference_only", None, "True or False"),
        ("lif_smoothing", 0, "a number greater than 0, or None"),
        ("lif_smoothing", True, "a number greater than 0, or None"),
        ("lif_smoothing", "1", "a number greater than 0, or None"),
        ("dtype", "int32", "one of 'float16', 'float32', 'float64'"),
        ("keep_history", "last", "True or False"),
        ("stateful", 1, "True or False"),
        ("use_loop", None, "True or False"),
        ("learning_phase", 0, "True, False or None"),
        ("checkpoint_steps", 0, "a whole number greater than 0, 'auto' or None"),
        ("checkpoint_steps", 2.5, "a whole number greater than 0, 'auto' or None"),
        ("checkpoint_steps", True, "a whole number greater than 0, 'auto' or None"),
        ("training_memory", 0, "a number of bytes greater than 0, or None"),
        ("training_memory", "1 GB", "a number of bytes greater than 0, or None"),
        ("checkpoint_steps", "all", "a whole number greater than 0, 'auto' or None"),
    ],
)
def test_values_are_validated_at_once(name, value, expected):
    with nengo.Network() as net:
        with pytest.raises(ValidationError, match=f"Network.{name}: got .*, expected {expected}"):
            configure_settings(use_loop=False, **{name: value} if name != "use_loop" else {})
            configure_settings(**{name: value})
    if name != "use_loop":
        assert Settings.of(net).use_loop is True, "nothing is changed by a call that fails"


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), None, 32])
def test_dtype_must_be_a_string(dtype):
    with nengo.Network(), pytest.raises(TypeError, match="expected one of the strings 'float16'"):
        configure_settings(dtype=dtype)


def test_later_assignments_are_validated():
    with nengo.Network() as net:
        configure_settings(dtype="float64", trainable=None, keep_history=True)
        ens = nengo.Ensemble(5, 1)
        probe = nengo.Probe(ens)
    with pytest.raises(ValidationError, match="expected one of"):
        net.config[nengo.Network].dtype = "int8"
    with pytest.raises(ValidationError, match="bool"):
        net.config[nengo.Ensemble].trainable = 5
    with pytest.raises(ValidationError, match="bool"):
        net.config[ens].trainable = 5
    with pytest.raises(ValidationError, match="bool"):
        net.config[probe].keep_history = "x"


def test_numpy_booleans_are_accepted():
    with nengo.Network() as net:
        configure_settings(stateful=np.bool_(False), trainable=np.bool_(False))
        ens = nengo.Ensemble(5, 1)
    assert Settings.of(net).stateful is False
    assert resolve_trainable(net)(ens) is False


def test_inference_only_excludes_training_behaviour():
    with nengo.Network() as net:
        configure_settings(inference_only=True, learning_phase=True)
    with pytest.raises(BuildError, match="learning_phase=True cannot force it"):
        Settings.of(net)


def test_keep_history_per_probe():
    with nengo.Network() as net:
        configure_settings(keep_history=False)
        with nengo.Network():
            node = nengo.Node([0])
            kept, dropped = nengo.Probe(node), nengo.Probe(node)
    assert not keep_history(net, kept)
    net.config[kept].keep_history = True
    assert keep_history(net, kept)
    assert not keep_history(net, dropped)
    assert Settings.of(net).keep_history is False
    assert isinstance(net.config[nengo.Probe].get_param("keep_history"), BoolParam)


def test_keep_history_when_not_configured():
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node([0]))
    assert keep_history(net, probe) is True
    assert keep_history(None, probe) is True


def test_get_setting():
    with nengo.Network() as net:
        configure_settings(dtype="float64", trainable=False, keep_history=False)
        ens = nengo.Ensemble(5, 1)
    model = nengo.builder.Model()
    assert get_setting(model, "dtype") is None
    assert get_setting(None, "dtype", default="x") == "x"
    model.build(net)
    assert get_setting(model, "dtype") == "float64"
    assert get_setting(net, "planner") is None
    assert get_setting(net, "planner", default=len) is len
    assert get_setting(net, "nonsense", default=1) == 1
    assert get_setting(net, "trainable", obj=ens) is False
    assert get_setting(net, "trainable", obj=ens.neurons) is False
    assert get_setting(net, "keep_history") is False


def test_reading_does_not_write():
    with nengo.Network() as net:
        configure_settings(trainable=False, keep_history=False)
        ens = nengo.Ensemble(5, 1)
        probe = nengo.Probe(ens)
    before = set(net.config.params)
    resolve_trainable(net)(ens)
    keep_history(net, probe)
    Settings.of(net)
    assert set(net.config.params) == before


@pytest.mark.parametrize("duplicate", [nengo.Network.copy, lambda n: pickle.loads(pickle.dumps(n))])
def test_settings_survive_copying(duplicate):
    with nengo.Network() as net:
        configure_settings(dtype="float64", planner=identity, trainable=False)
        nengo.Ensemble(5, 1)
    net.config[net.ensembles[0]].trainable = True
    new = duplicate(net)
    assert Settings.of(new) == Settings(dtype="float64", planner=identity)
    assert resolve_trainable(new)(new.ensembles[0])
    assert not resolve_trainable(new)(new.ensembles[0].neurons)


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        Settings().dtype = "float64"


def make_network():
    """An ensemble and a connection on each of two levels."""
    with nengo.Network() as net:
        outer = nengo.Ensemble(5, 1)
        with nengo.Network() as subnet:
            inner = nengo.Ensemble(5, 1)
            inner_conn = nengo.Connection(inner, inner)
        outer_conn = nengo.Connection(outer, inner)
    return net, subnet, outer, inner, outer_conn, inner_conn


def test_everything_is_trainable_by_default():
    net, _, outer, inner, *conns = make_network()
    trainable = resolve_trainable(net)
    for obj in (outer, inner, outer.neurons, inner.neurons, *conns):
        assert trainable(obj) is True
        assert trainable.setting(obj) is None


def test_class_default_reaches_every_level_whatever_the_order():
    net, _, outer, inner, *conns = make_network()
    with net:
        configure_settings(trainable=False)
        late = nengo.Ensemble(5, 1)
    trainable = resolve_trainable(net)
    for obj in (outer, inner, late, outer.neurons, inner.neurons, *conns):
        assert trainable(obj) is False
        assert trainable.setting(obj) is False


def test_ensemble_class_does_not_reenable_biases():
    net, _, outer, inner, outer_conn, _ = make_network()
    with net:
        configure_settings(trainable=False)
    net.config[nengo.Ensemble].trainable = True
    trainable = resolve_trainable(net)
    assert trainable(outer) and trainable(inner)
    assert not trainable(outer.neurons) and not trainable(inner.neurons)
    assert not trainable(outer_conn)


def test_trainable_has_to_be_configured_before_it_is_set():
    net, subnet, outer, inner, *_ = make_network()
    with net:
        configure_settings(dtype="float64")
    with pytest.raises(AttributeError, match="trainable"):
        net.config[outer].trainable = False
    with subnet:
        configure_settings(trainable=None)
    subnet.config[inner].trainable = False
    with pytest.raises(AttributeError, match="trainable"):
        net.config[outer].trainable = False
    assert not resolve_trainable(net)(inner) and resolve_trainable(net)(outer)


def test_instance_beats_class():
    net, _, outer, _, outer_conn, inner_conn = make_network()
    with net:
        configure_settings(trainable=False)
    net.config[outer_conn].trainable = True
    net.config[outer.neurons].trainable = True
    trainable = resolve_trainable(net)
    assert trainable(outer_conn) and not trainable(inner_conn)
    assert trainable(outer.neurons) and not trainable(outer)
    assert trainable.setting(outer_conn) is True


def test_instance_none_is_no_opinion():
    net, subnet, _, inner, *_ = make_network()
    with net:
        configure_settings(trainable=True)
    with subnet:
        configure_settings(trainable=False)
    subnet.config[inner].trainable = None
    trainable = resolve_trainable(net)
    assert trainable.setting(inner) is True
    assert trainable(inner.neurons) is False


def test_deeper_class_beats_shallower_instance():
    net, subnet, outer, inner, *_ = make_network()
    with net:
        configure_settings(trainable=None)
        with subnet:
            configure_settings(trainable=False)
    net.config[inner].trainable = True
    trainable = resolve_trainable(net)
    assert not trainable(inner) and trainable(outer)


def test_deeper_none_inherits():
    net, subnet, _, inner, *_ = make_network()
    with net:
        configure_settings(trainable=False)
        with subnet:
            configure_settings(trainable=None)
    assert not resolve_trainable(net)(inner)


def test_parent_instance_beats_parent_class_inside_subnetwork():
    net, _, _, inner, *_ = make_network()
    with net:
        configure_settings(trainable=False)
    net.config[inner].trainable = True
    trainable = resolve_trainable(net)
    assert trainable(inner) and not trainable(inner.neurons)


def test_biases_follow_the_ensemble_without_an_opinion_of_their_own():
    net, _, outer, inner, *_ = make_network()
    with net:
        configure_settings(trainable=None)
    net.config[outer].trainable = False
    trainable = resolve_trainable(net)
    assert not trainable(outer) and not trainable(outer.neurons)
    assert trainable.setting(outer.neurons) is False
    assert trainable(inner.neurons)


def test_inference_only_overrides():
    net, _, outer, *_ = make_network()
    with net:
        configure_settings(trainable=True, inference_only=True)
    trainable = resolve_trainable(net)
    assert not trainable(outer) and not trainable(outer.neurons)


def test_objects_outside_the_network_are_not_trainable():
    net, *_ = make_network()
    _, _, foreign, *_ = make_network()
    assert not resolve_trainable(net)(foreign)
    assert not resolve_trainable(None)(foreign)


def test_subclass_of_ensemble():
    class MyEnsemble(nengo.Ensemble):
        pass

    with nengo.Network() as net:
        configure_settings(trainable=False)
        with net.config:
            ens = MyEnsemble(5, 1, add_to_container=False)
            net.ensembles.append(ens)
    assert not resolve_trainable(net)(ens)
