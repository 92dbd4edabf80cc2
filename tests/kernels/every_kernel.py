"""Every kernel, by itself: what it computes, and its gradient, on Keras's back end.

``python -m tests.kernels.every_kernel FILE`` writes both to a file, as arrays of NumPy's; each back
end in a process of its own.
"""

import sys

import keras
import nengo
import numpy as np
from keras import ops

import nengo_dl
from nengo_dl.compiler.ir import ROUTE
from nengo_dl.config.settings import Settings
from nengo_dl.kernels import CATALOGUE, registry
from nengo_dl.kernels.context import Context
from nengo_dl.lowering import build_model
from nengo_dl.neurons import (
    IntegrateAndFire,
    QuantizedReLU,
    SignedIntegrateAndFire,
    ThresholdedReLU,
)
from nengo_dl.session.compilation import Compilation
from tests.networks import NETWORKS, wave

ROWS = 2
DTYPE = "float32"  # what Keras on JAX makes of float64, too
#: Networks of the zoo that have all kinds of operations and all types of neurons among them.
NEURONS = """
    adaptive_lif adaptive_lif_rate izhikevich lif lif_rate neurons_of_this_package poisson_spiking
    rectified_linear regular_spiking sigmoid spiking_rectified_linear stochastic_spiking tanh
"""
KINDS = """
    bcm convolutions linear_filters nodes_in_a_loop oja pes_on_ensembles rls slices_of_nodes
    sparse_transforms triangle_synapses user_operator voja
"""
CHOICES = [
    nengo_dl.surrogate.Rates(),
    nengo_dl.surrogate.Rates(smoothing=0.1),
    nengo_dl.surrogate.SmoothRate(),
    nengo_dl.surrogate.FastSigmoid(),
    nengo_dl.surrogate.Triangle(detach_reset=False),
]


def network(choice):
    """Neurons in one network, which trains as it is told; with the first choice all else too."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(training_spikes=choice, trainable_synapses=True, pure=False)
        for name in NEURONS.split():
            NETWORKS[name]()
        more_neurons()
        if choice == CHOICES[0]:
            for name in KINDS.split():
                NETWORKS[name]()
            more_kinds()
    return net


def more_kinds():
    """Synapses with a trained time constant, and tensor code of the user's."""
    node = nengo.Node(wave)
    nengo.Connection(node, nengo.Node(size_in=1), synapse=nengo.Lowpass(0.1))
    alpha = nengo.Node(size_in=1)
    nengo.Connection(node, alpha, synapse=nengo.Alpha(0.1))
    nengo.Probe(alpha)
    tensor = nengo_dl.TensorNode(ops.tanh, shape_in=(1,), shape_out=(1,), pass_time=False)
    nengo.Connection(node, tensor)
    nengo.Probe(tensor)


def more_neurons():
    """Types of this package that the zoo does not have."""
    node = nengo.Node(wave)
    for neurons in (
        IntegrateAndFire(max_spikes=2),
        SignedIntegrateAndFire(max_spikes=2),
        QuantizedReLU(),
        ThresholdedReLU(),
    ):
        ens = nengo.Ensemble(5, 1, neuron_type=neurons, gain=np.ones(5), bias=np.ones(5))
        nengo.Connection(node, ens)
        nengo.Probe(ens.neurons)


def cases():
    """Yield (name, group, training) for each kind, type of neurons, and choice for training."""
    seen = set()
    for choice in CHOICES:
        settings = Settings(dtype=DTYPE)
        compiled = Compilation(build_model(network(choice), 0.001, DTYPE, None), settings, ROWS)
        for training, program in ((False, compiled.program), (True, compiled.training_program)):
            for group in program.groups:
                attrs = group.ops[0].attrs
                neurons = type(attrs["neurons"]).__name__ if "neurons" in attrs else ""
                spikes = attrs["training_spikes"] if "in_training" in attrs else ""
                name = f"{group.kind} {neurons} {spikes}"
                if name not in seen:
                    seen.add(name)
                    yield name, group, training


def missing(names):
    """Kinds of operations and types of neurons that no case is of."""
    words = {word for name in names for word in name.split(" ")[:2]}
    kinds = {kind: type(kernel) for kind, kernel in registry._KERNELS.items() if kind != ROUTE}
    # other tests register kernels too, and types for them
    ours = [kind for kind, c in kinds.items() if c.__module__.startswith("nengo_dl.")]
    types = [t for t in registry.neuron_types() if t.__module__.startswith(("nengo.", "nengo_dl."))]
    return sorted({*ours, *(t.__name__ for t in types)} - words)


def arguments(group, rng):
    """What a group may read: arrays (1 or L, ...)."""
    arrays = []
    for read, shape in zip(group.reads, group.read_shapes, strict=True):
        rows = 1 if read.fixed else ROWS
        kinds = {block.dtype for block in read.blocks}
        whole = kinds == {"int"}
        value = rng.uniform(0.2, 2.5, (rows, *shape))
        arrays.append(np.ones_like(value, np.int32) if whole else value.astype(DTYPE))
    return arrays


def total(group, training, reads):
    """A number that depends on all that a group computes."""
    ctx = Context(0.001, DTYPE, ROWS, training, _host, lambda op: None)
    results = CATALOGUE.kernel(group.kind).compute(group, reads, ctx)
    sums = [ops.sum(ops.cast(r, DTYPE) * _weights(r)) for r in results]
    return sum(sums, ops.zeros((), DTYPE))


def _host(function, arrays, shapes):
    """What stands for a call of Python, which is the runtime's."""
    return [0.5 * ops.ones(shape, DTYPE) for shape in shapes]


def _weights(array):
    return (1 + np.cos(np.arange(np.prod(array.shape)).reshape(array.shape)) / 2).astype(DTYPE)


def on_tensorflow(given):
    """For each case the number, and its gradients by arguments that are no whole numbers."""
    import tensorflow as tf

    found = []
    for group, training, reads in given:
        tensors = [tf.constant(r) for r in reads]
        floats = [t for t in tensors if t.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(floats)
            value = total(group, training, tensors)
        zero = tf.UnconnectedGradients.ZERO
        found.append([value, *tape.gradient(value, floats, unconnected_gradients=zero)])
    return found


def on_jax(given):
    """The same, traced in loops and compiled: what kernels close over are then tracers of JAX's."""
    import jax

    def with_gradients(case, floats):
        group, training, reads = case

        def step(carry, _, floats):
            left = iter(floats)
            arrays = [next(left) if r.dtype.kind == "f" else r for r in reads]
            return carry, total(group, training, arrays)

        def looped(floats):
            return jax.lax.scan(lambda *args: step(*args, floats), 0, None, length=1)[1][0]

        value, gradients = jax.value_and_grad(looped)(floats)
        return [value, *gradients]

    floats = [[r for r in reads if r.dtype.kind == "f"] for _, _, reads in given]
    return jax.jit(lambda floats: list(map(with_gradients, given, floats)))(floats)


def computed():
    """All numbers, by name of the case."""
    run = on_jax if keras.backend.backend() == "jax" else on_tensorflow
    rng = np.random.RandomState(0)
    names, given = [], []
    for name, group, training in cases():
        names.append(name)
        given.append((group, training, arguments(group, rng)))
    found = {}
    for name, results in zip(names, run(given), strict=True):
        found.update({f"{name}/{i}": np.asarray(r) for i, r in enumerate(results)})
    return found


if __name__ == "__main__":
    np.savez(sys.argv[1], **computed())
