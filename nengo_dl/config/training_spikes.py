"""Which surrogate gradient, or which rates, each ensemble trains with: this is where it is decided.

The choices themselves are in `nengo_dl.surrogate`. What is decided here for an ensemble becomes the
attribute ``training_spikes`` of its operation. `for_training` of `nengo_dl.kernels.neurons` obeys
it, and so does `training_step` of `nengo_dl.kernels.base`, which refuses a surrogate for neuron
types that have none.
"""

from __future__ import annotations

import nengo

from .. import surrogate
from .per_object import Opinions
from .settings import Settings


class SpikesInTraining(Opinions):
    """Tells what the spikes of each ensemble do in training; see `resolve_training_spikes`."""

    def __init__(self, toplevel: nengo.Network | None) -> None:
        super().__init__(toplevel, "training_spikes")
        self._default = surrogate.Rates(Settings.of(toplevel).lif_smoothing)

    def __call__(self, ens: nengo.Ensemble | None) -> surrogate.TrainingSpikes:
        """Return the choice for an ensemble, or for neurons that belong to none."""
        choice = None if ens is None else self.setting(ens)
        choice = self._default if choice is None else surrogate.get(choice)
        rates_only = ens is not None and not ens.neuron_type.spiking
        return choice if isinstance(choice, surrogate.Rates) or not rates_only else self._default


def resolve_training_spikes(toplevel: nengo.Network | None) -> SpikesInTraining:
    """Find out what the spikes of each ensemble do in training; see `configure_settings`.

    Parameters
    ----------
    toplevel : nengo.Network or None
        The top-level network.

    Returns
    -------
    SpikesInTraining
        Callable with an Ensemble; without any choice, and for neurons that do not spike unless
        `.Rates` were chosen, the answer is rates, smoothed by the setting ``lif_smoothing``.
    """
    return SpikesInTraining(toplevel)
