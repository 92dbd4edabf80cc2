"""Memory that is freed stays with the process, unless somebody wants it otherwise."""

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from nengo_dl.compiler.costs import CPU
from nengo_dl.runtimes import switches
from nengo_dl.runtimes.tensorflow import heap

glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="mallopt is glibc's"
)
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

# Faults of pages of a piece that was freed before, in a process whose first allocation it is.
FAULTS = """
import ctypes, resource
import nengo_dl.runtimes.tensorflow
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def touch(size=100 * 2**20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    piece = libc.malloc(size)
    libc.memset(piece, 1, size)
    libc.free(piece)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
touch()
print(touch())
"""
PAGES = 100 * 2**20 // resource.getpagesize()


def faults(**environment):
    """Return the faults of pages in a second use of 100 MB."""
    known = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    call = [sys.executable, "-c", FAULTS]
    done = subprocess.run(call, env=known | environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@glibc
def test_large_pieces_are_not_asked_for_anew():
    assert faults() < PAGES / 100


@glibc
def test_users_may_want_it_otherwise():
    """Without it they are asked for: that is why they are kept."""
    if HUGE_PAGES.exists() and "[always]" in HUGE_PAGES.read_text():
        pytest.skip("pages are huge here, and few")
    assert faults(NENGO_DL_KEEP_MEMORY="0") >= PAGES / 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_MMAP_THRESHOLD_", "65536"),
        ("MALLOC_TRIM_THRESHOLD_", "65536"),
        ("MALLOC_MMAP_MAX_", "0"),
        ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
    ],
)
def test_what_the_user_told_glibc_stays(monkeypatch, name, value):
    monkeypatch.setattr(ctypes, "CDLL", None)  # it would raise
    monkeypatch.setenv(name, value)
    assert not heap.keep_freed_memory(CPU)


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", None)
    monkeypatch.setattr(switches, "KEEP_MEMORY", False)
    assert not heap.keep_freed_memory(CPU)


@pytest.mark.parametrize("error", [OSError, TypeError, AttributeError])
def test_other_c_libraries_are_left_alone(monkeypatch, error):
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)

    def missing(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not heap.keep_freed_memory(CPU)
