"""`Simulator.explain`: what is compiled, what runs in Python, why, and at what cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from textwrap import wrap

from ..compiler.ir import Group, Op, Stage
from ..session.session import Session
from ..session.sources import Constant

WIDTH = 88  # characters of a line

# on two quiet cores of an AMD EPYC; `python -m nengo_dl.benchmarks closed_loop` measures the first
COST_IN_NUMPY = (
    "A step takes some tens of µs (44 for 100 neurons and one function), where a compiled step of "
    "that size takes a few."
)
COST_IN_TENSORFLOW = "Each such call out of TensorFlow costs some 100 to 300 µs a step."

REMEDIES = {
    "python": (
        "A nengo_dl.TensorNode with the same function, written with keras.ops or TensorFlow, is "
        "compiled, and trains. A function of time alone needs no input: as a node without one it "
        "is called before each chunk of time, not in the loop."
    ),
    "source": (
        "It may share what it knows with other Python in the step. If it depends on nothing but "
        "the time, say so, and it is called before each chunk of time: configure_settings("
        "pure=True), or net.config[node].pure = True."
    ),
    "neurons": (
        "Neuron types that come with Nengo or nengo_dl are compiled; a subclass is a type of its "
        "own, and needs a kernel (nengo_dl.kernels.registry.neuron)."
    ),
    "process": (
        "Lowpass, Alpha, other LinearFilter and Triangle synapses are compiled. A process that "
        "needs no input can be the output of a node without one: it is then drawn before each "
        "chunk of time."
    ),
    "drawn_spikes": (
        "RegularSpiking and StochasticSpiking are compiled as a whole. PoissonSpiking draws as "
        "Nengo does, which XLA cannot; where nothing feeds its spikes back, it draws for a whole "
        "chunk of time at once."
    ),
    "tensor_node": (
        "XLA compiles most of TensorFlow, but not tf.print, tf.py_function, sparse products, and "
        "TensorFlow's own random numbers; without those, the TensorNode is compiled too."
    ),
    "operator": (
        "An operator of Nengo's builder that has no lowering runs by its own NumPy code; see "
        "nengo_dl.lowering.operators.lowers."
    ),
}

CALLED = {
    "python": "{when}, Python calls {names}.",
    "source": "{when}, Python calls {names}.",
    "neurons": "{when}, Nengo's own code steps {names} in Python.",
    "process": "{when}, Nengo's own code steps {names} in Python.",
    "drawn_spikes": "{when}, Nengo's own code draws the spikes of {names} in Python.",
    "tensor_node": "{when}, TensorFlow calls {names}, which XLA cannot compile.",
    "operator": "{when}, Nengo's own code runs {names} in Python.",
}

TRAINED = {  # by name of a strategy's scope
    "CALL": "XLA compiles fit as a whole.",
    "STEP": "XLA compiles fit, but not what it draws.",
    "LOOPS": "XLA compiles loops and large populations of fit, TensorFlow runs the rest.",
    "NOTHING": "TensorFlow runs fit without XLA.",
}


def explain(session: Session, print_fn: Callable[[str], object] | None) -> None:
    """See `Simulator.explain`."""
    paragraphs = [
        _size(session),
        _running(session),
        *_python(session),
        _inputs(session),
        _beginning(session),
        _training(session),
    ]
    lines = [line for text in paragraphs if text for line in (*wrap(text, WIDTH), "")]
    (print if print_fn is None else print_fn)("\n".join(lines).rstrip("\n"))


def _size(session: Session) -> str:
    program = session.compiled.program
    once = sum(len(s.groups) for s in program.stages if not s.looped)
    looped = sum(len(s.groups) for s in program.stages if s.looped)
    text = (
        f"Nengo's {len(session.compiled.model.operators):,} operators became "
        f"{len(program.ops):,}, which are computed in {len(program.groups):,} groups: {looped:,} "
        f"in each step, and {once:,} once for all steps of a chunk of time."
    )
    if not looped:
        text += " Nothing depends on an earlier step, so there is no loop."
    return text


def _running(session: Session) -> str:
    """Who runs it, and in what chunks."""
    if session.first_steps.takes_all:
        return (
            f"run and predict step it in NumPy: it has Python in its loop, and is so small that "
            f"calls out of TensorFlow would cost more than they save. {COST_IN_NUMPY}"
        )
    runner, batch = session.runner, session.batch
    chunk = f"chunks of up to {runner.longest:,} steps"
    how = runner.strategy
    if how.scope.name == "NOTHING":
        return f"XLA is switched off; TensorFlow runs {chunk}."
    if how.scope.name == "SEGMENTS":
        return (
            f"TensorFlow loops over {chunk}; XLA compiles what lies between the parts that it "
            f"cannot compile."
        )
    text = f"XLA compiles all of it as one program, for {chunk}, once for runs of any length."
    if how.single_kernels:
        text += " A loop is a single kernel of machine code."
    if how.parts > 1:
        text += (
            f" The {batch:,} items of a minibatch run in {how.parts} parts side by side, one a "
            f"core."
        )
    return text


def _python(session: Session) -> Iterator[str]:
    """What XLA does not compile, by kind; whose fault it is, the cost, and the remedy."""
    found: dict[tuple[str, bool, bool], dict[str, None]] = defaultdict(dict)
    for stage, group, op in _uncompiled(session):
        key = _kind(op), stage.looped, group.traits.passes_gradient
        found[key][op.tag or op.kind] = None
    in_numpy = session.first_steps.takes_all
    for (kind, looped, passes_gradient), names in found.items():
        when = _how_often(session, looped)
        text = CALLED[kind].format(when=when, names=_listed(names))
        if looped and not in_numpy:
            text += f" {COST_IN_TENSORFLOW}"
        if not passes_gradient:
            text += " No gradient flows through what it returns."
        yield f"{text} {REMEDIES[kind]}"
    if not found:
        yield "No Python runs in a step."


def _uncompiled(session: Session) -> Iterator[tuple[Stage, Group, Op]]:
    program = session.compiled.program
    uncompilable = session.graph.uncompilable(program)
    for stage in program.stages:
        for group in stage.groups:
            if group in uncompilable:
                yield from ((stage, group, op) for op in group.ops)


def _kind(op: Op) -> str:
    """A key of `REMEDIES`."""
    if op.kind in REMEDIES:
        return op.kind
    operator = type(op.attrs.get("operator")).__name__
    return {"SimNeurons": "neurons", "SimProcess": "process"}.get(operator, "operator")


def _how_often(session: Session, looped: bool) -> str:
    items = f" for each of {session.batch:,} batch items" if session.batch > 1 else ""
    return f"Once a step{items}" if looped else "Once for all steps of a chunk of time"


def _listed(names: dict[str, None], most: int = 3) -> str:
    """Names in a sentence."""
    shown = list(names)[:most]
    more = len(names) - len(shown)
    words = [*shown, f"{more} more"] if more else shown
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _inputs(session: Session) -> str:
    """What gives inputs that nobody feeds."""
    feeds = [f for f in session.compiled.lowered.feeds if f.node is not None and not f.called]
    called = [f for f in feeds if not isinstance(session.sources[f], Constant)]
    if not called:
        return ""
    names = _listed({str(feed.node): None for feed in called})
    return (
        f"{names} {'is' if len(called) == 1 else 'are'} called in Python once a step, before each "
        f"chunk of time, unless data are given."
    )


def _beginning(session: Session) -> str:
    if session.first_steps.takes_all or not session.first_steps.include(0):
        return ""
    return (
        f"The first {session.first_steps.end} steps of a simulation run in NumPy, so that a run of "
        f"a few steps does not wait for XLA."
    )


def _training(session: Session) -> str:
    """What `fit` compiles."""
    if session.settings.inference_only:
        return "It was configured with inference_only=True, and cannot be trained."
    choice = {
        op.attrs["training_spikes"]: None
        for op in session.compiled.training_program.ops
        if op.attrs.get("in_training")
    }
    text = (
        f"In fit, spiking neurons train with {' and '.join(map(str, choice))}. " if choice else ""
    )
    return text + TRAINED[session.graph.strategy("train").scope.name]
