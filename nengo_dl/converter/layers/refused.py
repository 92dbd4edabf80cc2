"""Layers that have no meaning in a network of numbers, and why."""

from __future__ import annotations

import keras

TEXT = "it works on text, and Nengo on numbers; apply it to the data beforehand"
TABLE = "it looks up whole numbers in a table; apply it to the data beforehand"
FOREIGN = "it wraps code of another library, which cannot be copied; write it as a Keras layer"
ABSTRACT = "it is a base class, which computes nothing"
NO_MODEL = "Keras cannot make a functional model of it; apply it to the data beforehand"
MASKS = (
    "later layers would not see its mask, and give other numbers; leave the mask out, and cut "
    "or pad the data beforehand"
)

#: Why, by the name of a class of `keras.layers`.
REFUSED: dict[str, str] = {
    "Equalization": NO_MODEL,
    "FlaxLayer": FOREIGN,
    "HashedCrossing": TEXT,
    "Hashing": TEXT,
    "IntegerLookup": TABLE,
    "JaxLayer": FOREIGN,
    "Layer": ABSTRACT,
    "Masking": MASKS,
    "MaxNumBoundingBoxes": "it works on bounding boxes; apply it to the data beforehand",
    "RandomCrop": "in inference it gives out another shape than it says; use CenterCrop",
    "StringLookup": TEXT,
    "TFSMLayer": FOREIGN,
    "TextVectorization": TEXT,
    "TorchModuleWrapper": FOREIGN,
    "Wrapper": ABSTRACT,
}


def refusal(layer: keras.Layer) -> str | None:
    """Why a layer is refused, whatever the arguments of the converter; None if it is not."""
    name = type(layer).__name__
    if type(layer) is getattr(keras.layers, name, None) and name in REFUSED:
        return REFUSED[name]
    if getattr(layer, "mask_zero", False):
        return MASKS
    return None
