"""A Nengo back end that compiles networks to TensorFlow, to simulate and to train them."""

from importlib import import_module

from nengo_dl import config, dists, graph_optimizer, neurons, surrogate, utils, version
from nengo_dl.config.settings import configure_settings
from nengo_dl.neurons import (
    IntegrateAndFire,
    LeakyReLU,
    QuantizedReLU,
    SignedIntegrateAndFire,
    SoftLIFRate,
    SpikingLeakyReLU,
    ThresholdedReLU,
)
from nengo_dl.runtimes.compilation_cache import use_cache as _use_cache

_use_cache()  # here, as TensorFlow may be imported, and used, by the next line of a script

__version__ = version.version
__copyright__ = "2026, The NengoDL developers of this project"
__license__ = "MIT"

# Public names that need TensorFlow, which takes seconds to import: name -> module.
_LAZY = {
    "Converter": "nengo_dl.converter",
    "Layer": "nengo_dl.tensor_node",
    "Simulator": "nengo_dl.simulator",
    "TensorNode": "nengo_dl.tensor_node",
    "callbacks": "nengo_dl.callbacks",
    "converter": "nengo_dl.converter",
    "losses": "nengo_dl.losses",
    "simulator": "nengo_dl.simulator",
    "tensor_layer": "nengo_dl.tensor_node",
    "tensor_node": "nengo_dl.tensor_node",
}

__all__ = [
    "IntegrateAndFire",
    "LeakyReLU",
    "QuantizedReLU",
    "SignedIntegrateAndFire",
    "SoftLIFRate",
    "SpikingLeakyReLU",
    "ThresholdedReLU",
    "config",
    "configure_settings",
    "dists",
    "graph_optimizer",
    "neurons",
    "surrogate",
    "utils",
    "version",
    *_LAZY,
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_LAZY[name])
    value = module if module.__name__ == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
