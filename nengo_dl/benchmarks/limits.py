"""Three of the networks written by hand for XLA: what the compiler's result is measured against.

Each is one loop over time in float32, written for the one network that it is, with what is known
of that network only:

- Inputs are constant, so they are filtered after they were multiplied by a matrix.
- Of each neuron, one number is kept. While it integrates: its voltage. While it is refractory its
  voltage is 0, and the number is -t / τ_rc < 0, where t is the time until it may integrate for
  whole steps again.
- Division by a one that XLA cannot see through keeps what several results are made of: XLA would
  compute it again for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import nengo
import numpy as np
import tensorflow as tf
from nengo.base import NengoObject
from nengo.builder import Model
from numpy.typing import ArrayLike

CHUNK = 2048  # steps that a compiled function has room for
ROW = 64  # terms that are summed together: XLA adds up a single row one by one

LIF = nengo.LIF()
DT = 0.001
STEP = DT / LIF.tau_rc
REFRACTORY = LIF.tau_ref / LIF.tau_rc

#: Arrays that change from step to step.
State: TypeAlias = tuple[tf.Tensor, ...]
#: The new state, and a row of results.
Stepped: TypeAlias = tuple[State, tf.Tensor]
#: `step(one, *state)`.
Step: TypeAlias = Callable[..., Stepped]


class Loop:
    """A network that runs step by step, and keeps its state between runs.

    Parameters
    ----------
    step : callable
        `step(one, *state)` returns the new state and a row of results.
    state : sequence of array
        Before the first step.
    finish : callable, optional
        Makes what is probed out of the rows of a chunk (T, ...).
    unroll : int
        Steps in the body of the loop; as many are run at a time.
    """

    def __init__(
        self,
        step: Step,
        state: Sequence[np.ndarray],
        finish: Callable[[tf.Tensor], tf.Tensor] | None = None,
        unroll: int = 1,
    ) -> None:
        self.unroll = unroll
        self._state = [_tensor(array) for array in state]

        @tf.function(jit_compile=True)
        def run(steps: tf.Tensor, one: tf.Tensor, *state: tf.Tensor) -> tuple[State, tf.Tensor]:
            def body(i: tf.Tensor, state: State, rows: tf.TensorArray) -> tuple:
                for _ in range(unroll):
                    state, row = step(one, *state)
                    rows, i = rows.write(i, row), i + 1
                return i, state, rows

            rows = tf.TensorArray(tf.float32, size=CHUNK, element_shape=_row_shape(step, state))
            _, state, rows = tf.while_loop(
                lambda i, *_: i < steps,
                body,
                (0, state, rows),
                maximum_iterations=CHUNK,
                parallel_iterations=1,
            )
            rows = rows.stack()
            return state, rows if finish is None else finish(rows)

        self._run = run

    def run_steps(self, steps: int) -> np.ndarray:
        """Run a multiple of `unroll` steps; return what is probed, (steps, size)."""
        if steps % self.unroll:
            raise ValueError(f"{steps} steps are no multiple of {self.unroll}")
        found = []
        for first in range(0, steps, CHUNK):
            n = min(CHUNK, steps - first)
            self._state, rows = self._run(tf.constant(n), tf.constant(1.0), *self._state)
            found.append(rows.numpy()[:n])
        return np.concatenate(found)


def by_hand(name: str, net: nengo.Network, model: Model) -> Loop | None:
    """Write a network by hand.

    Parameters
    ----------
    name : str
        Of the benchmark.
    net : nengo.Network
        What it made.
    model : nengo.builder.Model
        In which that was built.

    Returns
    -------
    Loop or None
        None where nobody wrote it: for other networks, and for arguments other than sizes.
    """
    known = all(ens.neuron_type == LIF for ens in net.all_ensembles) and model.dt == DT
    constant = all(not callable(node.output) for node in net.all_nodes)
    scalar = all(ens.dimensions == 1 for ens in net.all_ensembles)
    write = LIMITS.get(name)
    return write(net, model) if write and known and constant and scalar else None


def communication_channel(net: nengo.Network, model: Model) -> Loop:
    """Write ensembles in a row; arrays are (ensembles, neurons)."""
    ensembles = net.all_ensembles
    encoders, bias, state = _populations(ensembles, model)
    decoders = _tensor(np.concatenate([_weights(model, ens) for ens in ensembles]) / DT)
    ones = tf.ones((encoders.shape[1], 1))
    inp = _tensor(net.inp.output[None])
    keep, keep_probed = _decay(_connection(model, net.inp).synapse), _decay(net.p.synapse)

    def step(one: tf.Tensor, state: tf.Tensor, x: tf.Tensor, probed: tf.Tensor) -> Stepped:
        # small arrays: a kernel less is worth more than its work
        fired, state = _lif_in_one(encoders * x + bias, state, one)
        decoded = tf.matmul(tf.where(fired, decoders, 0.0), ones)
        x = keep * x + (1 - keep) * tf.concat([inp, decoded[:-1]], 0)
        after = keep_probed * probed + (1 - keep_probed) * decoded[-1]
        return (state, x, after), probed

    start = [state, np.zeros((len(ensembles), 1)), np.zeros(1)]
    return Loop(step, start, unroll=4)  # three times faster than the loop itself


def cconv(net: nengo.Network, model: Model) -> Loop:
    """Write circular convolution; arrays are (neurons of an ensemble, ensembles).

    There are many more ensembles than neurons in each: the long axis is the one in vectors. The
    output has no filter, and is a product of matrices for the whole chunk.
    """
    product, arrays = net.cconv.product, (net.cconv.product.sq1, net.cconv.product.sq2)
    ensembles = [ens for array in arrays for ens in array.ea_ensembles]
    encoders, bias, state = (a.T for a in _populations(ensembles, model))
    decoders = [
        _weights(model, ens, array.square) for array in arrays for ens in array.ea_ensembles
    ]
    decoders = np.concatenate(decoders).T / DT
    encoders, bias, decoders = map(_tensor, (encoders, bias, decoders))
    a = _weights(model, net.cconv.input_a) @ net.inp_a.output
    b = _weights(model, net.cconv.input_b) @ net.inp_b.output
    target = [
        _weights(model, product.input_a, array.input) * a
        + _weights(model, product.input_b, array.input) * b
        for array in arrays
    ]
    target = _tensor(np.concatenate(target)[None])
    signs = [_weights(model, array.square) for array in arrays]
    out = _weights(model, product.output)
    out = _tensor(np.concatenate([out * sign for sign in signs], axis=1).T)
    keep = _decay(_connection(model, net.inp_a).synapse)

    def step(one: tf.Tensor, state: tf.Tensor, x: tf.Tensor) -> Stepped:
        fired, state = _lif(encoders * x + bias, state, one)
        decoded = tf.reduce_sum(tf.where(fired, decoders, 0.0), axis=0)
        return (state, keep * x + (1 - keep) * target), decoded

    return Loop(step, [state, np.zeros(target.shape)], lambda rows: tf.matmul(rows, out))


def lif_population(net: nengo.Network, model: Model) -> Loop:
    """Write neurons whose mean activity is probed."""
    encoders, bias, state = (a[0] for a in _populations(net.all_ensembles, model))
    encoders, bias = _tensor(encoders), _tensor(bias)
    n = len(state)
    whole = n - n % ROW
    keep, inp = _decay(_connection(model, net.inp).synapse), net.inp.output.item()

    def step(one: tf.Tensor, state: tf.Tensor, x: tf.Tensor) -> Stepped:
        fired, state = _lif(encoders * x + bias, state, one)
        spikes = tf.where(fired, np.float32(1 / (n * DT)), 0.0)
        rows = tf.matmul(tf.reshape(spikes[:whole], (-1, ROW)), tf.ones((ROW, 1)))
        mean = tf.reduce_sum(rows) + tf.reduce_sum(spikes[whole:])
        return (state, keep * x + (1 - keep) * inp), mean[None]

    return Loop(step, [state, np.zeros(1)])


#: By the name of the benchmark.
LIMITS: dict[str, Callable[[nengo.Network, Model], Loop]] = {
    "communication_channel": communication_channel,
    "cconv": cconv,
    "lif_population": lif_population,
}


def _lif(current: tf.Tensor, state: tf.Tensor, one: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which neurons fire, and the new state."""
    left, voltage = _integrate(current, state)
    voltage = voltage / one
    fired = voltage > 1
    return fired, _next(fired, left, voltage, _since(current, voltage))


def _lif_in_one(
    current: tf.Tensor, state: tf.Tensor, one: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The same in one pass: who fired is seen by the new state.

    Its time lies in another step than that of all others. A spike right at the beginning of its
    step is made one millionth of a step later, so that rounding cannot change that.
    """
    left, voltage = _integrate(current, state)
    since = tf.minimum(_since(current, voltage), STEP * (1 - 1e-6))
    state = _next(voltage > 1, left, voltage, since) / one
    return state < STEP * (1 - 5e-7) - REFRACTORY, state


def _integrate(current: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Time to integrate for, if less than a step, and the voltage after it; J is constant."""
    left = state + STEP
    voltage = tf.maximum(state, 0.0)
    x = tf.clip_by_value(left, 0.0, STEP)
    decay = x * (1 - x * (1 / 2 - x * (1 / 6 - x / 24)))  # 1 - e^-x, exact to rounding for 0.05
    return left, voltage + (current - voltage) * decay


def _since(current: tf.Tensor, voltage: tf.Tensor) -> tf.Tensor:
    """Time since the spike: ln((J - 1) / (J - v)) = 2 artanh z; z < 0.026."""
    z = (voltage - 1) / (2 * current - 1 - voltage)
    square = z * z
    return z * (2 + square * (2 / 3 + square * (2 / 5)))


def _next(fired: tf.Tensor, left: tf.Tensor, voltage: tf.Tensor, since: tf.Tensor) -> tf.Tensor:
    resting = tf.where(left <= 0, left, tf.maximum(voltage, 0.0))
    return tf.where(fired, since - REFRACTORY, resting)


def _populations(
    ensembles: Sequence[nengo.Ensemble], model: Model
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Encoders, biases and voltages of ensembles of one dimension, (ensembles, neurons)."""
    built = [model.params[ens] for ens in ensembles]
    encoders = np.stack([b.scaled_encoders[:, 0] for b in built])
    voltages = [model.sig[ens.neurons]["voltage"].initial_value for ens in ensembles]
    return encoders, np.stack([b.bias for b in built]), np.stack(voltages)


def _connection(
    model: Model, pre: NengoObject, post: NengoObject | None = None
) -> nengo.Connection:
    """Find the connection from an object, also that of a probe; to `post` if there are several."""
    for found in model.params:
        if isinstance(found, nengo.Connection) and found.pre_obj is pre:
            if post is None or found.post_obj is post:
                return found
    raise ValueError(f"nothing is connected to {pre}")


def _weights(model: Model, pre: NengoObject, post: NengoObject | None = None) -> np.ndarray:
    return np.asarray(model.params[_connection(model, pre, post)].weights)


def _decay(synapse: nengo.Lowpass) -> float:
    return float(np.exp(-DT / synapse.tau))


def _tensor(array: ArrayLike) -> tf.Tensor:
    return tf.constant(np.asarray(array), tf.float32)


def _row_shape(step: Step, state: Sequence[tf.Tensor]) -> tuple[int, ...]:
    return tuple(step(tf.constant(1.0), *state)[1].shape)
