"""Arguments, hooks and data that do not fit: each is told at once, by its name."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_dl.converter import QCFS, Calibrated, Converter, LayerConverter, Percentile, Recipe

layers = keras.layers
X = np.random.RandomState(0).uniform(size=(6, 4)).astype("float32")


def dense(activation="relu", units=3):
    x = keras.Input((4,), name="x")
    y = layers.Dense(5, activation=activation, name="hidden")(x)
    return keras.Model(x, layers.Dense(units, name="out")(y), name="model")


@pytest.mark.parametrize(
    "name",
    ["allow_fallback", "inference_only", "max_to_avg_pool", "split_shared_weights"]
    + ["temporal_model", "true_max_pool"],
)
def test_flags(name):
    with pytest.raises(ValidationError, match=f"{name}: got 'no', expected True or False"):
        Converter(dense(), **{name: "no"})


@pytest.mark.parametrize("synapse", ["a", -1, np.nan, True, [0.1], nengo.Alpha])
def test_synapses(synapse):
    with pytest.raises(ValidationError, match=r"synapse: got .*a time constant \[s\]"):
        Converter(dense("linear"), synapse=synapse)


@pytest.mark.parametrize(
    "swap, message",
    [
        (nengo.LIF, r"LIF is a class; expected an instance, such as LIF\(\)"),
        (layers.ReLU, r"ReLU is a class; expected an instance, such as ReLU\(\)"),
        (nengo.Direct(), "Direct.* has no neurons"),
    ],
)
def test_swaps(swap, message):
    with pytest.raises(ValidationError, match=f"swap_activations: .*{message}"):
        Converter(dense(), swap_activations={keras.activations.relu: swap})


def test_layers_of_scales_that_have_no_neurons():
    model = dense()
    with pytest.warns(UserWarning, match="contained 'out', but neurons were made of none of these"):
        Converter(model, scale_firing_rates={model.layers[2]: 10, model.layers[1]: 10})


@pytest.mark.parametrize("scale", [None, 10])
def test_calibration_that_no_recipe_looks_at(scale):
    with pytest.warns(UserWarning, match="calibration was given, but the recipe .* not look at it"):
        Converter(dense(), calibration=X, scale_firing_rates=scale)


@pytest.mark.parametrize(
    "data, message",
    [
        ((row for row in X), "object of shape .*data sets and generators are not taken"),
        ([[[1, 2], [3]]], "cannot be made an array"),
    ],
)
def test_calibration_that_is_no_array(data, message):
    with pytest.raises(ValidationError, match=f"calibration: data for input 'x' .*{message}"):
        Converter(dense(), scale_firing_rates="auto", calibration=data)


class Own(Recipe):
    """Gives what the test says."""

    def __init__(self, **hooks):
        vars(self).update({name: lambda *_, value=value: value for name, value in hooks.items()})


@pytest.mark.parametrize(
    "hook, value, expected",
    [
        ("activation", None, "a neuron type"),
        ("activation", nengo.LIF, "a neuron type"),
        ("scale", -1.0, "a positive number"),
        ("scale", np.nan, "a positive number"),
        ("scale", "fast", "a positive number"),
        ("scale", np.ones(7), r"each channel or each of \(5,\)"),
        ("scale", np.array([1, 0, 1, 1, 1]), "a positive number"),
        ("initial_state", 0.5, "a dict of state variables"),
        ("initial_state", {"volt": 0.5}, "a dict of state variables of RectifiedLinear.*: none"),
    ],
)
def test_what_the_hooks_of_a_recipe_give(hook, value, expected):
    with pytest.raises(ValidationError, match=f"Own.{hook}: .*for layer 'hidden', .*{expected}"):
        Converter(dense(), recipe=Own(**{hook: value}))


def test_initial_states_may_be_numbers():
    neurons = nengo.SpikingRectifiedLinear()
    recipe = Own(activation=neurons, initial_state={"voltage": 0.5})
    (ens,) = Converter(dense(), recipe=recipe).net.ensembles
    assert ens.neuron_type.initial_state == {"voltage": nengo.dists.Choice([0.5])}
    assert neurons.initial_state != ens.neuron_type.initial_state


@pytest.mark.parametrize("step", [3, -1, None, 0.5, True])
def test_the_readout_is_one_of_the_steps(step):
    with pytest.raises(ValidationError, match="readout: got .*, expected an int from 0 to 2"):
        Converter(dense(), recipe=Own(readout=step)).diagnose(X, n_steps=3)


@pytest.mark.parametrize("start", [4, -1, 1.5, "a", True])
def test_starts_of_diagnoses(start):
    with pytest.raises(ValidationError, match="start: got .*, expected an int from 0 to 3"):
        Converter(dense()).diagnose(X, n_steps=4, start=start)


def test_diagnoses_need_layers():
    x = keras.Input((4,))
    with pytest.raises(ValidationError, match="no layer of model .* there is none to look at"):
        Converter(keras.Model(x, layers.Reshape((2, 2))(x))).diagnose(X)


def test_a_calibrated_recipe_is_for_one_converter():
    recipe = Calibrated()
    Converter(dense(), recipe=recipe, calibration=X)
    with pytest.raises(ValidationError, match="rates of another converter.* a recipe of its own"):
        Converter(dense(), recipe=recipe, calibration=X)


@pytest.mark.parametrize("activation", [layers.ReLU, lambda: layers.Dense(2, layers.ReLU())])
def test_what_was_not_trained_to_spike_needs_data(activation):
    """Rectifiers beside `QCFS` would spike at about 1 Hz, which is never."""
    x = keras.Input((4,))
    model = keras.Model(x, activation()(QCFS(4)(x)))
    with pytest.raises(ValidationError, match="calibration: this recipe looks at activations"):
        Converter(model, recipe=Calibrated())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Calibrated(per_channel="no"), "per_channel: got 'no', expected True or False"),
        (lambda: Calibrated(signed=3), "signed: got 3, expected True or False"),
        (lambda: Calibrated(readout=True), "readout: got True, expected 'auto' or an int"),
        (lambda: Calibrated(Percentile), "method: got <class .*Percentile"),
        (lambda: Percentile("99"), "percent: got '99', expected a number from 0 to 100"),
    ],
)
def test_arguments_of_recipes_of_another_type(make, message):
    with pytest.raises(ValidationError, match=message):
        make()


def test_thresholds_are_not_negative():
    with pytest.raises(ValidationError, match="method: .* 5 finite numbers, .* at least 0"):
        Converter(dense(), recipe=Calibrated(lambda samples: -samples[0] - 1), calibration=X)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(n_steps=[]), r"n_steps: got \[\], expected at least one"),
        (dict(minibatch_size=0), "minibatch_size: got 0, expected a positive int"),
        (dict(metric="accuracy"), "metric: got 'accuracy', expected a function"),
        (dict(y=np.arange(6) % 3 + 1), "y: y has classes from 1 to 3, .* from 0 to 2"),
        (dict(y=np.arange(6) / 2), "y: y has classes from 0.0 to 2.5, .* whole numbers"),
    ],
)
def test_arguments_of_evaluations(arguments, message):
    with pytest.raises(ValidationError, match=message):
        Converter(dense()).evaluate(X, **arguments)


def test_metrics_give_numbers():
    with pytest.raises(ValidationError, match="metric: the metric returned array.*one number"):
        Converter(dense()).evaluate(X, n_steps=1, metric=lambda y, outputs: outputs[0])


@pytest.mark.parametrize("y", [None, np.zeros(6)])
def test_a_single_output_needs_a_metric(y):
    """The largest of one is always the first, so that nothing would be wrong."""
    with pytest.raises(ValidationError, match="a single output.* give a metric, such as lambda y"):
        Converter(dense(units=1)).evaluate(X, y)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(atol="x"), "atol: got 'x', expected a number of at least 0"),
        (dict(rtol=-1), "rtol: got -1, expected a number of at least 0"),
        (dict(inputs={"other": X}), "inputs: got data for 'other', expected 'x'"),
        (dict(inputs=X[:0]), r"inputs: data for input 'x' have shape \(0, 4\)"),
        (dict(inputs=X * np.nan), "inputs: .* not all finite"),
    ],
)
def test_arguments_of_verifications(arguments, message):
    with pytest.raises(ValidationError, match=message):
        Converter(dense()).verify(**arguments)


class Doubled(layers.Layer):
    def call(self, x):
        return x * 2


@pytest.mark.parametrize(
    "made",
    [None, nengo.Node(size_in=2, add_to_container=False), 3]
    + [[nengo.Node(size_in=4, add_to_container=False)] * 2],
)
def test_what_converters_of_layers_return(made):
    class Convert(LayerConverter):
        def convert(self, node_id):
            return made

    x = keras.Input((4,))
    model = keras.Model(x, Doubled(name="double")(x))
    try:
        Converter.register(Doubled)(Convert)
        with pytest.raises(ValidationError, match=r"layer 'double' \(Doubled\) returned .*\[4\]"):
            Converter(model)
    finally:
        Converter.converters.pop(Doubled)


def test_what_is_registered():
    with pytest.raises(ValidationError, match="got 'Dense', expected a class of Keras layers"):
        Converter.register("Dense")
    with pytest.raises(ValidationError, match="got <class 'dict'>, expected a subclass of Layer"):
        Converter.register(Doubled)(dict)
    assert Doubled not in Converter.converters
