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
# # Coming from Nengo
#
# You have a model, and know what `nengo.Simulator` does with it. This notebook runs one in
# `nengo_dl.Simulator`, looks whether the numbers are the same, and then does the three things that
# are new: several items at once, inputs that are given when the model runs, and training.
#
# The model computes sin(x²) of a slowly changing random signal. One ensemble decodes the square,
# the next one the sine of what it gets.

# %% tags=["remove-cell"]
import os

QUICK = "NENGO_DL_DOCS_QUICK" in os.environ

# %%
import time

import keras
import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_dl

with nengo.Network(seed=0) as net:
    signal = nengo.Node(nengo.processes.WhiteSignal(period=1, high=5, rms=0.3), label="signal")
    first = nengo.Ensemble(20, 1, label="first")
    second = nengo.Ensemble(20, 1, label="second")
    result = nengo.Node(size_in=1, label="result")
    nengo.Connection(signal, first)
    nengo.Connection(first, second, function=np.square)
    nengo.Connection(second, result, function=np.sin)

    signal_probe = nengo.Probe(signal, label="signal_probe")
    result_probe = nengo.Probe(result, synapse=0.01, label="result_probe")

# %% [markdown]
# ## The same model, the same numbers
#
# What changes is the name of the simulator. The builder is Nengo's own, so gains, encoders and
# decoders are those that you had; what is compiled is what happens in each step. By default that
# is done in float32. Nengo itself computes in float64, and to compare the two exactly, we ask for
# the same here.

# %%
with net:
    nengo_dl.configure_settings(dtype="float64")

with nengo.Simulator(net, progress_bar=False) as reference:
    reference.run(1.0)

with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run(1.0)

difference = np.abs(sim.data[result_probe] - reference.data[result_probe]).max()
print(f"largest difference in a thousand steps: {difference:.1e}")

# %% tags=["remove-cell"]
assert difference < 1e-10


# %%
def draw(axes, t, x, outputs):
    """Draw the function that was wanted, and what came out, over time."""
    axes.plot(t, np.sin(x**2), "k", lw=1, label="sin(x²)")
    for label, y in outputs.items():
        axes.plot(t, y, lw=1, label=label)
    axes.set(xlabel="time [s]")
    axes.legend(frameon=False)


figure, axes = plt.subplots(figsize=(7, 2.5), layout="constrained")
both = {"nengo": reference.data[result_probe], "nengo_dl": sim.data[result_probe]}
draw(axes, sim.trange(), sim.data[signal_probe], both)
plt.show()

# %% [markdown]
# The two curves lie on each other: not only the values agree, every spike is in the same step.
# (What float32 does to that, and to which models it matters, is told in
# [](../explanation/numerics.md).)
#
# ## Many items at once
#
# To run a model three times, with three inputs or three seeds of its noise, one resets the
# simulator of Nengo's twice. Here, `minibatch_size` runs copies side by side. All data then have
# an axis of items in front: `(items, steps, dimensions)`.
#
# While we are at it: time. The first call compiles, so that one is not counted.

# %%
ITEMS = 3 if QUICK else 50
STEPS = 1000

with nengo.Simulator(net, progress_bar=False) as reference:
    reference.run_steps(100)
    start = time.perf_counter()
    for _ in range(3):  # it will take as long for each of the others
        reference.reset()
        reference.run_steps(STEPS)
    nengo_seconds = (time.perf_counter() - start) * ITEMS / 3

with nengo_dl.Simulator(net, minibatch_size=ITEMS, progress_bar=False) as sim:
    sim.run_steps(STEPS)
    start = time.perf_counter()
    sim.run_steps(STEPS)
    seconds = time.perf_counter() - start

print("shape of what was probed:", sim.data[result_probe].shape)
print(f"{ITEMS} items, {STEPS} steps: nengo {nengo_seconds:.2f} s, nengo_dl {seconds:.3f} s")

# %% tags=["remove-cell"]
assert sim.data[result_probe].shape == (ITEMS, 2 * STEPS, 1)
assert QUICK or seconds < nengo_seconds / 5  # three items are too few to show it

# %% [markdown]
# ## Inputs when the model runs
#
# In Nengo, a node says what its output is when the network is made. `data` replaces it for one
# run, with as many steps as you like, and for each item with something of its own. Here three
# ramps come in, the lower two scaled; only nodes without inputs of their own can be fed.

# %%
ramps = np.linspace(-1, 1, STEPS)[None, :, None] * np.array([0.5, 0.75, 1.0])[:, None, None]

with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
    sim.run_steps(STEPS, data={signal: ramps})
    fed, results, t = sim.data[signal_probe], sim.data[result_probe], sim.trange()

figure, all_axes = plt.subplots(1, 3, figsize=(9, 2.5), sharey=True, layout="constrained")
for item, axes in enumerate(all_axes):
    draw(axes, t, fed[item], {"nengo_dl": results[item]})
plt.show()

# %% tags=["remove-cell"]
assert np.allclose(fed, ramps)

# %% [markdown]
# ## Training
#
# Twenty neurons are few, and their encoders were drawn at random. The decoders are the best for
# these neurons; the neurons need not be the best ones for this function. `fit` improves them, by
# gradient descent, with Keras's optimizers.
#
# It costs three decisions:
#
# - **What is trained.** By default, encoders, biases, decoders and weights. Here we leave the
#   decoders as they were solved, and the biases as they were drawn, and train encoders alone.
# - **What time is for.** Spikes have no derivative, so neurons give their firing rates while they
#   are trained (there are [other ways](../howto/training.md)). A rate model without memory needs
#   one step for an item; we take out the synapses, which only delay, and smooth the spikes of the
#   result once, at its probe.
# - **What is right.** Targets belong to a probe. We train on one that does not filter.

# %%
with net:
    nengo_dl.configure_settings(dtype="float32", trainable=False)
    net.config[nengo.Ensemble].trainable = True
    for connection in net.all_connections:
        connection.synapse = None
    rates_probe = nengo.Probe(result, label="rates_probe")
    result_probe.synapse = 0.04

rng = np.random.default_rng(0)
inputs = rng.uniform(-1, 1, (4096, 1, 1))
test = np.tile(rng.uniform(-1, 1, (1024, 1, 1)), (1, 100, 1))  # still for 100 steps: spikes


def settled(y_true, y_pred):
    """Mean squared error of the last ten steps, when the filter has settled."""
    return keras.ops.mean(keras.ops.square(y_true - y_pred)[:, -10:])


def error_of_spikes(sim):
    """Run the test items with spikes, and return their error."""
    sim.compile(loss={result_probe: settled})
    return sim.evaluate({signal: test}, {result_probe: np.sin(test**2)}, verbose=0)["loss"]


# %% [markdown]
# `evaluate` and `predict` run the model with spikes, `fit` with rates. The spiking model is what
# counts, so that is measured, before and afterwards.

# %%
sim = nengo_dl.Simulator(net, minibatch_size=32, seed=0, progress_bar=False)
before = error_of_spikes(sim)

keras.utils.set_random_seed(0)
sim.compile(keras.optimizers.Adam(0.01), loss={rates_probe: "mse"})
history = sim.fit(
    {signal: inputs}, {rates_probe: np.sin(inputs**2)}, epochs=5 if QUICK else 25, verbose=0
)
losses = history.history["loss"]
after = error_of_spikes(sim)

print(f"with rates:  {losses[0]:.1e} in the first epoch, {losses[-1]:.1e} in the last")
print(f"with spikes: {before:.2e} before, {after:.2e} after training")

# %%
grid = np.linspace(-1, 1, 192)
still = np.tile(grid[:, None, None], (1, 100, 1))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
left.semilogy(np.arange(1, len(losses) + 1), losses)
left.set(xlabel="epoch", ylabel="mean squared error, rates")
right.plot(grid, np.sin(grid**2), "k", label="sin(x²)")
right.plot(grid, sim.predict({signal: still})[result_probe][:, -1], label="spikes, trained")
right.set(xlabel="x")
right.legend(frameon=False)
plt.show()

# %% tags=["remove-cell"]
assert losses[-1] < losses[0] / (1.5 if QUICK else 3)
assert after < before

# %% [markdown]
# ## And back
#
# `freeze_params` writes what was trained into the Nengo network: gains, biases, encoders,
# decoders. From then on it is an ordinary model, for Nengo's simulator or for any other back end
# (on a neuromorphic chip, for example).

# %%
value = 0.8
expected = sim.predict({signal: np.full((32, 200, 1), value)})[result_probe][0]
sim.freeze_params(net)
sim.close()

signal.output = [value]
with nengo.Simulator(net, progress_bar=False) as reference:
    reference.run_steps(200)
settled_at = reference.data[result_probe][100:].mean()
print(f"sin({value}²) = {np.sin(value**2):.3f}; trained here, run in Nengo: {settled_at:.3f}")

# %% tags=["remove-cell"]
assert abs(settled_at - expected[100:].mean()) < 0.01
assert abs(settled_at - np.sin(value**2)) < 0.1

# %% [markdown]
# ## A node of tensors
#
# A function in a node of Nengo's is Python: it is called in each step, outside of what is
# compiled, and has no derivative. A `TensorNode` has tensors instead of arrays. It is compiled
# with the rest, gets all items at once, and gradients pass through it. Both do the same here:

# %%
with nengo.Network(seed=0) as net:
    x = nengo.Node([0.0], label="x")
    in_python = nengo.Node(lambda t, x: np.exp(x), size_in=1)
    in_tensors = nengo_dl.TensorNode(lambda t, x: keras.ops.exp(x), shape_in=(1,))
    for node in (in_python, in_tensors):
        nengo.Connection(x, node, synapse=None)
    probes = nengo.Probe(in_python), nengo.Probe(in_tensors)

with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
    sim.run_steps(5, data={x: np.linspace(-1, 1, 20).reshape(4, 5, 1)})
    same = np.allclose(sim.data[probes[0]], sim.data[probes[1]], rtol=1e-5)
    print("the same:", same)
    sim.explain()

# %% tags=["remove-cell"]
assert same

# %% [markdown]
# `sim.explain()` said what of a model is compiled, and what runs in Python and why; when a model
# of yours is slower here than you expected, begin there. Further on: [Python in the
# loop](../howto/python.md), [training](../howto/training.md), and [parameters and
# files](../howto/parameters.md).
