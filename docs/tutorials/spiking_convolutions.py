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
# # A spiking convolutional network on digits
#
# A network of LIF neurons that sees 28 × 28 pixels and says which digit they are, by spikes. It is
# built of Nengo's objects, trained with its firing rates, and tested with spikes. What to look at
# is time: with spikes, an answer is not there at once, it settles; and spikes have to be smoothed
# before they are worth as much as rates.
#
# The data are 5,000 images of MNIST: 4,000 to train, 500 to validate, 500 to test. Each image to
# train with is there six times, five of them moved by up to two pixels. What was chosen for this
# page (numbers of filters, copies and epochs, synapses) was chosen on the images to validate. Those
# to test appear once, in the end, when nothing is left to choose.

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
    images, labels = data["images"].astype("float32") / 255, data["labels"].astype(int)
n_train, n_each, n_copies = (800, 100, 1) if QUICK else (4000, 500, 6)


def moved(pictures, rng):
    """Return images (n, 784), each moved by -2 to 2 pixels down and to the right."""
    shifts = rng.integers(-2, 3, size=(len(pictures), 2))
    pairs = zip(pictures.reshape(-1, 28, 28), shifts, strict=True)
    return np.stack([np.roll(picture, shift, axis=(0, 1)) for picture, shift in pairs])


rng = np.random.default_rng(0)
copies = [images[:n_train]] + [moved(images[:n_train], rng) for _ in range(n_copies - 1)]
x_train = np.concatenate([copy.reshape(n_train, 1, 784) for copy in copies])
y_train = np.tile(labels[:n_train], n_copies)[:, None, None]
validation, test = slice(4000, 4000 + n_each), slice(4500, 4500 + n_each)
x_valid, y_valid = images[validation].reshape(n_each, 1, 784), labels[validation]
x_test, y_test = images[test].reshape(n_each, 1, 784), labels[test]
MINIBATCH = 50

# %% [markdown]
# ## The network
#
# Some settings make of Nengo's neurons what a deep network needs:
#
# - All have the same gain and bias: `max_rates` and `intercepts` are choices of one value. What
#   makes them differ will be learned.
# - `amplitude` scales the spikes. Neurons that fire at 200 Hz put out 200, and the next layer would
#   get two hundred times what it should; with 1/200 they put out about 1.
# - No synapses between layers, for the time being: training will take a single step, in which a
#   synapse lets next to nothing through.
#
# A convolution is a *transform*: it says how a connection connects. Nonlinearities are neurons.

# %%
MAX_RATE = 200  # of neurons at an input of 1 [Hz]
FILTERS = (8, 16) if QUICK else (32, 64)

with nengo.Network(seed=0) as net:
    nengo_dl.configure_settings(stateful=False)  # each digit begins with the same voltages
    neurons = net.config[nengo.Ensemble]
    neurons.neuron_type = nengo.LIF(amplitude=1 / MAX_RATE)
    neurons.max_rates = nengo.dists.Choice([MAX_RATE])
    neurons.intercepts = nengo.dists.Choice([0])
    net.config[nengo.Connection].synapse = None

    image = nengo.Node(np.zeros(784), label="image")
    layer, shape, layers = image, (28, 28, 1), []
    for n_filters in FILTERS:
        convolution = nengo.Convolution(
            n_filters, shape, kernel_size=(3, 3), strides=(2, 2), init=nengo_dl.dists.Glorot()
        )
        ensemble = nengo.Ensemble(convolution.output_shape.size, 1, label=f"{n_filters} filters")
        nengo.Connection(layer, ensemble.neurons, transform=convolution)
        layer, shape = ensemble.neurons, convolution.output_shape
        layers.append(layer)
    scores = nengo.Node(size_in=10, label="scores")
    nengo.Connection(layer, scores, transform=nengo_dl.dists.Glorot())

    scores_probe = nengo.Probe(scores, label="scores")
    smooth_probe = nengo.Probe(scores, synapse=0.1, label="smooth")
    spike_probes = [nengo.Probe(layer[:: layer.size_in // 100]) for layer in layers]  # some

print(f"{net.n_neurons} neurons")

# %% [markdown]
# ## With spikes, before training
#
# An item is now an image that stands still for 30 steps, that is 30 ms. What counts is the smooth
# score of the last of them.

# %%
STEPS = 30


def spiking(sim, x, y):
    """Return what was probed (n, STEPS, size), and what part is right after each step."""
    found = sim.predict({image: x}, n_steps=STEPS)
    guesses = np.argmax(found[smooth_probe], axis=2)
    return found, np.mean(guesses == y[:, None], axis=0)


sim = nengo_dl.Simulator(net, minibatch_size=MINIBATCH, seed=0, progress_bar=False)
_, untrained = spiking(sim, x_valid, y_valid)
print(f"right before training: {untrained[-1]:.1%}")

# %% [markdown]
# ## Training with rates
#
# `fit` lets LIF neurons give their firing rates, which have a derivative. Rates know no time, so
# that an item is one step, and an epoch of this spiking network costs what one of a Keras model
# does. Scores are trained where they are not smoothed: after one step, a filter of 100 ms has
# hardly begun.

# %%
EPOCHS = 4 if QUICK else 5
keras.utils.set_random_seed(0)
decay = keras.optimizers.schedules.CosineDecay(3e-3, EPOCHS * len(x_train) // MINIBATCH)
sim.compile(
    keras.optimizers.Adam(decay),
    loss={scores_probe: keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
    metrics={scores_probe: "accuracy"},
)
history = sim.fit({image: x_train}, {scores_probe: y_train}, epochs=EPOCHS, verbose=0).history
print(f"right while training, with rates: {history['scores_accuracy'][-1]:.1%}")

# %% [markdown]
# ## With rates, and with spikes
#
# With `spikes=False`, neurons do what they did in training, here with the images to validate. Then
# those are shown to neurons that spike.


# %%
def rating(x, y):
    """Return what was probed with rates (n, 1, size), and what part is right."""
    found = sim.predict({image: x}, spikes=False)
    return found, np.mean(np.argmax(found[scores_probe][:, 0], axis=1) == y)


with_rates, right_with_rates = rating(x_valid, y_valid)
found, unsmoothed = spiking(sim, x_valid, y_valid)


def mean_rates(outputs):
    """Return the mean firing rate of each layer [Hz]."""
    return np.array([MAX_RATE * outputs[probe].mean() for probe in spike_probes])


print(f"right with rates: {right_with_rates:.1%}; with spikes, so far: {unsmoothed[-1]:.1%}")
print("mean firing rates [Hz]:", mean_rates(with_rates).round(), "and", mean_rates(found).round())

# %% [markdown]
# Much is lost, and the firing rates show where: the second layer fires more than it should. A
# spike without a synapse is a pulse of one step, with a height of 1000/MAX_RATE. The current of
# the next neuron jumps up and down; when it jumps up the neuron may fire, and when it jumps down
# it cannot fire less than not at all. So firing rates are too high, however long one waits.
#
# Smoothed spikes are more like rates. So the learned weights go back into the network, and what
# comes from neurons gets a synapse of 5 ms:

# %%
sim.freeze_params(net)
for connection in net.connections:
    if connection.pre_obj is not image:
        connection.synapse = nengo.Lowpass(0.005)

smooth_sim = nengo_dl.Simulator(net, minibatch_size=MINIBATCH, seed=0, progress_bar=False)
found, trained = spiking(smooth_sim, x_valid, y_valid)
print(f"right with spikes and synapses: {trained[-1]:.1%}")
print("mean firing rates [Hz]:", mean_rates(found).round())

# %% tags=["remove-cell"]
assert untrained[-1] < 0.3
assert right_with_rates > (0.6 if QUICK else 0.96), right_with_rates  # 64 minibatches teach less
assert trained[-1] > right_with_rates - 0.03, (trained[-1], right_with_rates)
assert QUICK or unsmoothed[-1] < trained[-1] - 0.1, unsmoothed[-1]
rates, expected_rates = mean_rates(found), mean_rates(with_rates)
assert QUICK or np.all(np.abs(rates - expected_rates) < 0.3 * expected_rates), rates

# %% [markdown]
# ## What spikes look like
#
# One digit, a hundred neurons of each layer, and the ten smooth scores. And, for all digits to
# validate, when answers become right:

# %%
figure, (picture, first, second, curves, right) = plt.subplots(
    1, 5, figsize=(13, 2.8), layout="constrained"
)
picture.imshow(x_valid[0].reshape(28, 28), cmap="gray")
picture.set(xticks=[], yticks=[])
milliseconds = np.arange(1, STEPS + 1)
for axes, probe, n_filters in zip((first, second), spike_probes, FILTERS, strict=True):
    step, neuron = np.nonzero(found[probe][0])
    axes.plot(step + 1, neuron, "k,")
    axes.set(xlabel="time [ms]", ylabel="neuron", title=f"{n_filters} filters", xlim=(0, STEPS))
curves.plot(milliseconds, found[smooth_probe][0], color="0.7")
curves.plot(milliseconds, found[smooth_probe][0][:, y_valid[0]], label=f"score of {y_valid[0]}")
curves.set(xlabel="time [ms]")
curves.legend(frameon=False)
right.plot(milliseconds, trained, label="with synapses")
right.plot(milliseconds, unsmoothed, color="0.7", label="without")
right.axhline(right_with_rates, color="k", lw=0.5)
right.legend(frameon=False, loc="lower right")
right.set(xlabel="time [ms]", ylabel="part that is right", ylim=(0, 1))
plt.show()

# %% tags=["remove-cell"]
assert trained[2] < trained[-1]  # spikes take their time

# %% [markdown]
# The line is what rates have right. In the first steps little is known: each neuron has spiked once
# or not at all, and two synapses have hardly begun. Then the answers come faster than the filter's
# 100 ms, because it is which score is largest that matters, not whether it is settled.
#
# ## The test
#
# Nothing is left to choose. The images to test were neither learned nor looked at so far:

# %%
_, tested_with_rates = rating(x_test, y_test)
sim.close()
found, tested = spiking(smooth_sim, x_test, y_test)
smooth_sim.close()
print(
    f"right of the images to test: {tested[-1]:.1%} with spikes, {tested_with_rates:.1%} with rates"
)

# %% tags=["remove-cell"]
assert tested_with_rates > (0.6 if QUICK else 0.94), tested_with_rates
assert tested[-1] > tested_with_rates - 0.03, (tested[-1], tested_with_rates)

# %% [markdown]
# ## What was learned is Nengo's
#
# Weights and biases are in the network by now. Nengo's own simulator, which knows nothing of what
# trained them, gives the same spikes.

# %%
expected = found[smooth_probe][0]
image.output = x_test[0, 0]
with nengo.Simulator(net, progress_bar=False) as reference:
    reference.run_steps(STEPS)
guess = np.argmax(reference.data[smooth_probe][-1])
print(f"Nengo's simulator says {guess}; it is a {y_test[0]}")
print(f"largest difference: {np.abs(reference.data[smooth_probe] - expected).max():.1e}")

# %% tags=["remove-cell"]
# float32 may move a spike by a step, and with it a score by a little
assert np.abs(reference.data[smooth_probe] - expected).max() < 0.05 * np.abs(expected).max()
assert guess == np.argmax(expected[-1])

# %% [markdown]
# ## The full experiment
#
# All of MNIST (60,000 images to train, `keras.datasets.mnist`), three convolutions of 32, 64 and
# 128 filters, the first of them with a stride of 1, batches of 200 and 10 epochs. Nothing in this
# script changes but numbers: `FILTERS`, the strides, and the data. Training with the spikes
# themselves afterwards is in `examples/spiking_digits.py` of the repository:
# [](../howto/training.md) tells how, and [](../explanation/which.md) when.
