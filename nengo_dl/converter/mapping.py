"""`KerasTensorDict`: from Keras's tensors and layers to Nengo objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from ..utils import Connectable

#: A tensor, a layer that is called once, or several of these.
Key: TypeAlias = "keras.KerasTensor | keras.Layer | Sequence[Key]"


class KerasTensorDict(Mapping[Key, Any]):
    """Nengo objects by Keras tensor.

    Keys may be symbolic tensors, lists or tuples of them (for a list of objects; one for a single
    tensor), or layers that are called once (for what they return).

    Parameters
    ----------
    kind : str, default "tensors"
        What the keys are, for messages.
    """

    def __init__(self, kind: str = "tensors") -> None:
        self._kind = kind
        self._items: dict[
            int, tuple[keras.KerasTensor, Connectable]
        ] = {}  # the tensor is kept, so that its id is

    def __getitem__(self, key: Key) -> Any:
        tensors = self._tensors(key)
        missing = [t for t in tensors if id(t) not in self._items]
        if missing or not tensors:
            raise KeyError(
                f"{getattr(key, 'name', key)!r} is not among the {self._kind} of the converted "
                f"model; use tensors and layers of `converter.model`. With inference_only, what a "
                f"layer gives to a batch normalisation alone is not computed"
            )
        found = [self._items[id(t)][1] for t in tensors]
        return found[0] if len(found) == 1 else found

    def __setitem__(self, tensor: keras.KerasTensor, obj: Connectable) -> None:
        self._items[id(tensor)] = tensor, obj

    def __contains__(self, key: object) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[keras.KerasTensor]:
        return (tensor for tensor, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def _tensors(self, key: Key) -> list[keras.KerasTensor]:
        if isinstance(key, list | tuple):
            return [tensor for part in key for tensor in self._tensors(part)]
        if not isinstance(key, keras.layers.Layer):
            return [key]
        made = [t for t, _ in self._items.values() if t._keras_history.operation is key]
        calls = {t._keras_history.node_index for t in made}
        if len(calls) > 1:
            raise KeyError(
                f"layer {key.name!r} is called {len(calls)} times, so which output is meant is "
                f"ambiguous; use the tensor as the key"
            )
        return made
