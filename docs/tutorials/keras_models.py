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
# # A Keras model inside a network, in four ways
#
# You have a model in Keras, and want it in a Nengo network: as the eye of a larger model, to train
# it together with neurons, or to replace it by neurons. There are four ways, from "not a line is
# changed" to "nothing of Keras is left":
#
# 1. the **whole model** in a `TensorNode`: the same numbers, and a black box for Nengo;
# 2. **layer by layer**, with `nengo_dl.Layer`: Nengo sees what is between layers;
# 3. **in Nengo's objects**, written by hand: ensembles and connections;
# 4. **converted** by `Converter`: the same objects, with the weights of the model.
#
# The data are scikit-learn's digits: 1,797 images of 8 × 8 pixels.

# %% tags=["remove-cell"]
import os

QUICK = "NENGO_DL_DOCS_QUICK" in os.environ

# %%
import keras
import matplotlib.pyplot as plt
import nengo
import numpy as np
from sklearn.datasets import load_digits

import nengo_dl

digits = load_digits()
images, labels = (digits.data / 16).astype("float32"), digits.target
x_train, y_train, x_test, y_test = images[:1500], labels[:1500], images[1500:], labels[1500:]
EPOCHS = 4 if QUICK else 20
MINIBATCH = 25  # Nengo's minibatches are all of one size
x_test, y_test = x_test[:275], y_test[:275]  # a multiple of it
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
results = {}

# %% [markdown]
# ## The model
#
# Two dense layers, trained by Keras alone:

# %%
keras.utils.set_random_seed(0)
inputs = keras.Input((64,))
x = keras.layers.Dense(128, activation="relu", name="hidden")(inputs)
model = keras.Model(inputs, keras.layers.Dense(10, name="readout")(x))
model.compile(keras.optimizers.Adam(), loss=loss, metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=MINIBATCH, epochs=EPOCHS, verbose=0)
results["Keras"] = model.evaluate(x_test, y_test, verbose=0)[1]
expected = model.predict(x_test, verbose=0)
print(f"Keras: {results['Keras']:.1%} right")

# %% [markdown]
# What will be done with each of the networks is the same, so it is a function. Items get an axis
# of time: an image is shown for one step. `stateful=False` says that nothing is kept from one item
# to the next.


# %%
def right(sim, image, probe):
    """Return what part of the test the network has right, and its outputs (n, 10)."""
    outputs = sim.predict({image: x_test[:, None]})[probe][:, 0]
    return np.mean(np.argmax(outputs, axis=1) == y_test), outputs


def train(sim, image, probe):
    """Train a network as Keras trained the model."""
    keras.utils.set_random_seed(0)
    sim.compile(keras.optimizers.Adam(), loss={probe: loss}, metrics={probe: "accuracy"})
    targets = {probe: y_train[:, None, None]}
    return sim.fit({image: x_train[:, None]}, targets, epochs=EPOCHS, verbose=0).history


# %% [markdown]
# ## 1. The whole model in a TensorNode
#
# A model is a layer, and a layer is something that a `TensorNode` takes. What is trained is in the
# model, which belongs to both.

# %%
with nengo.Network(seed=0) as net:
    nengo_dl.configure_settings(stateful=False)
    image = nengo.Node(np.zeros(64), label="image")
    whole = nengo_dl.TensorNode(model, shape_in=(64,), pass_time=False, label="model")
    nengo.Connection(image, whole, synapse=None)
    probe = nengo.Probe(whole, label="scores")

with nengo_dl.Simulator(net, minibatch_size=MINIBATCH, progress_bar=False) as sim:
    results["whole model"], outputs = right(sim, image, probe)
difference = np.abs(outputs - expected).max()
print(f"{results['whole model']:.1%} right; largest difference of scores: {difference:.1e}")

# %% tags=["remove-cell"]
assert difference < 1e-4
assert abs(results["whole model"] - results["Keras"]) < 1e-6

# %% [markdown]
# It is not a copy: if `fit` trains the network, `model` is trained. To keep the model as it is,
# give the node a copy (`keras.models.clone_model(model)`, and `set_weights` on it), or set
# `model.trainable = False`.
#
# A function of time, too, is a `TensorNode`. Here the model looks at a digit that fades in:

# %%
with nengo.Network(seed=0) as net:
    seven = x_test[np.argmax(y_test == 7)]
    fading = nengo_dl.TensorNode(
        lambda t: keras.ops.minimum(t / 0.1, 1.0) * seven[None], shape_out=(64,)
    )
    scores = nengo_dl.Layer(model)(fading)
    probe = nengo.Probe(scores)

with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run(0.15)
chances = keras.ops.convert_to_numpy(keras.ops.softmax(sim.data[probe], axis=1))

figure, axes = plt.subplots(figsize=(7, 2.5), layout="constrained")
axes.plot(1000 * sim.trange(), chances, color="0.7")
axes.plot(1000 * sim.trange(), chances[:, 7], label="it is a seven")
axes.set(xlabel="time [ms]", ylabel="softmax of scores")
axes.legend(frameon=False)
plt.show()

# %% tags=["remove-cell"]
assert np.argmax(chances[-1]) == 7

# %% [markdown]
# ## 2. Layer by layer
#
# `nengo_dl.Layer` takes a layer of Keras, a function, or a type of neurons, and is called as
# Keras's functional interface is. What it returns is an object of the network: it can be probed,
# connected to other things, and changed for another one.

# %%
with nengo.Network(seed=0) as net:
    nengo_dl.configure_settings(stateful=False)
    image = nengo.Node(np.zeros(64), label="image")
    hidden = nengo_dl.Layer(keras.layers.Dense(128, activation="relu"))(image)
    scores = nengo_dl.Layer(keras.layers.Dense(10))(hidden)
    hidden_probe, probe = nengo.Probe(hidden), nengo.Probe(scores, label="scores")

with nengo_dl.Simulator(net, minibatch_size=MINIBATCH, seed=0, progress_bar=False) as sim:
    history = train(sim, image, probe)
    results["layers"], _ = right(sim, image, probe)
    between = sim.predict({image: x_test[:, None]})[hidden_probe]
curve = history["scores_accuracy"]
print(f"right while training: {curve[0]:.1%} in the first epoch, {curve[-1]:.1%} in the last")
print(f"{results['layers']:.1%} right; shape of what is between the layers: {between.shape}")

# %% [markdown]
# ## 3. In Nengo's objects
#
# A dense layer is a connection (the kernel) and an ensemble (bias and activation). With gains of 1
# and biases of 0, an ensemble of rectified linear neurons is a layer of ReLU. Biases are trained,
# as they are in Keras; the gain is part of the weights.

# %%
with nengo.Network(seed=0) as net:
    nengo_dl.configure_settings(stateful=False)
    net.config[nengo.Connection].synapse = None
    image = nengo.Node(np.zeros(64), label="image")
    hidden = nengo.Ensemble(
        128,
        1,
        neuron_type=nengo.RectifiedLinear(),
        gain=nengo.dists.Choice([1]),
        bias=nengo.dists.Choice([0]),
        label="hidden",
    )
    scores = nengo.Node(size_in=10, label="readout")
    nengo.Connection(image, hidden.neurons, transform=nengo_dl.dists.Glorot())
    nengo.Connection(hidden.neurons, scores, transform=nengo_dl.dists.Glorot())
    probe = nengo.Probe(scores, label="scores")

sim = nengo_dl.Simulator(net, minibatch_size=MINIBATCH, seed=0, progress_bar=False)
train(sim, image, probe)
results["Nengo objects"], native = right(sim, image, probe)
print(f"{results['Nengo objects']:.1%} right")

# %% [markdown]
# Only such a network is more than a model in another place. It runs in Nengo's own simulator,

# %%
sim.freeze_params(net)
sim.close()
image.output = nengo.processes.PresentInput(x_test[:10], presentation_time=0.001)
with nengo.Simulator(net, progress_bar=False) as reference:
    reference.run_steps(10)
print(f"largest difference in Nengo: {np.abs(reference.data[probe] - native[:10]).max():.1e}")

# %% tags=["remove-cell"]
assert np.abs(reference.data[probe] - native[:10]).max() < 1e-3

# %% [markdown]
# and its neurons can be made to spike, by one word: `nengo.SpikingRectifiedLinear()` in the place
# of `nengo.RectifiedLinear()`. How fast they have to fire for that to be of any use is told in
# [](spiking_convolutions.py) and [](keras_to_spikes.py).
#
# ## 4. Converted
#
# The fourth way makes the objects of the third from the model of the first: weights and biases are
# those that Keras trained, nothing has to be trained again, and the scores are the same.

# %%
converter = nengo_dl.Converter(model)
image = converter.inputs[model.inputs[0]]
probe = converter.outputs[model.outputs[0]]
with converter.net:
    nengo_dl.configure_settings(stateful=False)

with nengo_dl.Simulator(converter.net, minibatch_size=MINIBATCH, progress_bar=False) as sim:
    results["converted"], outputs = right(sim, image, probe)
difference = np.abs(outputs - expected).max()
print(converter)
print(f"{results['converted']:.1%} right; largest difference of scores: {difference:.1e}")

# %% tags=["remove-cell"]
assert difference < 1e-4
assert abs(results["converted"] - results["Keras"]) < 1e-6
assert abs(results["layers"] - results["Keras"]) < (0.1 if QUICK else 0.03)
assert abs(results["Nengo objects"] - results["Keras"]) < (0.1 if QUICK else 0.03)

# %% [markdown]
# ## Which one?

# %%
for way, score in results.items():
    print(f"{way:14} {score:.1%} right")

# %% [markdown]
# | way | numbers | trains | between layers | other back ends, spikes |
# |---|---|---|---|---|
# | whole model | the model's | yes | hidden | no |
# | layers | new weights | yes | visible | no |
# | Nengo objects | new weights | yes | visible | yes |
# | converted | the model's | yes | visible | yes |
#
# The second and third drew their first weights otherwise than Keras, and so end somewhere
# else; how far apart they are is chance. With 60,000 images of Fashion-MNIST (which are the full
# experiment: `keras.datasets.fashion_mnist`, five epochs) such differences are below 1 %.
