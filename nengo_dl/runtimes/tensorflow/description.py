"""What a compiled function depends on, as one value: equal ones compile to the same.

All that records of the compiler consist of is looked at, except names, and values that a function
takes from whoever calls it.  What may change a program in ways that nobody can see from outside
(functions, random generators, classes of the user's, whose code may be anything) has none.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
from nengo.params import FrozenObject

from ...compiler.ir import Block, Op, Output, Role, Signal
from ...kernels.base import Kernel
from ...kernels.constants import at_most_one

Description = tuple[object, ...]

_NAMES: Mapping[type, frozenset[str]] = {
    Signal: frozenset({"name"}),
    Block: frozenset({"name"}),
    Op: frozenset({"tag"}),
    Output: frozenset({"key", "name"}),
}
# packages whose code stays as it is
OWN = ("builtins.", "keras.", "nengo.", "nengo_dl.", "numpy.")
_REPR = "_FrozenObject__argreprs"  # of Nengo's objects, once somebody has printed them


@cache
def _fields(kind: type) -> tuple[str, ...]:
    """Fields of a record that a function depends on."""
    names = _NAMES.get(kind, ())
    return tuple(field.name for field in fields(kind) if field.name not in names)


def is_own(definition: object) -> bool:
    """Whether a class or a function is a package's, and not the user's."""
    return f"{getattr(definition, '__module__', None)}.".startswith(OWN)


class UndescribableError(Exception):
    """Something is no plain data."""


def describe(*things: object, most: int, given: Collection[Signal] = ()) -> Description | None:
    """A description of records, arrays and what they consist of.

    Parameters
    ----------
    *things : object
    most : int
        Values that a description may have: a longer one would take longer than to compile.
    given : collection of Signal
        Those whose values do not count.

    Returns
    -------
    tuple or None
        None if there is none.
    """
    writer = _Writer(most, given)
    try:
        writer.all_of(things)
    except UndescribableError:
        return None
    return tuple(writer.written)


class _Writer:
    """Writes down one thing after the other; those that it has met, as their numbers."""

    def __init__(self, most: int, given: Collection[Signal]) -> None:
        self.written: list[object] = []
        self._most, self._given = most, given
        self._met: dict[int, int] = {}

    def all_of(self, things: tuple | list) -> None:
        if all(type(thing) is int for thing in things):  # as most are
            self.written += type(things), tuple(things)
            return
        self.written += type(things), len(things)
        for thing in things:
            self.one(thing)

    def one(self, thing: Any) -> None:
        write = _BY_TYPE.get(type(thing)) or _writer_of(type(thing))
        write(self, thing)

    def record(self, thing: Any) -> None:
        """What is compared by identity, and so may be met again."""
        if self._again(thing):
            return
        if len(self.written) > self._most:
            raise UndescribableError
        self.written.append(type(thing))
        given = isinstance(thing, Signal) and thing in self._given
        for name in _fields(type(thing)):  # type: ignore[arg-type]  # types are hashable
            if not (given and name == "initial"):
                self.one(getattr(thing, name))
            elif thing.role is Role.STATE:
                self.written.append(at_most_one(thing.initial))

    def _again(self, thing: object) -> bool:
        """Whether a thing was met before; then its number stands where others have their type."""
        number = self._met.get(id(thing))
        if number is None:
            self._met[id(thing)] = len(self._met)
            return False
        self.written.append(number)
        return True

    def frozen(self, thing: FrozenObject) -> None:
        """An object of Nengo's, such as a neuron type."""
        if self._again(thing):
            return
        self.written.append(type(thing))
        self.mapping({k: v for k, v in thing.__getstate__().items() if k != _REPR})

    def mapping(self, thing: Mapping) -> None:
        self.written += dict, len(thing)
        for key, value in thing.items():
            self.one(key)
            self.one(value)

    def itself(self, thing: object) -> None:
        """What is equal only to what is the same in every way."""
        self.written += type(thing), thing

    def known(self, thing: type) -> None:
        if not is_own(thing):
            raise UndescribableError(thing)
        self.itself(thing)

    def number(self, thing: Any) -> None:
        # as text: 0.0 equals -0.0
        self.written += type(thing), repr(thing)

    def array(self, thing: np.ndarray) -> None:
        if thing.dtype.hasobject:
            raise UndescribableError
        digest = blake2b(thing.tobytes(), digest_size=16).digest()
        self.written += np.ndarray, thing.dtype.str, thing.shape, digest

    def members(self, thing: frozenset) -> None:
        if not all(isinstance(member, enum.Enum | str) for member in thing):
            raise UndescribableError
        self.itself(thing)

    def part(self, thing: slice) -> None:
        self.written += slice, thing.start, thing.stop, thing.step


def _none(writer: _Writer, thing: object) -> None:
    raise UndescribableError(type(thing))


_BY_TYPE: dict[type, Callable[[_Writer, Any], None]] = {
    type(None): _Writer.itself,
    bool: _Writer.itself,
    int: _Writer.itself,
    str: _Writer.itself,
    range: _Writer.itself,
    bytes: _Writer.itself,
    float: _Writer.number,
    complex: _Writer.number,
    tuple: _Writer.all_of,
    list: _Writer.all_of,
    frozenset: _Writer.members,
    slice: _Writer.part,
    np.ndarray: _Writer.array,
}
# of classes and all that derive from them; kernels stand for themselves, as there is one of each
_BY_BASE: tuple[tuple[type, Callable[[_Writer, Any], None]], ...] = (
    (enum.Enum, _Writer.itself),
    (type, _Writer.known),
    (Kernel, _Writer.itself),
    (np.generic, _Writer.number),
    (np.dtype, _Writer.number),
    (FrozenObject, _Writer.frozen),
    (Mapping, _Writer.mapping),
)


def _writer_of(kind: type) -> Callable[[_Writer, Any], None]:
    """How things of a type are written down; remembered, as there are few types."""
    by_base = (write for base, write in _BY_BASE if issubclass(kind, base))
    found = _Writer.record if is_dataclass(kind) else next(by_base, _none)
    found = found if is_own(kind) or issubclass(kind, type) else _none
    _BY_TYPE[kind] = found
    return found
