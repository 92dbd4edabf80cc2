"""What things cost on a machine, as numbers: the only place for thresholds, of runtimes too.

A field is named after what it bounds and its unit. Elements are numbers of any precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from .ir import Group, Program
from .traits import Product


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Bounds between two ways to compute the same, for one kind of machine.

    All were measured on two cores of an AMD EPYC processor with TensorFlow 2.21, in float32:
    networks on both sides of a bound, in both ways. ``python -m nengo_dl.benchmarks.costs FIELD``
    measures a field on the machine at hand, and without a name all of them; it also says which are
    chosen, not measured, and which another benchmark measures. What steps and
    compiling take is compared by ``python -m nengo_dl.benchmarks.single_steps``. A step in NumPy
    took 27 µs for a chain of three ensembles (24 by these costs), 42 for an integrator (47), 75 for
    circular convolution (89), 129 for basal ganglia (144), 51 for PES (49) and 281 for 200
    ensembles connected at random (280).

    Times decide which runtime takes which steps, and nothing that is measured while a simulation
    runs: results depend on the network alone.

    Attributes
    ----------
    numpy_group_us : float
        Time of one group of operators in a step of NumPy, however small its arrays [µs].
    numpy_argument_us : float
        Time of each argument that a group reads, besides [µs].
    numpy_element_ns : float
        Time of each element that a group computes [ns].
    numpy_factor_ns : float
        Time of each element of a parameter or a constant, as in matrices [ns].
    import_ms : float
        Time to import TensorFlow [ms].
    compile_ms : float
        Time to trace and compile the smallest program [ms].
    compile_group_ms : float
        Time to trace and compile one group more [ms].
    short_run_steps : int
        Steps of a run that is to wait neither for an import nor for a compiler, as most are: one
        second, for most.
    fewest_steps : int
        If NumPy could take fewer steps, it takes none: its arrays would be made in vain.
    most_steps : int or None
        A bound of the steps that NumPy takes; None for no bound.
    longest_chunk_ms : float
        Time that a chunk of steps may take in NumPy before progress is shown, or Ctrl-C heard [ms].
    matrix_elements_between_loops : int
        From this size on, a product of its own between two loops is cheaper than one in a loop.
    reducing_ratio : int
        A product that makes this many times more, or fewer, elements stays in the loop: keeping
        all steps of its larger side would cost more.
    shared_vector_elements : int
        Elements that matrices with a vector in common would copy, from which on they are a group of
        their own.
    gather_pieces : int
        Beyond so many pieces, one gather is cheaper than slices put end to end.
    gather_long_pieces : int
        The same where pieces are long; each is an operation to compile.
    long_piece_elements : int
        Elements of a long piece, on average.
    interleaved_members : int
        From so many members on, small populations are computed element by element.
    row_elements : int
        From so many elements of a member on, rows of members are as fast.
    picked_share : int
        What is this many times smaller than a block may be picked out of it in its own order.
    single_kernel_elements : int
        Elements that a group writes, up to which a loop is faster as one kernel: beyond, kernels
        of their own use two cores.
    single_kernel_matrix_elements : int
        The same for the elements of all matrices: beyond, products use larger vectors.
    single_kernel_terms : int
        The same for elements added up; from 2**15 on, XLA has no form of that within a kernel.
    divided_packed_elements : range
        Elements of packed states that XLA divides among threads although it does not pay: from
        the first number on it divides kernels that compute more for each byte.
    lone_outputs : int
        Outputs of the same arrays that are recorded one by one; more are recorded as one.
    shown_share : int
        Elements of a part of an array for each that a probe shows, beyond which some are picked.
    joined_row_elements : int
        Elements of a probe's row, up to which it costs less to join it to others than to record a
        series of its own.
    lone_population_elements : int
        Elements of a population, for all steps at once, from which on XLA is called for it alone.
    numpy_loop_elements : int
        Elements that a step with Python in it reads, up to which all steps are taken in NumPy;
        beyond, compiled code makes up for its calls of Python.
    numpy_loop_calls : int
        Calls of kernels in such a step, for several items, up to which the same holds.
    chunk_steps : int
        Steps in a chunk of compiled time.
    chunk_steps_on_host : int
        The same with Python in the loop, which may be slow: progress and Ctrl-C wait for a chunk.
    chunk_bytes : int
        Bytes that a chunk's inputs and results may take.
    padded_elements : int
        Elements that may be computed in vain for the sake of one compilation.
    longer_function : int
        Steps of a compiled chunk, for each step that is wanted, up to which it is used instead of
        another one that is compiled.
    kept_memory_bytes : int
        Freed memory that the process keeps at most, and the largest piece of it: what is asked of
        the system anew is filled with zeros, page by page.
    kept_activities_bytes : int
        Activities of ensembles that are kept while a network is built, for more connections out of
        them.
    objects_between_collections : int
        New objects after which Python looks for garbage while a network is built: nearly all stay.
    step_counts_ahead : int
        Numbers of steps of the next chunks that are made at once.
    product_elements : int
        Elements of a matrix that cost as much as another one, in a product for all steps.
    lone_parameters : int
        Parameters of a network up to which each has a variable of its own.
    kept_functions : int
        Functions of Keras's calls that are kept: each takes megabytes.
    shared_functions : int
        Compiled functions that are kept for the next simulator of the same network.
    shared_elements : int
        Elements of parameters, constants, state and optimizers that these hold together.
    shared_values : int
        Values in the description of what such a function depends on: beyond, compiling is faster.
    own_function_minibatches : int
        Minibatches of one length that are worth a function of its own.
    numpy_products : int
        Products that NumPy does faster one by one than together.
    numpy_populations : int
        Populations with constants of their own, beyond which calls of NumPy cost too much.
    product_columns : int
        As many products of vectors with numbers cost less than one of matrices.
    product_row_terms : int
        Terms that are summed together; XLA adds a single row one by one.
    product_items : int
        Items for each vector, above which products of single rows are faster as matrices.
    product_terms : int
        Terms from which on they are not.
    inlined_numbers : int
        Numbers that are multiplied in as much time as a kernel for them would take to start.
    small_matrix_elements : int
        Elements of a matrix, below which a product of matrices costs more than its numbers.
    sparse_padding : int
        Stored elements of a sparse matrix for each one of padding that is worth it.
    sparse_padding_elements : int
        Elements of padding that cost less than one more operation.
    copied_parameter_elements : int
        Elements of a parameter that may be copied before each chunk of time.
    still_steps : float
        Steps from which on what depends on inputs alone that stand still is computed once.
    part_elements : int
        Elements that a step of a part of a minibatch computes in loops: with fewer, it takes longer
        to start the parts than they save.
    """

    numpy_group_us: float = 3.5
    numpy_argument_us: float = 0.5
    numpy_element_ns: float = 0.4
    numpy_factor_ns: float = 0.25
    import_ms: float = 2500.0
    compile_ms: float = 200.0
    compile_group_ms: float = 25.0
    short_run_steps: int = 1000
    fewest_steps: int = 8
    most_steps: int | None = None
    longest_chunk_ms: float = 50.0
    matrix_elements_between_loops: int = 2**14
    reducing_ratio: int = 8
    shared_vector_elements: int = 1024
    gather_pieces: int = 12
    gather_long_pieces: int = 48
    long_piece_elements: int = 64
    interleaved_members: int = 16
    row_elements: int = 40
    picked_share: int = 8
    single_kernel_elements: int = 24_000
    single_kernel_matrix_elements: int = 180_000
    single_kernel_terms: int = 32_000
    divided_packed_elements: range = range(2**10, 2**15)
    lone_outputs: int = 16
    shown_share: int = 4
    joined_row_elements: int = 256
    lone_population_elements: int = 2**17
    part_elements: int = 2**12
    numpy_loop_elements: int = 2**17
    numpy_loop_calls: int = 40
    still_steps: float = 2
    chunk_steps: int = 2048
    chunk_steps_on_host: int = 128
    chunk_bytes: int = 32 * 2**20
    padded_elements: int = 2**22
    kept_memory_bytes: int = 2**30
    kept_activities_bytes: int = 2**27
    objects_between_collections: int = 100_000
    step_counts_ahead: int = 64
    longer_function: int = 4
    product_elements: int = 16
    lone_parameters: int = 64
    kept_functions: int = 8
    shared_functions: int = 16
    shared_elements: int = 2**24
    shared_values: int = 200_000
    own_function_minibatches: int = 256
    numpy_products: int = 8
    numpy_populations: int = 64
    product_columns: int = 8
    product_row_terms: int = 64
    product_items: int = 8
    product_terms: int = 2**13
    inlined_numbers: int = 2**10
    small_matrix_elements: int = 2**12
    sparse_padding: int = 8
    sparse_padding_elements: int = 1024
    copied_parameter_elements: int = 2**14

    def numpy_step_us(self, program: Program) -> float:
        """Time of one step of one batch item in NumPy [µs]."""
        return sum(map(self._numpy_group_us, program.groups))

    def _numpy_group_us(self, group: Group) -> float:
        factors = sum(r.size for r in group.reads if r.fixed)
        if group.traits.product is Product.CONVOLUTION:  # each is used at all places of the output
            factors *= sum(b.size for b in group.writes) // (len(group.ops) * _channels(group))
        elements = sum(r.size for r in group.reads if not r.fixed)
        elements += sum(b.size for b in group.writes)
        fixed = self.numpy_group_us + self.numpy_argument_us * len(group.reads)
        return fixed + (self.numpy_factor_ns * factors + self.numpy_element_ns * elements) / 1000

    def compile_us(self, program: Program) -> float:
        """Time until XLA has compiled a program [µs]."""
        return 1000 * (self.compile_ms + self.compile_group_ms * len(program.groups))

    def first_steps(self, program: Program) -> int:
        """Steps that NumPy takes before a compiled program does.

        They cost half as much as it costs to compile the program: that is what a long run loses at
        most, and a short one waits for nothing. All of a short run are, if they cost less than
        compiling and half an import: who runs nothing else waits for neither, and who has imported
        TensorFlow already loses little.
        """
        compiling, step = self.compile_us(program), max(self.numpy_step_us(program), 1.0)
        steps = int(compiling / 2 / step)
        if self.short_run_steps * step <= compiling + 500 * self.import_ms:
            steps = max(steps, self.short_run_steps)
        if self.most_steps is not None:
            steps = min(steps, self.most_steps)
        return steps if steps >= self.fewest_steps else 0

    def longest_chunk(self, program: Program) -> int:
        """Steps in a chunk of time that NumPy takes."""
        return max(int(1000 * self.longest_chunk_ms / max(self.numpy_step_us(program), 1.0)), 1)


def _channels(group: Group) -> int:
    """Channels of the output of a convolution."""
    return group.read_shapes[0][-1]


CPU = Costs()
#: Estimated, not measured: kernels start more slowly there, and have more elements at once to work
#: on. Large arrays are read fastest as they lie, and a loop's kernels are none of the CPU's.
GPU = replace(
    CPU,
    interleaved_members=2**62,
    divided_packed_elements=range(0),
    inlined_numbers=2**14,
    numpy_loop_elements=2**19,
    part_elements=2**62,
)

_CURRENT: ContextVar[Costs | None] = ContextVar("costs", default=None)


def current(usual: Costs | None = None) -> Costs:
    """The costs that simulators made now are compiled for.

    Parameters
    ----------
    usual : Costs, optional
        What is assumed where `assuming` does not say otherwise; by default, `CPU`.
    """
    return _CURRENT.get() or usual or CPU


@contextmanager
def assuming(**changes: Any) -> Iterator[Costs]:
    """Let simulators that are made within this context assume other costs.

    Parameters
    ----------
    **changes
        Fields of `Costs`.
    """
    token = _CURRENT.set(replace(current(), **changes))
    try:
        yield current()
    finally:
        _CURRENT.reset(token)
