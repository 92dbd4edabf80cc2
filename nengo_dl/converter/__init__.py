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
from .qcfs import QCFS
from .recipes import Calibrated, LocalBalance, Maximum, Percentile, Rates, Recipe
from .records import LayerRecord

__all__ = [
    "QCFS",
    "Calibrated",
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
    "LocalBalance",
    "Maximum",
    "Percentile",
    "Rates",
    "Recipe",
    "register",
]
