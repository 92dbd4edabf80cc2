"""The Keras layer that holds a simulation: its parameters, its state, and the program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..compiler import costs
from ..compiler.ir import Block, Group, Program, Role
from ..kernels.context import Context
from ..kernels.host import Steppers
from ..kernels.registry import CATALOGUE
from ..kernels.source import Called
from . import backend
from .backend import HostCalls
from .checkpoints import execute_with_checkpoints
from .draws import Draws
from .execute import execute
from .memory import initial_rows
from .one_kernel import is_possible
from .plan import Plan
from .span import Span
from .state import StatefulLayer
from .strategy import Facts, Purpose, Refusal, Strategy, choose
from .tune import Target
from .user_code import calls_python, layers_in, uncompilable_code

Lengths = tuple[int | None, int | None]  # steps of a call in training, and in testing

# replicas call from threads of their own, and each follows what it was told
_FOLLOWED: ContextVar[tuple[Any, Any]] = ContextVar("followed", default=(None, None))


class TensorGraph(StatefulLayer):
    """A network's simulation as a Keras layer.

    Called with a dictionary of inputs (B, T, size) by node name, and `n_steps` (B, 1), it returns
    a dictionary of outputs (B, T, *shape) by probe name, and `steps_run` (B, 1).

    Parameters
    ----------
    plan : Plan
    steppers : Steppers
        Of operators on the host.
    name : str, optional
    """

    def __init__(self, plan: Plan, steppers: Steppers, name: str = "tensor_graph") -> None:
        super().__init__(plan, name)
        self.host = HostCalls(plan.dtype)
        self.user_layers = layers_in(plan.program)
        self.steppers = steppers
        self.called = Called(plan.source_of)
        self._constants = {b: self._constant(b) for b in self._blocks if b.role is Role.CONSTANT}
        self._stateful = False
        self._lengths: Lengths = (None, None)
        self._draws = Draws(self.replicas, plan.dtype)
        self.built = True
        self._uncompilable_code = uncompilable_code(self._program(False), self.context(False))
        self._strategies: dict[tuple, Strategy] = {}

    def _constant(self, block: Block) -> tf.Tensor:
        return tf.constant(initial_rows(block, self.plan)[None])

    # ------------------------------------------------------------------ parameters and state

    def unread_parameters(self) -> list[keras.Variable]:
        """Trainable parameters on which nothing depends, and so no loss either."""
        read = self.plan.training_program.read
        unread = [
            s.variable for b in self.parameters if b not in read for s in self.parameters.of(b)
        ]
        return [variable for variable in unread if variable.trainable]

    def members_of(self, variable: keras.Variable) -> list[str]:
        """Names of the parameters whose values a variable holds, in order.

        That is one, such as "sub.ens.encoders", unless many objects share the variable.
        """
        found = (s for s in self.parameters.stored if s.variable is variable)
        return [signal.name for s in found for signal in s.members]

    def save_own_variables(self, store: Any) -> None:
        """For Keras's weight files: each parameter by name, whatever variables they share."""
        values = self.parameters.values()
        for signal, name in self.parameters.names().items():
            store[name] = values[signal]

    def load_own_variables(self, store: Any) -> None:
        """Take over what `save_own_variables` stored; nothing if something does not fit."""
        names, present = self.parameters.names(), self.parameters.values()
        missing = sorted(set(names.values()) - set(store.keys()))
        if missing:
            raise ValueError(f"The file has no values of {', '.join(missing)}")
        values = {signal: np.asarray(store[name]) for signal, name in names.items()}
        for signal, value in values.items():
            if value.shape != present[signal].shape:
                raise ValueError(
                    f"The file's {names[signal]} has shape {value.shape}, expected "
                    f"{present[signal].shape}"
                )
        self.assign_parameters(values)

    def begin_mode(self, model: keras.Model, stateful: bool, lengths: Lengths) -> None:
        """Let Keras trace anew if what is fixed in its functions has changed.

        Parameters
        ----------
        model : keras.Model
        stateful : bool
            Whether calls go on from each other.
        lengths : (int or None, int or None)
            Steps of calls in training and in testing, for inputs that do not show them.
        """
        if (stateful, lengths) != (self._stateful, self._lengths):
            self._stateful, self._lengths = stateful, lengths
            model.train_function = model.test_function = None

    @contextlib.contextmanager
    def lent(self, steps: int, stateful: bool) -> Iterator[None]:
        """As of `StatefulLayer`; noise is drawn from here on."""
        self._draws.begin()
        with super().lent(steps, stateful):
            yield

    @contextlib.contextmanager
    def taken_back(self) -> Iterator[None]:
        """As of `StatefulLayer`, and what is fixed in Keras's functions is so again afterwards."""
        mode = self._stateful, self._lengths
        try:
            with super().taken_back():
                yield
        finally:
            self._stateful, self._lengths = mode

    # ------------------------------------------------------------------ simulation

    def strategy(
        self,
        purpose: Purpose,
        asked: bool | str = "auto",
        refused: frozenset[Refusal] = frozenset(),
    ) -> Strategy:
        """How chunks of time, or calls from Keras, run.

        Parameters
        ----------
        purpose : str
            "simulate", "test" or "train".
        asked : bool or "auto"
            What the user told `compile` about XLA.
        refused : frozenset of Refusal
            What XLA turned out not to compile.
        """
        key = purpose, asked, refused, backend.XLA
        if key not in self._strategies:
            self._strategies[key] = choose(self._facts(purpose, asked, refused))
        return self._strategies[key]

    def _facts(self, purpose: Purpose, asked: bool | str, refused: frozenset[Refusal]) -> Facts:
        plan, training = self.plan, purpose == "train"
        several = self.replicas.several
        program = self._program(training)
        target = Target(
            batch=plan.batch,
            cores=1 if several else backend.cores(),
            single_kernels=not several and is_possible(),
            costs=costs.current(),
        )
        return Facts(
            purpose=purpose,
            program=program,
            trains=self._trains(training),
            target=target,
            unroll=plan.unroll,
            uncompilable=tuple(g for g in program.groups if self._is_uncompilable(g, refused)),
            draws=purpose != "simulate" and bool(self._drawn(training)),
            replicas=several,
            enabled=backend.XLA,
            asked=asked,
            checkpoint_steps=plan.checkpoint_steps,
            refused=refused,
        )

    def _is_uncompilable(self, group: Group, refused: frozenset[Refusal]) -> bool:
        if group.kind != "tensor_node":
            return not CATALOGUE.is_compiled(group.ops[0])
        unknown = any(id(op.attrs) in self._uncompilable_code for op in group.ops)
        return unknown or Refusal.USER_CODE in refused

    @property
    def obstacles(self) -> list[str]:
        """Names of what XLA cannot compile."""
        groups = [g for g in self._program(False).groups if self._is_uncompilable(g, frozenset())]
        return list(dict.fromkeys(op.tag or op.kind for g in groups for op in g.ops))

    def tensors_call_python(self) -> bool:
        """Whether a TensorNode calls Python in each step."""
        groups = [g for g in self._program(False).groups if g.kind == "tensor_node"]
        return any(calls_python(g, self.context(False)) for g in groups)

    @contextlib.contextmanager
    def following(self, strategy: Strategy) -> Iterator[None]:
        """Let calls that Keras makes within this context run so."""
        token = _FOLLOWED.set((self, strategy))
        try:
            yield
        finally:
            _FOLLOWED.reset(token)

    def _followed(self, training: bool) -> Strategy:
        layer, strategy = _FOLLOWED.get()
        if layer is self:
            return strategy
        return self.strategy("train" if training else "test", asked=False)

    def context(self, training: bool, items: range | None = None) -> Context:
        """What kernels may know, that compute some of the batch items, or all."""
        plan, trains = self.plan, self._trains(training)
        items = range(plan.batch) if items is None else items
        steppers = partial(self.steppers, items=items)
        return Context(plan.dt, plan.dtype, len(items), trains, self.host, steppers, self.called)

    def simulate(
        self,
        inputs: Mapping[Block, Any],
        carry: Mapping[Block, Any],
        span: Span,
        how: Strategy,
        items: range | None = None,
    ) -> tuple[dict[Any, Any], dict[Block, Any]]:
        """Run a chunk of time; see `execute`. Outputs come by the key of the `Output`.

        With `items`, arrays have those alone.
        """
        plan = self.plan
        one = tf.cast(span.first >= 0, plan.dtype)
        ctx = replace(self.context(how.trains, items), one=one)
        parameters = self.parameters
        # the gradient of an index would copy the array into one of zeros
        tensors = {b: parameters.tensor(b) for b in parameters if b.role is Role.PARAMETER}
        sources = {b: tf.expand_dims(tensor, 0) for b, tensor in tensors.items()}
        sources.update(self._constants)
        sources.update(inputs)
        run = execute if how.checkpoint_steps is None else execute_with_checkpoints
        outputs, after = run(sources, carry, span, ctx, how)
        return {output.key: value for output, value in outputs.items()}, after

    def _trains(self, training: bool) -> bool:
        phase = self.plan.learning_phase
        return bool(training) if phase is None else phase

    def _program(self, training: bool) -> Program:
        """What a call runs, in training or not."""
        return self.plan.training_program if self._trains(training) else self.plan.program

    def _drawn(self, training: bool) -> dict[Block, Any]:
        """Inputs of a program that no user feeds."""
        read = self._program(training).read
        return {b: make for b, make in self.plan.hidden.items() if b in read}

    def build_inputs(self) -> dict[str, Any]:
        """Symbolic inputs for a Keras model around this layer."""
        plan, size = self.plan, self.replicas.size
        inputs = {
            name: keras.Input((None, block.size), size, dtype=plan.dtype, name=name)
            for name, block in plan.inputs.items()
        }
        inputs["n_steps"] = keras.Input((1,), size, dtype="int32", name="n_steps")
        return inputs

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Simulate; see the class."""
        plan, items = self.plan, self.replicas.items()
        length, arrays = self._series(inputs, bool(training))
        first = self._mirror.first()
        self._restart(items, bool(training))
        arrays.update(self._draws(self._drawn(bool(training)), items, first, length))
        carry = self._mirror.values()
        if not self.replicas.several:
            carry.update(self._learned())
        span = Span(first, length, length, by_item=True)
        how = self._followed(bool(training))
        outputs, after = self.simulate(arrays, carry, span, how, items)
        if not self.replicas.several:
            self.keep(after, state=False)
        self._mirror.advance(after, length, self.parameters.adapted)
        results = {}
        for name, output in plan.outputs.items():
            value = tf.transpose(outputs[output.key], (1, 0, 2))
            value = value if output.last_only else _all_steps(value, length)
            results[name] = tf.reshape(value, (value.shape[0], -1, *output.view.shape))
        results["steps_run"] = tf.fill((len(items), 1), tf.cast(length, tf.int32))
        return results

    def _restart(self, items: range, training: bool) -> None:
        """Emit that Python of the user's begins anew, where calls do not go on from each other."""
        ops = [op for g in self._program(training).groups for op in g.ops]
        kept = (op for op in ops if op.kind in ("host", "source") and op.attrs["turn"] is not None)
        if self._stateful or not any(kept):
            return

        def restart() -> np.ndarray:
            self.plan.restart(items)
            return np.zeros((), np.int32)

        tf.numpy_function(restart, [], tf.int32)

    def _series(self, inputs: Mapping[str, Any], training: bool) -> tuple[Any, dict[Block, Any]]:
        """T, and the inputs as (T or 1, B, size)."""
        plan, batch = self.plan, len(self.replicas.items())
        arrays = {}
        lengths = []
        for name, block in plan.inputs.items():
            x = tf.ensure_shape(tf.cast(inputs[name], plan.dtype), (batch, None, block.size))
            lengths.append(x.shape[1] if x.shape[1] is not None else tf.shape(x)[1])
            arrays[block] = tf.transpose(x, (1, 0, 2))
        known = [n for n in lengths if not isinstance(n, int) or n > 1]
        if known:
            return known[0], arrays
        stated = self._lengths[0 if training else 1]
        return inputs["n_steps"][0, 0] if stated is None else stated, arrays

    def drawing_ahead(self, inputs: Mapping[str, Any], training: bool) -> Any:
        """Within this context `call` draws nothing: what it needs is drawn here, at once."""
        length, _ = self._series(inputs, training)
        items = self.replicas.items()
        return self._draws.ahead(self._drawn(training), items, self._mirror.first(), length)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        """Shapes of what `call` returns."""
        plan = self.plan
        specs = {}
        for name, output in plan.outputs.items():
            batch = self.replicas.size if output.batched else 1
            steps = 1 if output.last_only else None
            shape = (batch, steps, *output.view.shape)
            specs[name] = keras.KerasTensor(shape, dtype=plan.dtype, name=name)
        specs["steps_run"] = keras.KerasTensor(
            (self.replicas.size, 1), dtype="int32", name="steps_run"
        )
        return specs


def _all_steps(value: Any, length: Any) -> Any:
    if value.shape[1] != 1 or (isinstance(length, int) and length == 1):
        return value
    return tf.broadcast_to(value, (value.shape[0], length, value.shape[2]))
