"""Random graphs of operators, and what they compute, one operator at a time in NumPy.

``graphs()`` draws a `Graph`; ``interpret`` runs it as `compiler/ir.py` defines it, and shares no
code with the compiler; ``run_program`` runs what the compiler made of it.
"""

import os
from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nengo_dl.compiler import costs
from nengo_dl.compiler.ir import Graph, Op, Output, Role, Signal, View
from nengo_dl.compiler.pipeline import SIMPLIFICATIONS, Options, build_program
from nengo_dl.kernels import CATALOGUE

DT = 0.125
BATCH = 2

#: How many graphs each property is tried on; ``RANDOM_GRAPHS=1000`` looks for new ones.
EXAMPLES = os.environ.get("RANDOM_GRAPHS")


def tried(examples):
    """Return settings of hypothesis: as many examples, always the same unless asked for more."""
    return settings(
        max_examples=int(EXAMPLES or examples),
        derandomize=EXAMPLES is None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


# -------------------------------------------------------------------------------- drawing graphs

SHAPES = [(), (1,), (2,), (3,), (5,), (2, 3), (3, 1), (1, 4)]
VALUES = [-1.0, -0.5, 0.0, 0.25, 0.5, 1.0]
SOURCES = [Role.CONSTANT, Role.PARAMETER, Role.STATE, Role.INPUT, Role.ADAPTED]


def size_of(shape):
    return int(np.prod(shape, dtype=int))


class _Drawing:
    """A graph that grows; `degree` of a signal: how many states are multiplied in it, at most."""

    def __init__(self, draw):
        self.draw = draw
        self.ops, self.degree, self.following = [], {}, {}

    def chance(self, options):
        return self.draw(st.sampled_from(options))

    def source(self, role, shape):
        number = len(self.degree)
        signal = Signal(
            f"{role.value}{number}",
            shape,
            role,
            initial=None if role in (Role.INPUT, Role.TIME) else self.values(shape),
            trainable=role is Role.PARAMETER and self.chance([True, False]),
        )
        self.degree[signal] = int(role.carried)
        return signal

    def values(self, shape):
        kind = self.chance(["zeros", "ones", "any", "any"])
        if kind != "any":
            return np.full(shape, float(kind == "ones"))
        some = st.lists(st.sampled_from(VALUES), min_size=size_of(shape), max_size=size_of(shape))
        return np.array(self.draw(some)).reshape(shape)

    def emit(self, kind, reads, shape, targets=(), **attrs):
        degrees = [self.degree[v.signal] for v in reads]
        signal = Signal(f"{kind}{len(self.degree)}", shape)
        product = kind in ("multiply", "dot")
        self.degree[signal] = sum(degrees) if product else max(degrees, default=0)
        self.ops.append(Op(kind, tuple(reads), (signal,), attrs, tuple(targets), signal.name))
        return signal

    def view(self, shape, most=2):
        """A view of that shape: whole, sliced either way, or gathered."""
        known = [s for s, degree in self.degree.items() if degree <= most]
        signal = self.chance(known[-3:] + known if self.chance([False, True]) else known[-4:])
        size = size_of(shape)
        ways = ["gather"]
        if signal.size >= size:
            ways += ["slice", "backwards"]
        if signal.size == size:
            ways += ["whole"] * 4
        way = self.chance(ways)
        if way == "whole":
            return View(signal, None, shape)
        if way == "gather":
            index = st.lists(st.integers(0, signal.size - 1), min_size=size, max_size=size)
            return View(signal, np.array(self.draw(index), dtype=int), shape)
        start = self.draw(st.integers(0, signal.size - size))
        if way == "slice":
            return View(signal, slice(start, start + size), shape)
        return View(signal, slice(start + size - 1, start - 1 if start else None, -1), shape)

    def target(self, size):
        """Distinct positions among `size`, and how many there are."""
        start = self.draw(st.integers(0, size - 1))
        stop = self.draw(st.integers(start + 1, size))
        way = self.chance(["slice", "backwards", "strided", "array"])
        if way == "slice":
            return slice(start, stop), stop - start
        if way == "backwards":
            return slice(stop - 1, start - 1 if start else None, -1), stop - start
        if way == "strided":
            return slice(start, stop, 2), len(range(start, stop, 2))
        order = self.draw(st.permutations(range(size)))
        return np.array(order[start:stop]), stop - start

    # ---------------------------------------------------------------- kinds of ops

    def sum(self):
        shape = self.chance(SHAPES)
        reads, targets = [], []
        for _ in range(self.chance([0, 1, 1, 2, 3, 4])):
            whole = self.chance([True, False])
            target, size = (None, size_of(shape)) if whole else self.target(size_of(shape))
            targets.append(target)
            reads.append(self.view(shape if whole else (size,)))
        self.emit("sum", reads, shape, targets)

    def multiply(self):
        shape = self.chance(SHAPES)
        narrow = [shape, (), (1,), shape[-1:], (*shape[:-1], 1)]
        narrow = [s for s in narrow if np.broadcast_shapes(s, shape) == shape]
        factors = [self.view(shape), None]
        factors[1] = self.view(self.chance(narrow), 2 - self.degree[factors[0].signal])
        self.emit("multiply", factors if self.chance([True, False]) else factors[::-1], shape)

    def outer(self):
        """A column times a row: neither has the shape of the product."""
        rows, columns = self.chance([1, 2, 3]), self.chance([1, 2, 3])
        column = self.view((rows, 1))
        row = self.view((columns,), 2 - self.degree[column.signal])
        self.emit("multiply", [column, row], (rows, columns))

    def dot(self):
        rows, columns = self.chance([1, 2, 3]), self.chance([1, 2, 3])
        matrix = self.view((rows, columns))
        vector = self.view((columns,), 2 - self.degree[matrix.signal])
        self.emit("dot", [matrix, vector], (rows,))

    def lowpass(self):
        state = self.source(Role.STATE, self.chance(SHAPES))
        a, b = self.chance([0.0, 0.5, 0.75]), self.chance([0.25, 1.0])
        y = self.emit("lowpass", [View(state), self.view(state.shape, 1)], state.shape, a=a, b=b)
        self.following[state] = View(y)

    # ---------------------------------------------------------------- what states become

    def twin(self):
        """A state that begins as another does, and becomes the same."""
        states = list(self.following)
        if states:
            old = self.chance(states)
            new = Signal(f"twin{len(self.degree)}", old.shape, Role.STATE, initial=old.initial)
            self.degree[new] = 1
            value = self.following[old]
            self.following[new] = View(value.signal, value.index, value.shape)

    def follow(self):
        """Give most states a next value: of anything that does not grow too fast."""
        for state in [s for s in self.degree if s.role.carried]:
            if state not in self.following and self.chance([True, True, True, False]):
                self.following[state] = self.view(state.shape, 1)

    def outputs(self):
        """Some of anything, and of what came last."""
        temporaries = [s for s in self.degree if s.role is Role.TEMPORARY]
        states = [s for s in self.degree if s.role.carried]
        views = [View(s) for s in (temporaries[-2:] + states)[:: self.chance([1, 2])]]
        views += [self.view(self.chance(SHAPES)) for _ in range(self.draw(st.integers(1, 3)))]
        return tuple(
            Output(f"out{i}", view, last_only=self.chance([False, False, True]))
            for i, view in enumerate(views)
        )


@st.composite
def graphs(draw, most_ops=12):
    """Draw a `Graph` whose ops stand in any order."""
    drawing = _Drawing(draw)
    drawing.source(Role.CONSTANT, drawing.chance(SHAPES))
    for _ in range(draw(st.integers(1, 5))):
        drawing.source(drawing.chance(SOURCES), drawing.chance(SHAPES))
    if draw(st.booleans()):
        drawing.source(Role.TIME, ())
    kinds = ["sum", "sum", "sum", "multiply", "outer", "dot", "lowpass"]
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=2, max_size=most_ops)):
        getattr(drawing, kind)()
    drawing.follow()
    for _ in range(drawing.chance([0, 0, 1, 2])):
        drawing.twin()
    for _ in range(drawing.chance([0, 1, 2])):  # which may read the twins
        drawing.sum()
    ops = tuple(draw(st.permutations(drawing.ops)))
    pinned = tuple(s for s in drawing.degree if s.role is Role.PARAMETER)
    return Graph(ops, drawing.following, drawing.outputs(), pinned)


# -------------------------------------------------------------------------------- what they mean


@dataclass
class Answer:
    """Results of a run: outputs (T, B, size) by key, final states (B, size), the largest value."""

    outputs: dict
    states: dict
    largest: float


def draw_inputs(graph, steps, seed=0):
    """Return input data (T or 1, B or 1, size), in any of the forms that there are."""
    rng = np.random.RandomState(seed)
    signals = [s for s in graph.sources() if s.role is Role.INPUT]
    forms = [(steps, BATCH), (steps, 1), (1, BATCH), (1, 1)]
    return {
        s: rng.choice([-1.0, -0.5, 0.5, 1.0], size=(*forms[i % 4], s.size))
        for i, s in enumerate(signals)
    }


def interpret(graph, inputs, steps, batch=BATCH):
    """Run a graph one operator at a time; return an `Answer`."""
    ordered = _sorted(graph)
    items = [_interpret_item(graph, ordered, _item(inputs, steps, b), steps) for b in range(batch)]
    outputs = {o.key: np.stack([rows[o.key] for rows, _, _ in items], 1) for o in graph.outputs}
    states = {s: np.stack([final[s] for _, final, _ in items]) for s in items[0][1]}
    return Answer(outputs, states, max(largest for _, _, largest in items))


def _item(inputs, steps, item):
    """What one batch item is fed: (steps, size)."""
    found = {}
    for signal, x in inputs.items():
        rows = x if len(x) == 1 else x[:steps]
        found[signal] = np.broadcast_to(rows, (steps, max(item + 1, x.shape[1]), signal.size))[
            :, item
        ]
    return found


def _interpret_item(graph, ordered, inputs, steps):
    states = {s: np.ravel(s.initial) for s in graph.sources() if s.role.carried}
    rows = {o.key: [] for o in graph.outputs}
    largest = 1.0
    for step in range(steps):
        values = dict(states)
        values.update((s, x[step]) for s, x in inputs.items())
        for signal in graph.sources():
            if signal.role is Role.TIME:
                values[signal] = np.array([(step + 1) * DT])
            elif signal.role in (Role.CONSTANT, Role.PARAMETER):
                values[signal] = np.ravel(signal.initial)
        for op in ordered:
            values[op.writes[0]] = _COMPUTE[op.kind](op, [_look(v, values) for v in op.reads])
        for output in graph.outputs:
            rows[output.key].append(_look(output.view, values).ravel())
        states.update((s, _look(v, values).ravel()) for s, v in graph.next.items())
        largest = max([largest, *(np.max(np.abs(v), initial=0) for v in values.values())])
    return {key: np.stack(found) for key, found in rows.items()}, states, largest


def _look(view, values):
    flat = values[view.signal]
    return (flat if view.index is None else flat[view.index]).reshape(view.shape)


def _sorted(graph):
    known, left, ordered = set(graph.sources()), list(graph.ops), []
    while left:
        ready = [op for op in left if all(v.signal in known for v in op.reads)]
        if not ready:
            raise ValueError("a cycle")
        ordered += ready
        known.update(s for op in ready for s in op.writes)
        left = [op for op in left if op not in ready]
    return ordered


def _sum(op, reads):
    result = np.zeros(op.writes[0].size)
    for value, target in zip(reads, op.targets, strict=True):
        result[slice(None) if target is None else target] += value.ravel()
    return result


def _lowpass(op, reads):
    return (op.attrs["a"] * reads[0] + op.attrs["b"] * reads[1]).ravel()


_COMPUTE = {
    "sum": _sum,
    "route": _sum,
    "multiply": lambda op, reads: (reads[0] * reads[1]).ravel(),
    "dot": lambda op, reads: (reads[0] @ reads[1]).ravel(),
    "lowpass": _lowpass,
}


# -------------------------------------------------------------------------------- what was built


def run_program(program, inputs, span, unroll=1, batch=BATCH):
    """Run a program; return outputs (T or 1, B or 1, size) by key and final states (B, size)."""
    from nengo_dl.kernels.context import Context
    from nengo_dl.runtimes.tensorflow.execute import execute
    from nengo_dl.runtimes.tensorflow.strategy import Scope, Strategy

    ctx = Context(DT, "float64", batch, False, host=None, steppers=None)
    sources, carry = start_values(program, inputs, batch)
    how = Strategy(purpose="simulate", scope=Scope.NOTHING, program=program, unroll=unroll)
    outputs, after = execute(sources, carry, span, ctx, how)
    states = {}
    for block, value in after.items():
        parts = np.split(np.asarray(value), np.cumsum([s.size for s in block.members])[:-1], 1)
        states.update(zip(block.members, parts, strict=True))
    return {o.key: np.asarray(value) for o, value in outputs.items()}, states


def start_values(program, inputs, batch=BATCH):
    """Return arrays for the blocks that a program starts from: sources, and carried ones."""
    import tensorflow as tf

    sources, carry = {}, {}
    for block in program.layout.blocks:
        if block.role.carried:
            start = np.asarray(block.initial(), dtype=float).reshape(1, block.size)
            carry[block] = tf.constant(np.repeat(start, batch, axis=0))
        elif block.role is Role.INPUT:
            (signal,) = block.members
            sources[block] = tf.constant(inputs[signal])
        elif block.role is not Role.TIME:
            start = np.asarray(block.initial(), dtype=float)
            sources[block] = tf.constant(start.reshape(1, 1, block.size))
    return sources, carry


def build(graph, simplifies=True, groups=True, layout=None, skipped=()):
    """Compile a graph with this package's own kernels."""
    left_out = {*skipped, *(() if simplifies else SIMPLIFICATIONS), *(() if groups else ["group"])}
    options = Options(skipped=frozenset(left_out), costs=costs.current())
    return build_program(graph, CATALOGUE, options, layout)


def check_equal(found, expected, largest, what):
    """Compare to 1e-12 of the largest number that there was."""
    np.testing.assert_allclose(
        found, expected, rtol=1e-12, atol=1e-12 * largest, err_msg=str(what), strict=False
    )


def check_answer(graph, outputs, states, answer, valid):
    """Compare a run of `valid` steps with the interpreter's."""
    for output in graph.outputs:
        expected = answer.outputs[output.key][:valid]
        expected = expected[-1:] if output.last_only else expected
        found = outputs[output.key]
        found = found if len(found) == 1 else found[:valid]
        found = np.broadcast_to(found, expected.shape)
        check_equal(found, expected, answer.largest, output.key)
    for state, value in states.items():
        check_equal(value, answer.states[state], answer.largest, state)
