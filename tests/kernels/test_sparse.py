"""Sparse products: rows of any length, padded little, are what NumPy makes of them."""

from types import SimpleNamespace

import numpy as np
import pytest

from nengo_dl.compiler.costs import CPU
from nengo_dl.compiler.ir import Op, Signal, View
from nengo_dl.kernels import sparse

SIZES = [(1, 1), (7, 30), (200, 40)]
#: Rows of the stored elements, of a matrix with m rows; drawn so that columns may repeat.
PLACES = {
    "even": lambda m, rng: rng.randint(m, size=5 * m),
    "a few long rows": lambda m, rng: (m * rng.rand(6 * m) ** 6).astype(int),
    "most rows empty": lambda m, rng: np.full(8, m - 1),
    "nothing stored": lambda m, rng: np.zeros(0, int),
}


def matrix(size, places, rng):
    """Return an op of a random sparse matrix, and its stored elements."""
    m, n = size
    rows = places(m, rng)
    columns = rng.randint(n, size=len(rows))
    parts = Signal("a", (len(rows),)), Signal("x", (n,)), Signal("y", (m,))
    attrs = {"rows": rows, "columns": columns}
    return Op("sparse_dot", tuple(map(View, parts[:2])), parts[2:], attrs), rng.randn(len(rows))


def product(op, values, x):
    y = np.zeros((len(x), op.writes[0].size))
    for row, column, value in zip(op.attrs["rows"], op.attrs["columns"], values, strict=True):
        y[:, row] += value * x[:, column]
    return y


@pytest.mark.parametrize("few", [0, 1024], ids=["in slices", "in one"])
@pytest.mark.parametrize("places", PLACES)
def test_products(places, few, rng, assume):
    """Of several matrices at once, for several items."""
    assume(sparse_padding_elements=few)
    made = [matrix(size, PLACES[places], rng) for size in SIZES]
    xs = [rng.randn(3, op.reads[1].size) for op, _ in made]
    group = SimpleNamespace(ops=[op for op, _ in made])
    values = np.concatenate([values for _, values in made])[None]
    (got,) = sparse.SparseDot().compute(group, [values, np.concatenate(xs, axis=1)], None)
    expected = [product(op, values, x) for (op, values), x in zip(made, xs, strict=True)]
    np.testing.assert_allclose(got, np.concatenate(expected, axis=1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", ["even", "a few long rows"])
def test_memory_is_that_of_the_stored_elements(shape, rng):
    size, stored = 3000, 90_000
    draws = rng.rand(stored) ** (1 if shape == "even" else 8)
    rows = (size * draws).astype(np.int32)
    order, slices = sparse._sliced(rows, rows, size)
    np.testing.assert_array_equal(np.sort(order), np.arange(size))
    padded = sum(elements.size for elements, _ in slices)
    most = stored * (1 + 1 / CPU.sparse_padding) + CPU.sparse_padding_elements * len(slices)
    assert padded <= most
    assert len(slices) < 60
