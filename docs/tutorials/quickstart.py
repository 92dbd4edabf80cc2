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
# # Quickstart
#
# A hundred spiking neurons learn the square of a number: trained with their firing rates, then
# run with spikes. First the network, in Nengo's own words.

# %%
import keras
import nengo
import numpy as np

import nengo_dl

with nengo.Network(seed=0) as net:
    x = nengo.Node([0.5], label="x")  # an input; 0.5 unless data are given
    ens = nengo.Ensemble(100, 1, label="ens")  # 100 spiking neurons that represent one number
    y = nengo.Node(size_in=1, label="y")
    nengo.Connection(x, ens, synapse=None)
    nengo.Connection(ens, y, synapse=None)  # decodes x, to begin with
    now, smooth = nengo.Probe(y), nengo.Probe(y, synapse=0.1)

# %% [markdown]
# `nengo_dl.Simulator` compiles it. `compile`, `fit`, `evaluate` and `predict` are Keras's own;
# `run` and `data` are Nengo's. Data have three axes: items, time steps, dimensions.

# %%
rng = np.random.default_rng(0)
samples = rng.uniform(-1, 1, (4000, 1, 1))

sim = nengo_dl.Simulator(net, minibatch_size=50, seed=0, progress_bar=False)
keras.utils.set_random_seed(0)  # of the order in which Keras shuffles
sim.compile(keras.optimizers.Adam(1e-4), loss={now: "mse"})  # rates are large: small steps
history = sim.fit(samples, {now: samples**2}, epochs=5, verbose=0)  # with rates, as Keras does
print("loss of each epoch:", np.round(history.history["loss"], 4))

# %% [markdown]
# Now with spikes, for a second of simulated time. The output of spiking neurons is a train of
# spikes; a synapse of 0.1 s on the probe averages it.

# %%
sim.run(1.0)
output = sim.data[smooth]  # (items, steps, dimensions)
print("shape:", output.shape)
print(f"square of 0.5, from spikes: {output[0, -1, 0]:.2f}")

# %% tags=["remove-cell"]
assert history.history["loss"][-1] < 0.01 < history.history["loss"][0]
assert abs(output[:, 800:].mean() - 0.25) < 0.03

# %% [markdown]
# What was trained goes back into the Nengo network, and runs on every Nengo back end:

# %%
sim.freeze_params(net)
sim.close()

with nengo.Simulator(net, progress_bar=False) as reference:
    reference.run(1.0)
print(f"the same in nengo.Simulator: {reference.data[smooth][-1, 0]:.2f}")

# %% tags=["remove-cell"]
assert abs(reference.data[smooth][800:].mean() - 0.25) < 0.03

# %% [markdown]
# From here: [how spikes are trained](../howto/training.md),
# [what the compiler made of the network](../explanation/compiler/index.md), and
# [every word of Nengo's and its counterpart in Keras](../reference/glossary.md).
