"""Nengo's operators become the compiler's own graph.  The only part that knows `nengo.builder`."""

from . import filters
from .build import NengoBuilder, build_model
from .lower import Choices, Lowered, lower
from .operators import lowers

__all__ = ["Choices", "Lowered", "NengoBuilder", "build_model", "filters", "lower", "lowers"]
