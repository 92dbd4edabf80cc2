"""The Keras layer that holds a simulation: its parameters, its state, and the program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..compiler.ir import Block, Program, Role
from ..kernels.context import Context
from ..kernels.host import Steppers
from ..kernels.registry import CATALOGUE
from ..kernels.source import Called
from .backend import HostCalls
from .checkpoints import execute_with_checkpoints
from .draws import Draws
from .execute import execute
from .mirror import Mirror
from .plan import Plan
from .span import Compiling, Span
from .user_code import begin_anew, calls_python, layers_in, uncompiled_groups
from .variables import Variables

Lengths = tuple[int | None, int | None]  # steps of a call in training, and in testing


class TensorGraph(keras.layers.Layer):
    """A network's simulation as a Keras layer.

    Called with a dictionary of inputs (B, T, size) by node name, and `n_steps` (B, 1), it returns
    a dictionary of outputs (B, T, *shape) by probe name, and `steps_run` (B, 1).

    Parameters
    ----------
    plan : Plan
    name : str, optional
    """

    def __init__(self, plan: Plan, name: str = "tensor_graph") -> None:
        super().__init__(name=name, dtype=plan.dtype, autocast=False)
        self.plan = plan
        self.host = HostCalls(plan.dtype)
        self.user_layers = layers_in(plan.program)
        self.steppers = Steppers(plan.dt, plan.rngs)
        self.called = Called(plan.source_of)
        self._blocks = plan.program.layout.blocks
        self._constants: dict[Block, Any] = {}
        self.replicas = plan.replicas
        self._stateful = False
        self.apart = False  # whether XLA compiles loops and large populations alone, in training
        self._lengths: Lengths = (None, None)
        self.inputs_unknown = False  # whether inputs come from where nobody has checked them
        self.state: dict[Block, Any] = {}
        self.parameters = Variables(
            self.add_weight, self._blocks, plan.batch, plan.dtype, not self.replicas.several
        )
        self._make_state()
        self._mirror = Mirror(self._mirrored(), self.replicas)
        self._draws = Draws(self.replicas, plan.dtype)
        self.built = True
        self.uncompiled = uncompiled_groups(self._program(False), self.context(False))

    # ------------------------------------------------------------------ parameters and state

    def _make_state(self) -> None:
        for block in self._blocks:
            if block.role is Role.CONSTANT:
                value = block.initial().astype(self._np_dtype(block)).reshape(1, 1, block.size)
                self._constants[block] = tf.constant(value)
            elif block.role is Role.STATE:
                self.state[block] = tf.constant(self._initial(block))

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
        self.parameters.assign_values(values)

    def reset_state(self, processes: bool = True) -> None:
        """Go back to the initial state, and make what runs on the host anew if `processes`."""
        self.state = {b: tf.constant(self._initial(b)) for b in self.state}
        if processes:
            self.steppers.clear()

    def restore_state(self, state: Mapping[Block, Any], steps: int) -> None:
        """Take over a state, also between two minibatches that Keras runs."""
        self.state = dict(state)
        self._mirror.load(state, steps)

    def carry(self) -> dict[Block, Any]:
        """State and online-learned parameters as they are, (B, size)."""
        return {**self.state, **self._adapted()}

    def keep(self, carry: Mapping[Block, Any], state: bool = True) -> None:
        """Take over what a run left behind; `state=False` takes parameters alone."""
        for block in self.parameters.adapted:
            self.parameters.assign(block, carry[block])
        if state:
            self.state = {block: carry[block] for block in self.state}

    def _adapted(self) -> dict[Block, Any]:
        return {block: self.parameters.tensor(block) for block in self.parameters.adapted}

    def _mirrored(self) -> dict[Block, Any]:
        """What Keras's functions have in the mirror; each replica learns by itself."""
        return self.carry() if self.replicas.several else self.state

    def begin_mode(
        self, model: keras.Model, stateful: bool, lengths: Lengths, unknown: bool
    ) -> None:
        """Let Keras trace anew if what is fixed in its functions has changed.

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
        mode = stateful, lengths, unknown
        if mode != (self._stateful, self._lengths, self.inputs_unknown):
            self._stateful, self._lengths, self.inputs_unknown = mode
            self._mirror.carries_over = stateful
            model.train_function = model.test_function = None

    @contextlib.contextmanager
    def calls_from_keras(self, steps: int, stateful: bool) -> Iterator[None]:
        """State for `call`.

        Parameters
        ----------
        steps : int
            Steps before the first call.
        stateful : bool
            Whether to keep the state of each call for the next, and after the last.
        """
        self._mirror.load(self._mirrored(), steps)
        self._draws.begin()
        try:
            yield
        except BaseException:
            if not self.replicas.elsewhere:  # other processes need not have failed
                self._take_back(stateful)
            raise
        self._take_back(stateful)

    def _take_back(self, stateful: bool) -> None:
        if self.replicas.several:
            self.keep(self._mirror.values(), state=stateful)
        elif stateful:
            self.state = self._mirror.values()

    @property
    def steps_after(self) -> int:
        """Steps that calls from Keras have reached."""
        return self._mirror.reached()

    def _initial(self, block: Block) -> np.ndarray:
        value = block.initial().astype(self._np_dtype(block)).reshape(1, block.size)
        return np.repeat(value, self.plan.batch, axis=0)

    def _np_dtype(self, block: Block) -> str:
        return {"float": self.plan.dtype, "int": "int32", "bool": "bool"}[block.dtype]

    # ------------------------------------------------------------------ simulation

    @property
    def compilable(self) -> bool:
        """Whether XLA can compile everything (as far as can be seen before it tries)."""
        return not self.uncompiled

    @property
    def calls_in_loops(self) -> bool:
        """Whether a step, not only a chunk of steps, has something that XLA cannot compile."""
        looped = [g for s in self._program(False).stages if s.looped for g in s.groups]
        return any(g in self.uncompiled for g in looped)

    @property
    def obstacles(self) -> list[str]:
        """Names of what XLA cannot compile."""
        return list(dict.fromkeys(op.tag or op.kind for g in self.uncompiled for op in g.ops))

    def tensors_call_python(self) -> bool:
        """Whether a TensorNode calls Python in each step."""
        groups = [g for g in self.uncompiled if g.kind == "tensor_node"]
        return any(calls_python(g, self.context(False)) for g in groups)

    def leave_out_user_code(self) -> bool:
        """Let XLA compile no TensorNode; whether there was one that it was to compile."""
        groups = [g for g in self._program(False).groups if g.kind == "tensor_node"]
        known = len(self.uncompiled)
        self.uncompiled = list(dict.fromkeys([*self.uncompiled, *groups]))
        return len(self.uncompiled) > known

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
        training: bool = False,
        segmented: bool = False,
        items: range | None = None,
        inline: bool = False,
    ) -> tuple[dict[Any, Any], dict[Block, Any]]:
        """Run a chunk of time; see `execute`. Outputs come by the key of the `Output`.

        With `segmented`, XLA compiles what lies between the groups that it cannot compile. With
        `items`, arrays have those alone. `inline`: see `Compiling`.
        """
        plan, program = self.plan, self._program(training)
        ctx = replace(self.context(training, items), one=tf.cast(span.first >= 0, plan.dtype))
        parameters = self.parameters
        # the gradient of an index would copy the array into one of zeros
        tensors = {b: parameters.tensor(b) for b in parameters if b.role is Role.PARAMETER}
        sources = {b: tf.expand_dims(tensor, 0) for b, tensor in tensors.items()}
        sources.update(self._constants)
        sources.update(inputs)
        uncompiled = self.uncompiled if segmented and program is self._program(False) else ()
        arguments = program, sources, carry, span, ctx
        if ctx.training and plan.checkpoint_steps is not None:
            how = Compiling(plan.unroll)
            outputs, after = execute_with_checkpoints(*arguments, how, plan.checkpoint_steps)
        else:
            how = Compiling(
                plan.unroll, uncompiled, ctx.training and self.apart, inline and not ctx.training
            )
            outputs, after = execute(*arguments, how)
        return {output.key: value for output, value in outputs.items()}, after

    def worth_compiling(self, training: bool) -> bool:
        """Whether XLA can compile the simulation in Keras's calls, and makes it faster."""
        looped = any(stage.looped for stage in self._program(training).stages)
        return looped and self._compilable_in_calls(training)

    def _compilable_in_calls(self, training: bool) -> bool:
        user_code = any(g.kind == "tensor_node" for g in self.uncompiled)
        groups = self._program(training).groups
        return not user_code and all(CATALOGUE.is_compiled(g.ops[0]) for g in groups)

    @property
    def trains_apart(self) -> bool:
        """Whether training is fastest if XLA compiles loops and large populations alone.

        Convolutions for all steps at once take half the time without XLA; so does all of a small
        network that has no loop.
        """
        stages = self.plan.training_program.stages
        groups = [g for s in stages if not s.looped for g in s.groups]
        looped = any(s.looped for s in stages)
        faster = not looped or any(g.kind == "convolution" for g in groups)
        return faster and not self.plan.checkpoint_steps and self._compilable_in_calls(True)

    def compiles_whole(self, training: bool) -> bool:
        """Whether that holds for all of a call: what it draws, and what replicas exchange, too."""
        return not (self.replicas.several or self._drawn(training))

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
        if not self._stateful:
            begin_anew(self._program(bool(training)), partial(self.plan.restart, items))
        arrays.update(self._draws(self._drawn(bool(training)), items, first, length))
        carry = self._mirror.values()
        if not self.replicas.several:
            carry.update(self._adapted())
        span = Span(first, length, length, by_item=True)
        outputs, after = self.simulate(arrays, carry, span, bool(training), items=items)
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
