# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Coming from TensorFlow
#
# You know `keras.layers.Dense`, `compile` and `fit`. This notebook builds the same autoencoder in
# Keras and in Nengo, trains both, and then shows what Nengo has that Keras has not: neurons that
# live in time, tensors and layers between them, and weights that need no training.
#
# The data are 5,000 images of MNIST, as they come: grey levels from 0 to 255.

# %% tags=["remove-cell"]
import os

QUICK = "NENGO_DL_DOCS_QUICK" in os.environ

# %%
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_dl

clone = Path(nengo_dl.__file__).parents[1]
with np.load(clone / "examples" / "data" / "mnist_5k.npz", allow_pickle=False) as data:
    images = data["images"].reshape(-1, 784).astype("float32")
train, test = images[: 500 if QUICK else 4000], images[4000:]
EPOCHS = 2 if QUICK else 15
MINIBATCH = 50

# %% [markdown]
# ## An autoencoder, in Keras

# %%
keras.utils.set_random_seed(0)
inputs = keras.Input((784,))
hidden = keras.layers.Dense(64, activation="relu")(inputs)
outputs = keras.layers.Dense(784, activation="relu")(hidden)
model = keras.Model(inputs, outputs)

model.compile(keras.optimizers.RMSprop(1e-3), loss="mse")
in_keras = model.fit(train, train, batch_size=MINIBATCH, epochs=EPOCHS, verbose=0).history["loss"]
keras_error = model.evaluate(test, test, verbose=0)

# %% [markdown]
# ## The same, in Nengo
#
# A layer of Keras is weights and a nonlinearity in one. In Nengo these are two objects:
#
# | Keras | Nengo |
# |---|---|
# | `keras.Input` | `nengo.Node` |
# | the activation of a layer, its units and biases | `nengo.Ensemble` and its `.neurons` |
# | the kernel of a layer | `nengo.Connection`, whose `transform` it is |
# | an output of a model | `nengo.Probe` |
#
# An ensemble has gains besides its biases (each neuron gets gain × input + bias), and a connection
# has a synapse, which filters over time. Without them (gain 1, bias 0, `synapse=None`) an
# ensemble is a layer of plain units.

# %%
with nengo.Network(seed=0) as net:
    net.config[nengo.Ensemble].neuron_type = nengo.RectifiedLinear()
    net.config[nengo.Ensemble].gain = nengo.dists.Choice([1])
    net.config[nengo.Ensemble].bias = nengo.dists.Choice([0])
    net.config[nengo.Connection].synapse = None

    image = nengo.Node(np.zeros(784), label="image")
    code = nengo.Ensemble(64, 1, label="code").neurons
    reconstruction = nengo.Ensemble(784, 1, label="reconstruction").neurons
    nengo.Connection(image, code, transform=nengo_dl.dists.Glorot())
    nengo.Connection(code, reconstruction, transform=nengo_dl.dists.Glorot())
    probe = nengo.Probe(reconstruction, label="probe")

# %% [markdown]
# A `Simulator` compiles the network for a fixed minibatch. Its methods are those of a Keras model.
# What is different is an axis: every array has one for time, between items and features.
# A layer that knows no time is trained with a single step.

# %%
sim = nengo_dl.Simulator(net, minibatch_size=MINIBATCH, seed=0, progress_bar=False)
print("Keras predicts: ", model.predict(test[:MINIBATCH], verbose=0).shape)
print("nengo_dl predicts:", sim.predict(test[:MINIBATCH, None])[probe].shape)

# %%
keras.utils.set_random_seed(0)
sim.compile(keras.optimizers.RMSprop(1e-3), loss="mse")
in_nengo = sim.fit(train[:, None], train[:, None], epochs=EPOCHS, verbose=0).history["loss"]
nengo_error = sim.evaluate(test[:, None], test[:, None], verbose=0)["loss"]

print("squared grey levels  first epoch   last epoch   test")
print(f"Keras               {in_keras[0]:12.0f} {in_keras[-1]:12.0f} {keras_error:6.0f}")
print(f"nengo_dl            {in_nengo[0]:12.0f} {in_nengo[-1]:12.0f} {nengo_error:6.0f}")

# %%
shown = test[:5]
rows = {
    "digit": shown,
    "Keras": model.predict(shown, verbose=0),
    "nengo_dl": sim.predict(test[:MINIBATCH, None])[probe][:5, 0],
}
sim.close()
figure, grid = plt.subplots(3, 5, figsize=(6, 3.6), layout="constrained")
for axes_of_row, (label, row) in zip(grid, rows.items(), strict=True):
    axes_of_row[0].set_ylabel(label)
    for axes, picture in zip(axes_of_row, row, strict=True):
        axes.imshow(picture.reshape(28, 28), cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
plt.show()

# %% tags=["remove-cell"]
assert in_nengo[-1] < in_nengo[0] * (0.9 if QUICK else 0.5)
assert abs(nengo_error - keras_error) < 0.15 * keras_error

# %% [markdown]
# The weights are drawn from the same distribution, but not the same ones, and so the errors are
# alike and not equal. The full experiment is two epochs of all 60,000 images, which are 2,400
# batches, twice as many as here.
#
# ## Neurons in time
#
# Now something without a counterpart in Keras. Ten rectified linear units are shown a sine, and
# ten *spiking* ones of the same gains and biases. A unit has an output in each step; a spiking
# neuron sums up its input and sends a pulse when the sum is large enough, so that its information
# is in how often.

# %%
with nengo.Network() as net:
    wave = nengo.Node(lambda t: np.sin(2 * np.pi * t), label="wave")
    rate = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear(), seed=2)
    spiking = nengo.Ensemble(10, 1, neuron_type=nengo.SpikingRectifiedLinear(), seed=2)
    for ensemble in (rate, spiking):
        nengo.Connection(wave, ensemble)
    rate_probe, spike_probe = nengo.Probe(rate.neurons), nengo.Probe(spiking.neurons)

with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run(1.0)
t, rates, spikes = sim.trange(), sim.data[rate_probe], sim.data[spike_probe]

# %% [markdown]
# A low-pass filter of 50 ms, which is what a synapse is, gives back the rates, a little later and
# rippled. That ripple is what spikes cost, and the filter's delay is what it costs to be rid of
# it.

# %%
smooth = nengo.Lowpass(0.05).filt(spikes, dt=sim.dt)
delayed = nengo.Lowpass(0.05).filt(rates, dt=sim.dt)

figure, (top, middle, bottom) = plt.subplots(
    3, 1, figsize=(7, 5), sharex=True, layout="constrained"
)
top.plot(t, rates)
top.set(ylabel="units [Hz]")
middle.eventplot([t[spikes[:, n] > 0] for n in range(10)], colors="k", lw=0.5)
middle.set(ylabel="spikes of neuron")
bottom.plot(t, smooth)
bottom.set(ylabel="filtered [Hz]", xlabel="time [s]")
plt.show()

n_spikes, expected = np.sum(spikes > 0), rates.sum() * sim.dt
ripple = np.sqrt(np.mean((smooth - delayed) ** 2))
print(f"{n_spikes} spikes in a second; the rates add up to {expected:.0f}")
print(f"filtered spikes differ from filtered rates by {ripple:.0f} Hz (RMS), of {rates.max():.0f}")

# %% tags=["remove-cell"]
assert abs(n_spikes - expected) <= 10  # less than one for each neuron
assert ripple < 0.1 * rates.max()

# %% [markdown]
# ## Tensors between neurons
#
# What Nengo does not have, Keras may. A `TensorNode` is a node whose function gets tensors: the
# time in seconds, and the input with an axis of items. It is compiled with the network.

# %%
with nengo.Network() as net:
    value = nengo.Node([0.5, -0.1], label="value")
    later = nengo_dl.TensorNode(lambda t, x: x + t, shape_in=(2,))
    nengo.Connection(value, later, synapse=None)
    later_probe = nengo.Probe(later)

with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run_steps(10)
print(np.round(sim.data[later_probe], 3))

# %% tags=["remove-cell"]
steps = 0.001 * np.arange(1, 11)[:, None]
assert np.allclose(sim.data[later_probe], np.array([0.5, -0.1]) + steps, atol=1e-6)

# %% [markdown]
# Layers have weights, and those are trained with the rest. `nengo_dl.Layer` makes the node and the
# connection to it in one expression, as in the functional interface of Keras. Here, the rates of
# ten neurons, of very different size, are normalised, and a dense layer learns from them what the
# square of the input is.


# %%
class Scale(keras.layers.Layer):
    """Multiplies by a weight: a layer of one's own is as good as one of Keras's."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

    def call(self, inputs):
        return self.factor * inputs


normalise, scale = keras.layers.BatchNormalization(momentum=0.9), Scale()
with nengo.Network(seed=0) as net:
    nengo_dl.configure_settings(trainable=False)  # of Nengo's objects; layers are trained
    x = nengo.Node([0.0], label="x")
    ensemble = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear(), seed=2)
    nengo.Connection(x, ensemble, synapse=None)
    normal = nengo_dl.Layer(normalise)(ensemble.neurons)
    square = nengo_dl.Layer(keras.layers.Dense(1))(normal)
    square_probe = nengo.Probe(nengo_dl.Layer(scale)(square), label="square")
    rates_probe = nengo.Probe(ensemble.neurons)

xs = np.random.default_rng(0).uniform(-1, 1, (2000, 1, 1))
with nengo_dl.Simulator(net, minibatch_size=50, seed=0, progress_bar=False) as sim:
    keras.utils.set_random_seed(0)
    sim.compile(keras.optimizers.Adam(0.01), loss={square_probe: "mse"})
    losses = sim.fit(xs, {square_probe: xs**2}, epochs=5 if QUICK else 20, verbose=0)
    losses = losses.history["loss"]
    means = sim.predict(xs)[rates_probe].mean(axis=(0, 1))

print(f"error of the square: {losses[0]:.3f} in the first epoch, {losses[-1]:.4f} in the last")
print("the weight of Scale:", np.round(float(scale.factor), 3))
print("mean rates:         ", np.round(means))
print("moving means [Hz]:  ", np.round(np.asarray(normalise.moving_mean)))

# %% tags=["remove-cell"]
assert losses[-1] < losses[0] / 2 and losses[-1] < 0.02
assert float(scale.factor) != 1
assert np.allclose(means, np.asarray(normalise.moving_mean), rtol=0.3, atol=5)

# %% [markdown]
# `fit` updated the moving averages too, as `fit` of Keras does; `predict` and `run` use them.
#
# ## Weights that need no training
#
# The other way to a network that does something is the Neural Engineering Framework, in which
# Nengo was made. An ensemble *represents* a value: each of its neurons prefers some of them (its
# encoder), and a linear decoder gives the value back, or a function of it. Such decoders are a
# least-squares problem, which is solved when the network is built. Here is sin(x²) of a random
# signal, of two ensembles of spiking neurons that never saw a gradient:

# %%
with nengo.Network(seed=0) as net:
    signal = nengo.Node(nengo.processes.WhiteSignal(period=1, high=5, rms=0.3), label="signal")
    first, second = nengo.Ensemble(50, 1), nengo.Ensemble(50, 1)
    result = nengo.Node(size_in=1, label="result")
    nengo.Connection(signal, first)
    nengo.Connection(first, second, function=np.square)
    nengo.Connection(second, result, function=np.sin)
    signal_probe, result_probe = nengo.Probe(signal), nengo.Probe(result, synapse=0.01)

with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run(1.0)
wanted = np.sin(sim.data[signal_probe] ** 2)
late = nengo.Lowpass(0.01).filt(wanted, dt=sim.dt)
for _ in range(2):  # the two synapses on the way, of 5 ms each
    late = nengo.Lowpass(0.005).filt(late, dt=sim.dt)
error = np.sqrt(np.mean((sim.data[result_probe] - late) ** 2))
print(f"error besides the delay of the synapses: {error:.3f} (RMS)")

# %%
figure, axes = plt.subplots(figsize=(7, 2.5), layout="constrained")
axes.plot(sim.trange(), wanted, "k", lw=1, label="sin(x²)")
axes.plot(sim.trange(), sim.data[result_probe], lw=1, label="decoded from spikes")
axes.set(xlabel="time [s]")
axes.legend(frameon=False)
plt.show()

# %% tags=["remove-cell"]
assert error < 0.05

# %% [markdown]
# Both ways go together: what was solved can be trained further, as [](from_nengo.py) does. And
# what was trained goes back to Nengo with `sim.freeze_params(net)`, for every other back end of
# it, on neuromorphic hardware too.
#
# From here: [a Keras model inside of a network](keras_models.py), [a trained Keras model as
# spikes](keras_to_spikes.py), [the two vocabularies side by side](../reference/glossary.md).
