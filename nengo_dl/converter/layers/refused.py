"""Layers that have no meaning in a network of numbers, and why."""

from __future__ import annotations

from typing import Any

import keras

from .base import LayerConverter, register

TEXT = "it works on text, and Nengo on numbers; apply it to the data beforehand"
FOREIGN = "it wraps code of another library, which cannot be copied; write it as a Keras layer"
ABSTRACT = "it is a base class, which computes nothing"
MASKS = (
    "later layers would not see its mask, and give other numbers; leave the mask out, and cut "
    "or pad the data beforehand"
)

REFUSED: dict[str, str] = {
    "FlaxLayer": FOREIGN,
    "HashedCrossing": TEXT,
    "Hashing": TEXT,
    "IntegerLookup": "it looks up whole numbers in a table; apply it to the data beforehand",
    "JaxLayer": FOREIGN,
    "Layer": ABSTRACT,
    "Masking": MASKS,
    "MaxNumBoundingBoxes": "it works on bounding boxes; apply it to the data beforehand",
    "StringLookup": TEXT,
    "TFSMLayer": FOREIGN,
    "TextVectorization": TEXT,
    "TorchModuleWrapper": FOREIGN,
    "Wrapper": ABSTRACT,
}


class ConvertRefused(LayerConverter):
    """Always an error."""

    allow_fallback = False

    @classmethod
    def convertible(cls, layer: Any, converter: Any) -> tuple[bool, str | None]:
        return False, REFUSED[type(layer).__name__]


for _name in REFUSED:
    if hasattr(keras.layers, _name):
        register(getattr(keras.layers, _name))(ConvertRefused)
