"""Converts Keras models to Nengo networks; see `Converter`.

May import `simulator`, `runtimes`, `config`, `neurons`, `tensor_node` and `utils`. A kind of layer
is a class in `layers`, in the file of its family; a way to choose thresholds is one in `recipes`.
"""

from ..runtimes import quiet as quiet  # isort: skip  # imports Keras before anything else does
from .converter import Converter
from .layers import LayerConverter, register
from .layers.activation import ConvertActivation, ConvertLeakyReLU, ConvertPReLU, ConvertReLU
from .layers.convolution import (
    ConvertConv,
    ConvertConv1D,
    ConvertConv2D,
    ConvertConv3D,
    ConvertConvTranspose,
    ConvertDepthwiseConv,
    ConvertSeparableConv,
)
from .layers.dense import ConvertDense, ConvertEinsumDense
from .layers.fallback import ConvertFallback
from .layers.inputs import ConvertInput
from .layers.merging import (
    ConvertAdd,
    ConvertAverage,
    ConvertConcatenate,
    ConvertMultiply,
    ConvertSubtract,
)
from .layers.nested import ConvertModel, ConvertSequential
from .layers.normalization import ConvertBatchNormalization, ConvertNormalization, ConvertRescaling
from .layers.pooling import (
    ConvertAdaptiveAvgPool,
    ConvertAvgPool,
    ConvertAvgPool1D,
    ConvertAvgPool2D,
    ConvertAvgPool3D,
    ConvertGlobalAvgPool,
)
from .layers.reshaping import (
    ConvertFlatten,
    ConvertRearrangement,
    ConvertReshape,
    ConvertUpSampling,
    ConvertUpSampling1D,
    ConvertUpSampling2D,
    ConvertUpSampling3D,
    ConvertZeroPadding,
    ConvertZeroPadding1D,
    ConvertZeroPadding2D,
    ConvertZeroPadding3D,
)
from .layers.wrappers import ConvertTimeDistributed
from .mapping import KerasTensorDict
from .qcfs import QCFS
from .recipes import Calibrated, LocalBalance, Maximum, Percentile, Rates, Recipe
from .records import LayerRecord

__all__ = [
    "QCFS",
    "Calibrated",
    "ConvertActivation",
    "ConvertAdaptiveAvgPool",
    "ConvertAdd",
    "ConvertAverage",
    "ConvertAvgPool",
    "ConvertAvgPool1D",
    "ConvertAvgPool2D",
    "ConvertAvgPool3D",
    "ConvertBatchNormalization",
    "ConvertConcatenate",
    "ConvertConv",
    "ConvertConv1D",
    "ConvertConv2D",
    "ConvertConv3D",
    "ConvertConvTranspose",
    "ConvertDense",
    "ConvertDepthwiseConv",
    "ConvertEinsumDense",
    "ConvertFallback",
    "ConvertFlatten",
    "ConvertGlobalAvgPool",
    "ConvertInput",
    "ConvertLeakyReLU",
    "ConvertModel",
    "ConvertMultiply",
    "ConvertNormalization",
    "ConvertPReLU",
    "ConvertReLU",
    "ConvertRearrangement",
    "ConvertRescaling",
    "ConvertReshape",
    "ConvertSeparableConv",
    "ConvertSequential",
    "ConvertSubtract",
    "ConvertTimeDistributed",
    "ConvertUpSampling",
    "ConvertUpSampling1D",
    "ConvertUpSampling2D",
    "ConvertUpSampling3D",
    "ConvertZeroPadding",
    "ConvertZeroPadding1D",
    "ConvertZeroPadding2D",
    "ConvertZeroPadding3D",
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
