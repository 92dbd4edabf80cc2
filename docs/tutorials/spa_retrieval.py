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
# # Optimising a cognitive model: associative retrieval
#
# Cognitive models in Nengo compute with *semantic pointers*: vectors that stand for things, and
# that are put together and taken apart by circular convolution
# ([Plate 1995](https://doi.org/10.1109/72.377968)). Neurons do that approximately, and the fewer
# there are, the worse. This notebook takes the network that Nengo offers for it, with far too few
# neurons, and trains it until it answers as well as exact arithmetic.

# %% tags=["remove-cell"]
import os

QUICK = "NENGO_DL_DOCS_QUICK" in os.environ

# %%
import keras
import matplotlib.pyplot as plt
import nengo
import nengo_spa as spa
import numpy as np

import nengo_dl

# %% [markdown]
# ## The task
#
# A scene is one vector. "A blue circle and a red square" is a colour bound to each shape, and the
# sum of both. Which colour has the square? Unbinding says: convolve the scene with the approximate
# inverse of the square, and look which colour is most like the result.

# %%
D = 32  # dimensions of a vector
words = spa.Vocabulary(D, pointer_gen=np.random.RandomState(0), strict=False)
words.populate("CIRCLE; SQUARE; BLUE; RED; GREEN; YELLOW")
scene = words.parse("CIRCLE * BLUE + SQUARE * RED").normalized()
answer = scene * ~words["SQUARE"]
for colour in ("BLUE", "RED", "GREEN", "YELLOW"):
    print(f"{colour:7} {answer.dot(words[colour]):5.2f}")

# %% [markdown]
# Even with exact arithmetic, the answer is the colour and noise: 32 numbers cannot hold two pairs
# of 32 without loss. Exact unbinding is a mark to compare with, then, and not 100 %.
#
# For training we want thousands of scenes, each with vectors of its own, so that nothing can be
# learned by heart. Convolution of vectors is a product of their Fourier transforms, which NumPy
# does for all of them together.


# %%
def unit_vectors(n, rng):
    """Return n random vectors (n, D) of length 1."""
    vectors = rng.standard_normal((n, D))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def bind(a, b):
    """Convolve vectors (n, D), each with the other of its row."""
    return np.fft.irfft(np.fft.rfft(a) * np.fft.rfft(b), n=D)


def scenes(n, seed):
    """Return n scenes of two pairs, the cue of each, and the answer: all (n, 1, D)."""
    rng = np.random.default_rng(seed)
    cue, other_cue, wanted, other = (unit_vectors(n, rng) for _ in range(4))
    scene = bind(cue, wanted) + bind(other_cue, other)
    scene /= np.linalg.norm(scene, axis=1, keepdims=True)
    return scene[:, None], cue[:, None], wanted[:, None]


def right(answers, wanted):
    """Return how many answers (n, D) are more like the right vector than like n - 1 others."""
    nearest = np.argmax(answers @ wanted[:, 0].T, axis=1)
    return np.mean(nearest == np.arange(len(answers)))


trained_on, tested_on = scenes(1000 if QUICK else 5000, seed=0), scenes(500, seed=1)
inverse = np.roll(tested_on[1][:, 0, ::-1], 1, axis=1)  # the approximate one
exact = right(bind(tested_on[0][:, 0], inverse), tested_on[2])
print(f"exact unbinding: {exact:.1%} of {len(tested_on[0])} questions right; chance: 0.2 %")

# %% tags=["remove-cell"]
assert np.allclose(
    answer.v, bind(scene.v[None], np.roll(words["SQUARE"].v[::-1], 1)[None])[0], atol=1e-6
)

# %% [markdown]
# ## The network
#
# `nengo.networks.CircularConvolution` does the same with neurons: it computes the Fourier
# transform by a matrix, multiplies with ensembles that square, and transforms back. Ensembles need
# some hundred neurons each to be precise; ours have five. We use rate neurons and no synapses: one
# step answers one question.

# %%
with nengo.Network(seed=0) as net:
    net.config[nengo.Ensemble].neuron_type = nengo.RectifiedLinear()
    net.config[nengo.Connection].synapse = None
    scene_in = nengo.Node(np.zeros(D), label="scene")
    cue_in = nengo.Node(np.zeros(D), label="cue")
    unbind = nengo.networks.CircularConvolution(5, D, invert_b=True)
    nengo.Connection(scene_in, unbind.input_a)
    nengo.Connection(cue_in, unbind.input_b)
    answer_probe = nengo.Probe(unbind.output, label="answer")


def ask(sim):
    """Return the answers (n, D) to the test questions."""
    return sim.predict({scene_in: tested_on[0], cue_in: tested_on[1]})[answer_probe][:, 0]


sim = nengo_dl.Simulator(net, minibatch_size=50, seed=0, progress_bar=False)
untrained = ask(sim)
before = right(untrained, tested_on[2])
print(f"{net.n_neurons} neurons, not trained: {before:.1%} right")

# %% [markdown]
# ## Training
#
# The target is the answer itself, as a vector. What is trained is all that Nengo solved or drew:
# encoders, biases and decoders of every ensemble, and the transforms. The structure of the model,
# what is connected to what, stays, and so does its meaning.

# %%
EPOCHS = 8 if QUICK else 40
keras.utils.set_random_seed(0)
steps = EPOCHS * len(trained_on[0]) // 50
sim.compile(
    keras.optimizers.RMSprop(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
    loss={answer_probe: "mse"},
)
inputs, targets = dict(zip((scene_in, cue_in), trained_on, strict=False)), trained_on[2]
history = sim.fit(inputs, {answer_probe: targets}, epochs=EPOCHS, verbose=0)

trained = ask(sim)
after = right(trained, tested_on[2])
print(f"before {before:.1%}, after {after:.1%}; exact arithmetic {exact:.1%}")

# %%
figure, (left, middle) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.semilogy(np.arange(1, EPOCHS + 1), history.history["loss"])
left.set(xlabel="epoch", ylabel="mean squared error")
wanted = tested_on[2][:, 0]
for label, answers in (("before", untrained), ("after", trained)):
    lengths = np.linalg.norm(answers, axis=1)
    middle.hist(np.sum(answers * wanted, axis=1) / lengths, 40, alpha=0.7, label=label)
middle.set(xlabel="cosine of answer and right vector", ylabel="questions")
middle.legend(frameon=False)
plt.show()

# %% tags=["remove-cell"]
# fewer scenes and epochs learn less
assert after > (3 * before if QUICK else exact - 0.05)
assert before < 0.1

# %% [markdown]
# None of the questions was seen in training, and none of their vectors. The network did not learn
# answers, it learned to unbind: a better use of few neurons. That also holds for words it has
# never heard:

# %%
question = {
    scene_in: np.tile(scene.v, (50, 1, 1)),
    cue_in: np.tile(words["SQUARE"].v, (50, 1, 1)),
}
said = sim.predict(question)[answer_probe][0, 0]
sim.close()
for colour in ("BLUE", "RED", "GREEN", "YELLOW"):
    print(f"{colour:7} {said @ words[colour].v:5.2f}")

# %% tags=["remove-cell"]
colours = ("BLUE", "RED", "GREEN", "YELLOW")
heard = [said @ words[colour].v for colour in colours]
assert QUICK or colours[int(np.argmax(heard))] == "RED"

# %% [markdown]
# ## The full experiment
#
# It is the one shown here: 5,000 scenes and 40 epochs. More dimensions make the exact answers
# better, and the network larger: neurons grow with D. With time, the same network becomes part of
# a memory: [](spa_memory.py). Training keeps a network that Nengo's other back ends run:
# `sim.freeze_params(net)`, as in [](from_nengo.py).
