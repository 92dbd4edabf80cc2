"""Nodes that the converter needs and Nengo has none for."""

from __future__ import annotations

import nengo


class ConstantNode(nengo.Node):
    """A Node whose constant output is part of the network: data cannot be given for it.

    Data that are matched to input Nodes by their position pass it over.
    """

    is_constant = True
