"""Converts Keras models to Nengo networks; see `Converter`."""

from .converter import Converter
from .layers import LayerConverter, register
from .layers.activation import ConvertActivation
from .layers.dense import ConvertDense
from .layers.fallback import ConvertFallback
from .layers.inputs import ConvertInput
from .layers.nested import ConvertModel, ConvertSequential
from .layers.reshaping import ConvertFlatten, ConvertReshape
from .mapping import KerasTensorDict
from .recipes import Rates, Recipe
from .records import LayerRecord

__all__ = [
    "ConvertActivation",
    "ConvertDense",
    "ConvertFallback",
    "ConvertFlatten",
    "ConvertInput",
    "ConvertModel",
    "ConvertReshape",
    "ConvertSequential",
    "Converter",
    "KerasTensorDict",
    "LayerConverter",
    "LayerRecord",
    "Rates",
    "Recipe",
    "register",
]
