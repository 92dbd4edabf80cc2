"""The Keras layer that holds a simulation: its parameters, its state, and the program."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from ....compiler import costs
from ....compiler.ir import Block, Group, Program, Role
from ....kernels.context import Context
from ....kernels.host import Steppers
from ....kernels.source import Called
from ... import switches
from ...memory import initial_rows
from ...plan import Maker, Plan
from .. import backend
from ..backend import HostCalls, Scalar, by_xla
from ..checkpoints import execute_with_checkpoints
from ..chunk import Span
from ..execute import execute
from ..single_kernel import is_possible
from ..strategy import Facts, Purpose, Refusal, Scope, Strategy, choose
from ..tune import Target
from ..user_code import begin_anew, calls_python, layers_in, uncompilable_code
from .draws import Draws
from .export import not_a_config
from .padding import only_present, room_for_draws, whole_minibatch
from .state import StatefulLayer
from .symbols import not_finite, present_items, results, symbolic_inputs, symbolic_outputs

Lengths = tuple[int | None, int | None]  # steps of a call in training, and in testing

# replicas call from threads of their own, and each follows what it was told
_FOLLOWED: ContextVar[tuple[keras.Layer, Strategy] | None] = ContextVar("followed", default=None)


class TensorGraph(StatefulLayer):
    """A network's simulation as a Keras layer.

    Called with a dictionary of inputs (b, T, size) by node name, and `n_steps` (b, 1), it returns
    a dictionary of outputs (b, T, *shape) by probe name, and `steps_run` (b, 1). There may be fewer
    items than B: those that are missing leave no trace.

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
        self.constants = {b: self._constant(b) for b in self._blocks if b.role is Role.CONSTANT}
        self._stateful = False
        self.masked = False  # whether inputs may have more steps than `n_steps` says
        self.still: frozenset[Block] = frozenset()  # inputs that have one row for all of them
        self.spikes = True  # whether neurons do what they do in simulations; see `_program`
        self._lengths: Lengths = (None, None)
        self._began_with_spikes = True
        self.inputs_unknown = True  # whether inputs come from where nobody has checked them
        self._finite = False  # whether who calls makes sure that they are
        self._draws = Draws(self.replicas, plan.dtype)
        self.built = True
        self._uncompilable_code = uncompilable_code(self._program(False), self.context(False))
        self._strategies: dict[tuple, Strategy] = {}
        self._room = self._room_to_train()
        self._target = self._machine()  # asked for here: within a traced function nobody can

    def _machine(self) -> Target:
        """What programs are tuned for."""
        several = self.replicas.several
        return Target(
            batch=self.plan.batch,
            cores=1 if several else backend.cores(),
            single_kernels=not several and is_possible(),
            costs=costs.current(None if backend.computes_on_cpu() else costs.GPU),
            skipped=self.plan.skipped,
        )

    def _room_to_train(self) -> float | None:
        """Elements of each item that there is memory for in training, if that is known."""
        plan, size = self.plan, self.plan.training_memory
        if size is None:
            whole = backend.memory_bytes()
            size = None if whole is None else whole / 2
        return None if size is None else size / (np.dtype(plan.dtype).itemsize * plan.batch)

    def _steps_to_keep(self, purpose: Purpose) -> int | None:
        """Steps of a call in training, if how it runs depends on them."""
        depends = purpose == "train" and self.plan.checkpoint_steps == "auto"
        return self._lengths[0] if depends else None

    @property
    def state_variables(self) -> list[tf.Variable]:
        """What calls of Keras's find the state in."""
        return [*self._mirror.variables.values(), self._mirror.steps]

    @property
    def mode(self) -> tuple[object, ...]:
        """What is fixed in functions that are traced now; see `begin_mode` and `tracing`."""
        fixed = self._stateful, self.carries_over, self._finite, self.spikes
        return *fixed, self.masked, self._lengths

    @property
    def costs(self) -> costs.Costs:
        """What is assumed of the machine."""
        return self._target.costs

    def _constant(self, block: Block) -> tf.Tensor:
        return tf.constant(initial_rows(block, self.plan)[None])

    def get_config(self) -> dict[str, object]:
        """Not possible: Keras cannot write down the network."""
        raise not_a_config()

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

    def save_own_variables(self, store: MutableMapping[str, np.ndarray]) -> None:
        """For Keras's weight files: each parameter by name, whatever variables they share."""
        values = self.parameters.values()
        for signal, name in self.parameters.names().items():
            store[name] = values[signal]

    def load_own_variables(self, store: Mapping[str, np.ndarray]) -> None:
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

    def begin_mode(
        self, model: keras.Model, stateful: bool, lengths: Lengths, unknown: bool = True
    ) -> None:
        """Say what is fixed in Keras's functions; replicas let it trace them anew.

        Parameters
        ----------
        model : keras.Model
        stateful : bool
            Whether calls go on from each other.
        lengths : (int or None, int or None)
            Steps of calls in training and in testing, for inputs that do not show them.
        unknown : bool
            Whether nobody has checked the inputs.
        """
        mode = stateful, lengths, unknown, self.spikes
        if mode != (self._stateful, self._lengths, self.inputs_unknown, self._began_with_spikes):
            self._stateful, self._lengths, self.inputs_unknown, self._began_with_spikes = mode
            if self.replicas.several:
                model.train_function = model.test_function = None

    @contextlib.contextmanager
    def tracing(self, room: int, masked: bool, still: frozenset[Block]) -> Iterator[None]:
        """Fix, for what is traced within this context, the steps that there is room for.

        Its inputs are checked.

        Parameters
        ----------
        room : int
            Steps, for inputs that do not show them.
        masked : bool
            Whether only as many steps as `n_steps` says are to be simulated.
        still : frozenset of Block
            Inputs that have one row for all of several steps.
        """
        before = self._lengths, self.masked, self.still, self._finite
        self._lengths, self.masked, self.still, self._finite = (room, room), masked, still, True
        try:
            yield
        finally:
            self._lengths, self.masked, self.still, self._finite = before

    @property
    def carries_over(self) -> bool:
        """Whether calls from Keras go on from each other."""
        return self._mirror.carries_over

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
        masked: bool = False,
        still: frozenset[Block] = frozenset(),
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
        masked : bool
            Whether calls may have more steps than are to be simulated.
        still : frozenset of Block
            Inputs that have one row for all of several steps.
        """
        steps = self._steps_to_keep(purpose)
        key = purpose, asked, refused, masked, still, steps, self.spikes, switches.XLA
        if key not in self._strategies:
            facts = self._facts(purpose, asked, refused, masked)
            self._strategies[key] = choose(replace(facts, still=still))
        return self._strategies[key]

    def _facts(
        self, purpose: Purpose, asked: bool | str, refused: frozenset[Refusal], masked: bool = False
    ) -> Facts:
        plan, training = self.plan, purpose == "train"
        program = self._program(training)
        return Facts(
            purpose=purpose,
            program=program,
            trains=self.trains(training),
            target=self._target,
            unroll=plan.unroll,
            uncompilable=self.uncompilable(program, refused),
            draws=purpose != "simulate" and self.draws(training),
            replicas=self.replicas.several,
            enabled=switches.XLA,
            asked=asked,
            checkpoint_steps=plan.checkpoint_steps,
            steps=self._steps_to_keep(purpose),
            room=self._room,
            refused=refused,
            masked=masked,
            spikes=self.spikes,
        )

    def uncompilable(
        self, program: Program, refused: frozenset[Refusal] = frozenset()
    ) -> tuple[Group, ...]:
        """Groups of a program that XLA cannot compile."""
        return tuple(g for g in program.groups if self._is_uncompilable(g, refused))

    def _is_uncompilable(self, group: Group, refused: frozenset[Refusal]) -> bool:
        if not group.traits.user_code:
            return not group.traits.compiled
        unknown = any(id(op.attrs) in self._uncompilable_code for op in group.ops)
        return unknown or Refusal.USER_CODE in refused

    @property
    def obstacles(self) -> list[str]:
        """Names of what XLA cannot compile."""
        groups = self.uncompilable(self._program(False))
        return list(dict.fromkeys(op.tag or op.kind for g in groups for op in g.ops))

    def tensors_call_python(self) -> bool:
        """Whether a TensorNode calls Python in each step."""
        groups = [g for g in self._program(False).groups if g.traits.user_code]
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
        followed = _FOLLOWED.get()
        if followed is not None and followed[0] is self:
            return followed[1]
        return self.strategy("train" if training else "test", asked=False)

    def context(self, training: bool, items: range | None = None) -> Context:
        """What kernels may know, that compute some of the batch items, or all."""
        plan, trains = self.plan, self.trains(training)
        items = range(plan.batch) if items is None else items
        steppers = partial(self.steppers, items=items)
        return Context(
            dt=plan.dt,
            dtype=plan.dtype,
            batch=len(items),
            training=trains,
            host=self.host,
            steppers=steppers,
            called=self.called,
        )

    def simulate(
        self,
        inputs: Mapping[Block, tf.Tensor],
        carry: Mapping[Block, tf.Tensor],
        span: Span,
        how: Strategy,
        items: range | None = None,
    ) -> tuple[dict[Hashable, tf.Tensor], dict[Block, tf.Tensor]]:
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
        sources.update(self.constants)
        sources.update(inputs)
        run = execute if how.checkpoint_steps is None else execute_with_checkpoints
        outputs, after = run(sources, carry, span, ctx, how)
        return {output.key: value for output, value in outputs.items()}, after

    def trains(self, training: bool) -> bool:
        """Whether neurons and layers do as in training."""
        phase = self.plan.learning_phase
        return bool(training) if phase is None else phase

    def _program(self, training: bool) -> Program:
        """What a call runs, in training or not."""
        as_in_training = self.trains(training) or not self.spikes
        return self.plan.training_program if as_in_training else self.plan.program

    def draws(self, training: bool) -> bool:
        """Whether a call draws numbers on the host."""
        return bool(self._drawn(training))

    def _drawn(self, training: bool) -> dict[Block, Maker]:
        """Inputs of a program that no user feeds."""
        read = self._program(training).read
        return {b: make for b, make in self.plan.hidden.items() if b in read}

    def build_inputs(self) -> dict[str, keras.KerasTensor]:
        """Symbolic inputs for a Keras model around this layer."""
        return symbolic_inputs(self.plan)

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool | None = None
    ) -> dict[str, tf.Tensor]:
        """Simulate; see the class."""
        plan, items = self.plan, self.replicas.items()
        room, arrays = self._series(inputs, bool(training))
        valid = inputs["n_steps"][0, 0] if self.masked else room
        first = self._mirror.first()
        # first of all: calls of Python run in the order in which they are emitted
        if not self._stateful:
            begin_anew(self._program(bool(training)), partial(self.plan.restart, items))
        drawn = self._draws(self._drawn(bool(training)), items, first, valid)
        arrays.update({b: room_for_draws(x, room) if self.masked else x for b, x in drawn.items()})
        carry = self._mirror.values()
        if not self.replicas.several:
            carry.update(self._learned())
        span = Span(first, room, valid, by_item=True)
        how = self._followed(bool(training))
        wrong = None if self._finite else not_finite([arrays[b] for b in plan.inputs.values()])
        outputs, after = self._simulate_in_call(arrays, carry, span, how, items)
        present = present_items(inputs, len(items))
        after = only_present(after, carry, present)
        if not self.replicas.several:
            self.keep(after, state=False)
        self._mirror.advance(after, valid, self.parameters.adapted)
        return results(plan, outputs, present, room, valid, wrong)

    def _simulate_in_call(
        self,
        arrays: Mapping[Block, tf.Tensor],
        carry: Mapping[Block, tf.Tensor],
        span: Span,
        how: Strategy,
        items: range,
    ) -> tuple[dict[Hashable, tf.Tensor], dict[Block, tf.Tensor]]:
        """Simulate; by XLA, where it does not compile the whole call and no gradient is needed."""
        run = partial(self.simulate, arrays, carry, span, how, items)
        if how.scope is not Scope.SIMULATION:
            return run()
        keys = [o.key for o in self.plan.outputs.values()], list(carry)

        def compute() -> tuple[list[tf.Tensor], list[tf.Tensor]]:
            outputs, after = run()
            return [outputs[k] for k in keys[0]], [after[b] for b in keys[1]]

        values = by_xla(compute)
        outputs, after = (dict(zip(k, v, strict=True)) for k, v in zip(keys, values, strict=True))
        return outputs, after

    def _series(
        self, inputs: Mapping[str, tf.Tensor], training: bool
    ) -> tuple[Scalar, dict[Block, tf.Tensor]]:
        """The steps that there is room for, and the inputs as (T or 1, B, size)."""
        plan, batch = self.plan, len(self.replicas.items())
        arrays = {}
        lengths = []
        for name, block in plan.inputs.items():
            x = whole_minibatch(tf.cast(inputs[name], plan.dtype), batch)
            x = tf.ensure_shape(x, (batch, None, block.size))
            lengths.append(x.shape[1] if x.shape[1] is not None else tf.shape(x)[1])
            arrays[block] = tf.transpose(x, (1, 0, 2))
        known = [n for n in lengths if not isinstance(n, int) or n > 1]
        if known:
            return known[0], arrays
        stated = self._lengths[0 if training else 1]
        return inputs["n_steps"][0, 0] if stated is None else stated, arrays

    def drawing_ahead(
        self, inputs: Mapping[str, tf.Tensor], training: bool
    ) -> contextlib.AbstractContextManager:
        """Within this context `call` draws nothing: what it needs is drawn here, at once."""
        length, _ = self._series(inputs, training)
        items = self.replicas.items()
        return self._draws.ahead(self._drawn(training), items, self._mirror.first(), length)

    def compute_output_spec(
        self, inputs: Mapping[str, keras.KerasTensor], training: bool | None = None
    ) -> dict[str, keras.KerasTensor]:
        """Shapes of what `call` returns."""
        return symbolic_outputs(self.plan)
