"""The activation that was trained to become spikes."""

from __future__ import annotations

from ...neurons import QuantizedReLU
from ...utils import Connectable
from ..qcfs import QCFS
from .base import LayerConverter, register


@register(QCFS)
class ConvertQCFS(LayerConverter):
    """Neurons with the same levels; the gain divides by the threshold, the amplitude undoes it."""

    reason = "its threshold is not trained any more"

    def convert(self, node_id: int) -> Connectable:
        threshold = float(self.layer.current_threshold())
        neurons = QuantizedReLU(self.layer.levels, amplitude=threshold)
        output = self.add_nengo_obj(node_id, activation=neurons)
        self.add_connection(node_id, output, transform=1 / threshold)
        return output
