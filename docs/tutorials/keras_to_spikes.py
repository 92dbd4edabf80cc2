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
# # From a Keras model to spikes, with diagnosis
#
# A small convolutional network is trained by Keras, as ever. It becomes a spiking network, first
# badly, then well; then one of its layers is spoilt on purpose, and a diagnosis finds which. Two
# ways to *train* for spikes are at the end: levels instead of ReLU, and firing rates as a target.
#
# The data are scikit-learn's digits: 1,797 images of 8 × 8 pixels. The same with MNIST, more
# layers and three seeds is `examples/convert_digits.py` in the repository, which takes an hour.

# %% tags=["remove-cell"]
import os

QUICK = "NENGO_DL_DOCS_QUICK" in os.environ

# %%
import tempfile
from pathlib import Path

import keras
import nengo
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import nengo_dl
from nengo_dl.converter import QCFS, Calibrated, Converter

digits = load_digits()
images = (digits.images / 16).astype("float32")[..., None]
x_train, y_train = images[:1500], digits.target[:1500]
last = slice(1500, 1600 if QUICK else None)
x_test, y_test = images[last], digits.target[last]
MINIBATCH = 50

# %% [markdown]
# ## The model
#
# Maximum pooling has no counterpart among spikes; average pooling has. Everything else is as one
# would have it without any spikes in mind, batch normalisation too.


# %%
def train(activation):
    """Return a model that Keras trained."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 1))
    for name in ("first", "second"):
        x = layers.Conv2D(8 if QUICK else 16, 3, padding="same", name=name)(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        x = activation(name=f"{name}_activation")(x)
        x = layers.AveragePooling2D(2, name=f"{name}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    model = keras.Model(inputs, layers.Dense(10, name="readout")(x), name="digits")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    epochs = 5 if QUICK else 30
    model.fit(x_train, y_train, batch_size=MINIBATCH, epochs=epochs, verbose=0)
    return model


model = train(layers.ReLU)
_, keras_accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"Keras: {keras_accuracy:.1%} right")

# %% [markdown]
# ## Rates, then spikes
#
# Without further arguments, `Converter` makes neurons that do not spike, and the network gives
# the numbers of the model. `inference_only` lets batch normalisation disappear in the weights.

# %%
converter = Converter(model, inference_only=True)
print(converter)
print("the same numbers:", converter.verify(inputs=[x_test[:2]], atol=1e-4))

# %% [markdown]
# Spiking neurons in their place fire as often as their activations say: once a second, for an
# activation of 1. In 32 steps of a millisecond, that is next to nothing.

# %%
steps = (32,) if QUICK else (4, 8, 16, 32)
slow = Converter(
    model,
    inference_only=True,
    swap_activations={nengo.RectifiedLinear(): nengo_dl.IntegrateAndFire()},
).evaluate(x_test, y_test, n_steps=steps)
print(f"right after {steps} steps:", np.round(slow.score, 3))
print(f"mean firing rate: {slow.mean_rate[-1]:.1f} Hz")

# %% [markdown]
# ## By hand
#
# Two things can be turned. `scale_firing_rates` makes neurons fire so much faster, and divides
# their outputs by as much: the function stays, spikes come more often. `synapse` filters the
# spikes between layers: what arrives is smoother, and later. With neither, a layer sees a spike or
# nothing; the faster the neurons are, the less there is to smooth.

# %%
settings = [
    (10, None),
    (10, 0.005),
    (50, None),
    (50, 0.005),
    (250, 0.005),
    (250, None),
    (1000, None),
]
by_hand = {}
for scale, synapse in () if QUICK else settings:
    found = Converter(
        model,
        inference_only=True,
        swap_activations={nengo.RectifiedLinear(): nengo_dl.IntegrateAndFire()},
        scale_firing_rates=scale,
        synapse=synapse,
    ).evaluate(x_test, y_test, n_steps=steps)
    by_hand[scale, synapse] = found.score[-1]
    print(
        f"× {scale:4}, synapse {synapse!s:5}: {found.score[-1]:.1%} right after {steps[-1]} steps,"
        f" {found.mean_rate[-1]:6.0f} Hz"
    )

# %% [markdown]
# Rates are what buys accuracy: three times as many spikes, and almost all is right. A synapse
# needs steps to fill, and so takes from what few spikes tell in 32 steps; where there are enough,
# it changes little, since these neurons integrate what comes anyway. Each spike costs energy on
# the hardware that one converts for, so that one wants rates as low as possible, and for each
# layer just those that it needs.
#
# ## Rates that fit the data
#
# `scale_firing_rates="auto"` looks at the activations on a few hundred items, without labels, and
# scales each channel: a neuron spikes in every step at a threshold that balances clipping and
# coarseness.

# %%
calibrated = Converter(
    model, inference_only=True, scale_firing_rates="auto", calibration=x_train[:300]
)
fast = calibrated.evaluate(x_test, y_test, n_steps=steps)
print(fast)

# %%
figure = fast.plot()

# %% tags=["remove-cell"]
assert keras_accuracy > (0.7 if QUICK else 0.93)
assert slow.score[-1] < 0.5
assert QUICK or by_hand[1000, None] > keras_accuracy - 0.05
assert QUICK or by_hand[10, None] < by_hand[250, None] - 0.1
assert abs(fast.score[-1] - keras_accuracy) < 0.02

# %% [markdown]
# The tables count synaptic operations too: spikes times the weights that each passes. Published
# energies of such operations differ by factors of hundreds, so all of them are shown.
#
# ## Which layer loses what
#
# `diagnose` runs each layer twice: in the network, where errors add up, and alone, behind exact
# activations. First as it is:

# %%
diagnosis = calibrated.diagnose(x_test[:20], n_steps=32)
print(diagnosis)

# %% [markdown]
# Now something goes wrong in the second convolution: its weights are multiplied by 20.

# %%
spoilt = Converter(model, inference_only=True, scale_firing_rates="auto", calibration=x_train[:300])
weights = [
    connection
    for connection in spoilt.net.all_connections
    if getattr(connection.transform, "kernel_size", None) == (3, 3)
][1]
right = weights.transform
weights.transform = nengo.Convolution(
    right.n_filters,
    right.input_shape,
    kernel_size=right.kernel_size,
    strides=right.strides,
    padding=right.padding,
    init=20 * right.init,
)
found = spoilt.diagnose(x_test[:20], n_steps=32, start=0)  # averages over all steps
print(found)
print("The layer that loses most:", found.worst.layer.name)

# %%
figure = found.plot()

# %% tags=["remove-cell"]
assert found.worst.layer.name == "second", found.worst.name
assert found.worst.loss > 5 * diagnosis.worst.loss

# %% [markdown]
# Layers behind it have large errors in the network too, but small ones alone: they are not to
# blame.
#
# ## In four steps
#
# Where the model is still to be trained, `QCFS` in the place of ReLU lets it learn with as many
# levels as there will be steps. The spiking network then gives the same numbers after exactly so
# many.

# %%
quantized = train(lambda name: QCFS(levels=4, threshold=4.0, name=name))
few = Converter(quantized, inference_only=True, recipe=Calibrated())
result = few.evaluate(x_test, y_test, n_steps=4)
print(f"Keras: {result.keras_score:.1%} right; four steps of spikes: {result.score[0]:.1%}")

# %% tags=["remove-cell"]
assert abs(result.score[0] - result.keras_score) < 0.005
assert result.keras_score > (0.5 if QUICK else 0.9)

# %% [markdown]
# ## Firing rates as a target
#
# Or one trains, with rates, that neurons fire fast enough, as a regularisation: the loss gets a
# term for each layer. Here with 5,000 images of MNIST, whose grey values go from 0 to 255, so that
# neurons fire a little without any scale. Of the 1,000 images that are not for training, 500 served
# to choose the optimizer's settings; those to test are the other 500.

# %%
clone = Path(nengo_dl.__file__).parents[1]
with np.load(clone / "examples" / "data" / "mnist_5k.npz", allow_pickle=False) as data:
    images, labels = data["images"].astype("float32"), data["labels"].astype(int)
n_train, n_test, filters = (4000, 100, (8, 16)) if QUICK else (4000, 500, (16, 32))
x_train, y_train = images[:n_train].reshape(-1, 28, 28, 1), labels[:n_train]
x_test, y_test = images[4500 : 4500 + n_test].reshape(n_test, 1, 784), labels[4500 : 4500 + n_test]

keras.utils.set_random_seed(0)
x = inputs = keras.Input((28, 28, 1))
for n in filters:
    x = layers.Conv2D(n, 3, strides=2, activation="relu")(x)
model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)), name="mnist")
classes = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", classes)
epochs = 3 if QUICK else 8
history = model.fit(x_train, y_train, batch_size=MINIBATCH, epochs=epochs, verbose=0)

# %% [markdown]
# The network of rates gets a probe of each layer's neurons, and each probe a loss: the mean squared
# error against 250 Hz, for each neuron and image, with a small weight. What is learned is saved.

# %%
TARGET = 250  # [Hz]
rated = Converter(model)
scores = rated.outputs[model.outputs[0]]
with rated.net:
    probes = [nengo.Probe(ensemble.neurons) for ensemble in rated.net.ensembles]
losses, weights, targets = {scores: classes}, {scores: 1.0}, {scores: y_train[:, None, None]}
for probe in probes:
    losses[probe], weights[probe] = "mse", 1e-3
    targets[probe] = np.full((n_train, 1, probe.size_in), TARGET, dtype="float32")

saved = Path(tempfile.mkdtemp()) / "regularised"
node = rated.inputs[model.inputs[0]]
with nengo_dl.Simulator(rated.net, minibatch_size=MINIBATCH, seed=0, progress_bar=False) as sim:
    before = sim.predict({node: x_test})
    decay = keras.optimizers.schedules.CosineDecay(3e-3, epochs * n_train // MINIBATCH)
    sim.compile(keras.optimizers.RMSprop(decay), loss=losses, loss_weights=weights)
    x = x_train.reshape(n_train, 1, 784)
    sim.fit({node: x}, targets, epochs=epochs, verbose=0)
    after = sim.predict({node: x_test})
    sim.save_params(saved)

# %% [markdown]
# Now the spiking network, with synapses of 10 ms and 30 steps for an image: as Keras left it, and
# with what was learned since. `load_params` takes from the file what the other network learned; the
# two have the same objects.


# %%
def right(outputs):
    """Return what part of the last scores is right."""
    return np.mean(np.argmax(outputs[:, -1], axis=-1) == y_test)


def with_spikes(file):
    """Return what part is right with spikes, with weights of the model or of a file."""
    spiking = Converter(
        model,
        swap_activations={nengo.RectifiedLinear(): nengo.SpikingRectifiedLinear()},
        synapse=0.01,
    )
    with nengo_dl.Simulator(spiking.net, minibatch_size=MINIBATCH, progress_bar=False) as sim:
        if file is not None:
            sim.load_params(file)
        outputs = sim.predict({spiking.inputs[model.inputs[0]]: x_test}, n_steps=30)
    return right(outputs[spiking.outputs[model.outputs[0]]])


spikes_before, spikes_after = with_spikes(None), with_spikes(saved)
for name, found, spikes in (("before", before, spikes_before), ("after", after, spikes_after)):
    mean = ", ".join(f"{found[probe].mean():.0f}" for probe in probes)
    print(f"{name}: {right(found[scores]):.1%} with rates, {spikes:.1%} with spikes; {mean} Hz")

# %% tags=["remove-cell"]
rates_after = right(after[scores])
assert spikes_after > spikes_before + (0.3 if QUICK else 0.4), (spikes_before, spikes_after)
assert spikes_after > rates_after - (0.15 if QUICK else 0.05), (spikes_after, rates_after)
assert QUICK or spikes_after > 0.85, spikes_after

# %% [markdown]
# The means are far below the target, and need not reach it: neurons whose features are not in the
# image stay silent, as the other loss wants. But those that say something say it by more spikes,
# within the 30 steps. `examples/keras_to_spikes.py` in the repository has this with twice the
# filters, and with other scales and synapses beside it; `nengo_dl.losses.Regularize` is a loss for
# the same purpose that needs no targets of the data's size.
#
# From here: [all recipes and reports](../howto/conversion.md),
# [a recipe of your own](../extending/recipe.md), and
# [whether to convert at all](../explanation/which.md).
