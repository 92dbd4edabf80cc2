"""Modules that are imported when something of theirs is first used: Keras imports TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from .arrays import Gradient, Tensor

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Later:
    """Stands for a module that takes long to import.

    Parameters
    ----------
    load : callable
        Imports and returns the module.
    """

    def __init__(self, load: Callable[[], ModuleType]) -> None:
        self._load = load
        self._module: ModuleType | None = None

    def __getattr__(self, name: str) -> Any:
        if self._module is None:
            self._module = self._load()
        return getattr(self._module, name)


class KerasOps(Protocol):
    """What `keras.ops` is to a type checker: Keras has no annotations."""

    def __getattr__(self, name: str) -> Callable[..., Tensor]: ...

    @staticmethod
    def is_tensor(x: object) -> bool: ...

    @staticmethod
    def custom_gradient(
        function: Callable[Given, tuple[Result, Gradient]], /
    ) -> Callable[Given, Result]: ...


if TYPE_CHECKING:
    ops: KerasOps
else:
    ops = Later(lambda: import_module("keras.ops"))

__all__ = ["Later", "ops"]
