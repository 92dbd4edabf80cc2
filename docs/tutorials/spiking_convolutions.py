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
# is time: with spikes, an answer is not there at once, it settles.
#
# The data are 5,000 images of MNIST: 4,000 to train, 500 to test.

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
n_train, n_test = (800, 100) if QUICK else (4000, 500)
x_train, y_train = images[:n_train].reshape(n_train, 1, 784), labels[:n_train, None, None]
x_test, y_test = images[4000 : 4000 + n_test].reshape(n_test, 1, 784), labels[4000 : 4000 + n_test]
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
# - Voltages begin anywhere between rest and threshold. Otherwise all neurons would need the same
#   time to their first spike, and the layers behind them would wait.
# - No synapses between layers. They would smooth the spikes, and delay them; we smooth the scores
#   alone, at the end.
#
# A convolution is a *transform*: it says how a connection connects. Nonlinearities are neurons.

# %%
MAX_RATE = 200  # of neurons at an input of 1 [Hz]
FILTERS = (8, 16) if QUICK else (16, 32)

with nengo.Network(seed=0) as net:
    nengo_dl.configure_settings(stateful=False)  # each digit begins with the same voltages
    neurons = net.config[nengo.Ensemble]
    neurons.neuron_type = nengo.LIF(
        amplitude=1 / MAX_RATE, initial_state={"voltage": nengo.dists.Uniform(0, 1)}
    )
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
# A test item is an image that stands still for 30 steps, that is 30 ms. What counts is the smooth
# score of the last of them.

# %%
STEPS = 30


def tested(sim):
    """Return smooth scores (n, STEPS, 10), and what part is right after each step."""
    still = np.tile(x_test, (1, STEPS, 1))
    found = sim.predict({image: still})
    guesses = np.argmax(found[smooth_probe], axis=2)
    return found, np.mean(guesses == y_test[:, None], axis=0)


sim = nengo_dl.Simulator(net, minibatch_size=MINIBATCH, seed=0, progress_bar=False)
_, untrained = tested(sim)
print(f"right before training: {untrained[-1]:.1%}")

# %% [markdown]
# ## Training with rates
#
# `fit` lets LIF neurons give their firing rates, which have a derivative. Rates know no time, so
# that an item is one step, and an epoch of this spiking network costs what one of a Keras model
# does. Scores are trained where they are not smoothed: after one step, a filter of 100 ms has
# hardly begun.

# %%
EPOCHS = 4 if QUICK else 12
keras.utils.set_random_seed(0)
decay = keras.optimizers.schedules.CosineDecay(3e-3, EPOCHS * n_train // MINIBATCH)
sim.compile(
    keras.optimizers.Adam(decay),
    loss={scores_probe: keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
    metrics={scores_probe: "accuracy"},
)
history = sim.fit({image: x_train}, {scores_probe: y_train}, epochs=EPOCHS, verbose=0).history
print(f"right while training, with rates: {history['scores_accuracy'][-1]:.1%}")

found, trained = tested(sim)
print(f"right after training, with spikes: {trained[-1]:.1%}")

# %% tags=["remove-cell"]
assert untrained[-1] < 0.3
assert trained[-1] > (0.5 if QUICK else 0.7), trained[-1]  # 64 minibatches teach less

# %% [markdown]
# ## What spikes look like
#
# One digit, a hundred neurons of each layer, and the ten smooth scores. And, for all test digits,
# when answers become right:

# %%
figure, (picture, first, second, curves, right) = plt.subplots(
    1, 5, figsize=(13, 2.8), layout="constrained"
)
picture.imshow(x_test[0].reshape(28, 28), cmap="gray")
picture.set(xticks=[], yticks=[])
milliseconds = np.arange(1, STEPS + 1)
for axes, probe, n_filters in zip((first, second), spike_probes, FILTERS, strict=True):
    step, neuron = np.nonzero(found[probe][0])
    axes.plot(step + 1, neuron, "k,")
    axes.set(xlabel="time [ms]", ylabel="neuron", title=f"{n_filters} filters", xlim=(0, STEPS))
curves.plot(milliseconds, found[smooth_probe][0], color="0.7")
curves.plot(milliseconds, found[smooth_probe][0][:, y_test[0]], label=f"score of {y_test[0]}")
curves.set(xlabel="time [ms]")
curves.legend(frameon=False)
right.plot(milliseconds, trained)
right.set(xlabel="time [ms]", ylabel="part that is right", ylim=(0, 1))
plt.show()

rates = [MAX_RATE * found[probe].mean() for probe in spike_probes]
print("mean firing rates [Hz]:", np.round(rates))

# %% tags=["remove-cell"]
assert trained[2] < trained[-1]  # spikes take their time
assert all(1 < rate < 300 for rate in rates)

# %% [markdown]
# With spikes, after 30 ms, fewer test digits are right than training digits were with rates. How
# much of that is due to spikes, and how much to digits that are new, this notebook does not
# measure. [](../howto/training.md) tells what may help: synapses between the layers, more steps,
# or training with the spikes themselves.
#
# In the first steps little is known: each neuron has spiked once or not at all. Then the answers
# come faster than the filter's 100 ms, because it is which score is largest that matters, not
# whether it is settled.
#
# ## What was learned is Nengo's
#
# Weights and biases go back into the network. Nengo's own simulator, which knows nothing of what
# trained them, gives the same spikes.

# %%
digit = np.tile(x_test[:1], (MINIBATCH, STEPS, 1))
expected = sim.predict({image: digit})[smooth_probe][0]
sim.freeze_params(net)
sim.close()

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
# script changes but numbers: `FILTERS`, the strides, and the data. With augmented images, and
# training with the spikes themselves afterwards, `examples/spiking_digits.py` of the repository
# gets more out of the 4,000: [](../howto/training.md) tells how, and [](../explanation/which.md)
# when.
