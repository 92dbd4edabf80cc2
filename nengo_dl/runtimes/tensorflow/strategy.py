"""The one decision how TensorFlow runs a program: what XLA compiles, and how loops are held.

`choose` makes a `Strategy` of `Facts`, and nothing changes one later. What XLA refuses when it
tries is one fact more, of which another strategy follows.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import Literal

from ...compiler.costs import CPU, Costs
from ...compiler.ir import Block, Group, Program
from ...compiler.last import take_last
from ...compiler.still import hold_still
from ...compiler.traits import Product
from .residuals import repeatable, residuals
from .tune import Recording, Target, divides_minibatch, record, tune

Purpose = Literal["simulate", "test", "train"]


class Scope(enum.Enum):
    """What XLA compiles as one."""

    CALL = "all of a call"
    STEP = "a call without what is drawn on the host, exchanged by replicas, and optimised"
    SIMULATION = "the simulation, but nothing that is done with its results"
    LOOPS = "each loop, and large populations outside of loops, by themselves"
    SEGMENTS = "what lies between calls of Python"
    NOTHING = "nothing"


class Refusal(enum.Enum):
    """What XLA turned out not to compile, although nothing spoke against it."""

    SINGLE_KERNELS = "one kernel of a loop"
    USER_CODE = "the functions of TensorNodes"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that a strategy depends on.

    Attributes
    ----------
    purpose : str
        "simulate" for chunks of time of `run` and `predict`; "test" and "train" for Keras's calls.
    program : Program
        What runs: in training, unless neurons are told otherwise, the program for it.
    trains : bool
        Whether neurons and layers do what they do in training.
    target : Target
        The machine, and the items of a minibatch.
    unroll : int
        Steps in the body of a loop.
    uncompilable : tuple of Group
        Groups of the program that XLA cannot compile.
    draws : bool
        Whether a call from Keras draws numbers on the host.
    replicas : bool
        Whether several replicas share a minibatch.
    enabled : bool
        Whether XLA may be used at all.
    asked : bool or "auto"
        What the user said to `compile` about XLA.
    checkpoint_steps : int, "auto" or None
        What the user configured.
    steps : int or None
        Steps of a call in training, where that is known.
    room : float or None
        Elements of each item that there is memory for in training; None for no bound.
    refused : frozenset of Refusal
    masked : bool
        Whether a call from Keras has room for more steps than it simulates: what losses see then
        has a shape that XLA does not know.
    still : frozenset of Block
        Inputs that have one row for all of several steps.
    spikes : bool
        Whether neurons do what they do in simulations, and not what they do in training.
    """

    purpose: Purpose
    program: Program
    trains: bool
    target: Target
    unroll: int = 1
    uncompilable: tuple[Group, ...] = ()
    draws: bool = False
    replicas: bool = False
    enabled: bool = True
    asked: bool | str = "auto"
    checkpoint_steps: int | str | None = None
    steps: int | None = None
    room: float | None = None
    refused: frozenset[Refusal] = field(default_factory=frozenset)
    masked: bool = False
    still: frozenset[Block] = field(default_factory=frozenset)
    spikes: bool = True


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How a program runs.

    Attributes
    ----------
    purpose : str
        As of `Facts`.
    scope : Scope
        What XLA compiles as one.
    program : Program
        What runs, held as is fastest in this way.
    trains : bool
        Whether neurons and layers do what they do in training.
    unroll : int
        Steps in the body of a loop.
    uncompiled : tuple of Group
        With `Scope.SEGMENTS`: the calls of Python.
    single_kernels : bool
        Whether loops that are marked so are a single kernel of the machine's code each.
    parts : int
        Into how many a minibatch is divided; each is simulated by a core of its own.
    checkpoint_steps : int or None
        Steps of the chunks of time that a gradient computes again; None to keep all.
    costs : Costs
        What is assumed of the machine.
    recording : Recording or None
        To simulate: what the outputs of the program stand for.
    """

    purpose: Purpose
    scope: Scope
    program: Program
    trains: bool = False
    unroll: int = 1
    uncompiled: tuple[Group, ...] = ()
    single_kernels: bool = False
    parts: int = 1
    checkpoint_steps: int | None = None
    costs: Costs = CPU
    recording: Recording | None = None

    @property
    def calls_in_loops(self) -> bool:
        """Whether a step, not only a chunk of steps, calls Python."""
        looped = [g for s in self.program.stages if s.looped for g in s.groups]
        return any(g in self.uncompiled for g in looped)

    @property
    def inside(self) -> Strategy:
        """How the inside of something runs that XLA compiles as one."""
        return replace(self, scope=Scope.CALL, uncompiled=(), single_kernels=False)

    def __str__(self) -> str:
        lines = [f"to {self.purpose}: XLA compiles {self.scope.value}"]
        if self.parts > 1:
            lines.append(f"minibatch in {self.parts} parts, side by side")
        if self.checkpoint_steps is not None:
            lines.append(f"gradients compute chunks of time again: {self.checkpoint_steps} steps")
        names = list(dict.fromkeys(op.tag or op.kind for g in self.uncompiled for op in g.ops))
        if names:
            lines.append(f"calls of Python: {', '.join(names)}")
        return "\n".join([*lines, str(self.program)])


def choose(facts: Facts) -> Strategy:
    """Decide how a program runs."""
    program, parts = _reduced(facts), 1
    checkpoint_steps = _checkpoint_steps(facts, program)
    facts = replace(facts, checkpoint_steps=checkpoint_steps)
    scope = _scope(facts)
    simulates = facts.purpose == "simulate" and scope is Scope.CALL
    possible = facts.target.single_kernels and not facts.replicas
    single = simulates and possible and Refusal.SINGLE_KERNELS not in facts.refused
    target = replace(facts.target, single_kernels=single)
    if facts.spikes and not facts.trains and not facts.uncompilable:
        parts = divides_minibatch(program, target) if simulates else 1
        # for the items that one core gets
        program = tune(program, target.part(parts))
    recording = None
    if facts.purpose == "simulate":
        recording = record(program, target)
        program = recording.program
    return Strategy(
        purpose=facts.purpose,
        scope=scope,
        program=program,
        trains=facts.trains,
        unroll=facts.unroll,
        uncompiled=facts.uncompilable if scope is Scope.SEGMENTS else (),
        single_kernels=single and any(stage.inline for stage in program.stages),
        parts=parts,
        checkpoint_steps=checkpoint_steps,
        costs=facts.target.costs,
        recording=recording,
    )


def _reduced(facts: Facts) -> Program:
    """The program without what would be the same in all steps, or that only the last needs."""
    program, target = facts.program, facts.target
    if facts.still and target.does("hold_still"):
        program = hold_still(program, facts.still)
    if target.does("take_last"):
        program = take_last(program)
    return program


def _checkpoint_steps(facts: Facts, program: Program) -> int | None:
    """Steps of the chunks that a gradient computes again; None to keep all steps."""
    if not facts.trains:
        return None
    if isinstance(facts.checkpoint_steps, int):
        return facts.checkpoint_steps
    automatic = facts.checkpoint_steps == "auto" and facts.purpose == "train" and not facts.masked
    if not automatic or facts.steps is None or facts.room is None:
        return None
    if not all(map(repeatable, program.stages)):
        return None
    kept = residuals(program, facts.still)
    return kept.longest_chunk(facts.steps, facts.room, facts.unroll)


def _scope(facts: Facts) -> Scope:
    if facts.purpose == "simulate":
        return _scope_of_chunks(facts)
    compilable = not facts.uncompilable
    whole = not (facts.replicas or facts.draws)
    automatic = facts.asked == "auto"
    if automatic and not (facts.enabled and compilable):
        return Scope.NOTHING
    looped = any(stage.looped for stage in facts.program.stages)
    if facts.masked:
        within = Scope.LOOPS if facts.trains else Scope.SIMULATION
        return within if automatic and looped else Scope.NOTHING
    if automatic and whole and facts.purpose == "train" and _trains_loops_alone(facts, looped):
        return Scope.LOOPS
    if not (looped if automatic else facts.asked):
        return Scope.NOTHING
    return Scope.CALL if whole else Scope.STEP


def _scope_of_chunks(facts: Facts) -> Scope:
    if not facts.enabled:
        return Scope.NOTHING
    return Scope.SEGMENTS if facts.uncompilable else Scope.CALL


def _trains_loops_alone(facts: Facts, looped: bool) -> bool:
    """Whether training is fastest if XLA compiles loops and large populations alone.

    Convolutions for all steps at once take half the time without XLA, and in a loop over chunks of
    time a thirtieth; so does all of a small network that has no loop.
    """
    groups = [g for s in facts.program.stages if not s.looped for g in s.groups]
    convolves = any(g.traits.product is Product.CONVOLUTION for g in groups)
    return convolves if looped else facts.checkpoint_steps is None
