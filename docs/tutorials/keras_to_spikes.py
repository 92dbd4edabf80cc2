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
# badly, then well; then one of its layers is spoilt on purpose, and a diagnosis finds which.
#
# The data are scikit-learn's digits: 1,797 images of 8 × 8 pixels. The same with MNIST, more
# layers and three seeds is `examples/convert_digits.py` in the repository, which takes an hour.

# %% tags=["remove-cell"]
import os

QUICK = "NENGO_DL_DOCS_QUICK" in os.environ

# %%
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
x_test, y_test = images[1500:], digits.target[1500:]

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
        x = layers.Conv2D(16, 3, padding="same", name=name)(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        x = activation(name=f"{name}_activation")(x)
        x = layers.AveragePooling2D(2, name=f"{name}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    model = keras.Model(inputs, layers.Dense(10, name="readout")(x), name="digits")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=50, epochs=5 if QUICK else 30, verbose=0)
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
steps = (8, 32) if QUICK else (4, 8, 16, 32)
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
for scale, synapse in settings[-1:] if QUICK else settings:
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
assert by_hand[1000, None] > keras_accuracy - 0.05
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
# From here: [all recipes and reports](../howto/conversion.md),
# [a recipe of your own](../extending/recipe.md), and
# [whether to convert at all](../explanation/which.md).
