"""Keras's precision, which is one for the whole process, as each simulator needs it.

Until Keras is imported, there is nothing to set; then `tell` does that.

Simulators in several threads may differ in it. Calls of one precision run side by side, calls of
another wait for them. A `with` block may last long and other threads may need its simulator, so
nothing waits for it: it says what holds between calls.

New layers follow a policy that Keras derives from the precision once in each thread, and then
keeps. Unless the user chose one, it is here what the precision says, and afterwards what it was.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import keras

Entry = TypeVar("Entry")  # of a call, or of a block


class Precisions:
    """Who computes in which precision, and what Keras's was before all of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: list[tuple[int, str]] = []  # threads, the latest last
        self._blocks: list[str] = []
        self._users = ""
        self._keras: ModuleType | None = None
        self._policies: dict[str, keras.DTypePolicy] = {}  # for layers, by precision

    def tell(self, keras: ModuleType) -> None:
        """Let Keras, which was imported, have the precision that it should."""
        with self._changed:
            self._keras, self._users = keras, keras.config.floatx()
            self._policies = {self._users: keras.config.dtype_policy()}
            self._set()

    @contextlib.contextmanager
    def call(self, dtype: str) -> Iterator[None]:
        """Let Keras make numbers of a precision, while no thread needs another."""
        call = threading.get_ident(), dtype
        with self._changed:
            self._changed.wait_for(lambda: self._may_enter(*call))
            self._enter(self._calls, call)
        try:
            yield
        finally:
            self._leave(self._calls, call)

    @contextlib.contextmanager
    def block(self, dtype: str) -> Iterator[None]:
        """Let Keras make numbers of a precision wherever no call needs another."""
        with self._changed:
            self._enter(self._blocks, dtype)
        try:
            yield
        finally:
            self._leave(self._blocks, dtype)

    def _may_enter(self, thread: int, dtype: str) -> bool:
        """A call within a call would wait for itself."""
        others = {kind for _, kind in self._calls}
        return others <= {dtype} or any(owner == thread for owner, _ in self._calls)

    def _enter(self, entries: list[Entry], entry: Entry) -> None:
        if self._keras is not None:
            if not self._calls and not self._blocks:
                self._users = self._keras.config.floatx()
            self._keras.config.dtype_policy()  # derived before the precision changes
        entries.append(entry)
        self._set()

    def _leave(self, entries: list[Entry], entry: Entry) -> None:
        with self._changed:
            # the last of its kind: calls within a call leave in turn
            latest = len(entries) - 1 - entries[::-1].index(entry)
            del entries[latest]
            self._set()
            self._changed.notify_all()

    def _set(self) -> None:
        if self._keras is None:
            return
        calls, thread = [dtype for _, dtype in self._calls], threading.get_ident()
        mine = [dtype for owner, dtype in self._calls if owner == thread]
        # a call that runs overrules blocks, and these what the user chose
        self._keras.config.set_floatx([self._users, *self._blocks, *calls][-1])
        self._follow(self._keras, [self._users, *self._blocks, *mine][-1])

    def _follow(self, keras: ModuleType, dtype: str) -> None:
        """Let layers of this thread have a precision, unless the user chose another policy."""
        policy = keras.config.dtype_policy()
        own = self._policies.get(policy.name)
        if policy.name != dtype and (policy is own or policy.name == self._users):
            if dtype not in self._policies:
                self._policies[dtype] = keras.DTypePolicy(dtype)
            keras.config.set_dtype_policy(self._policies[dtype])
