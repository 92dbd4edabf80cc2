"""What happens around the construction of a simulator: its seed, and what is said of it."""

from __future__ import annotations

import logging

import nengo
import nengo.utils.numpy as npext
import numpy as np
from nengo.builder import Model
from nengo.exceptions import NengoWarning

from ..session.session import Session
from ..utils import warn

logger = logging.getLogger(__name__)


class OpenSimulatorWarning(RuntimeWarning, ResourceWarning):
    """A simulator was not closed: what Nengo warns of, and what the original warned of."""


def default_seed(network: nengo.Network | None) -> int:
    """The seed that Nengo would choose: without one of the network's, the next of NumPy's draws."""
    if network is not None and network.seed is not None:
        return network.seed + 1
    return int(np.random.randint(npext.maxint))


def warn_of_dt(model: Model | None, dt: float) -> None:
    """Say that the step length of a given model is the one that counts."""
    if model is not None and model.dt != dt:
        warn(
            f"Model dt ({model.dt:g}) does not match Simulator dt ({dt:g}); using the model's",
            NengoWarning,
        )


def check_device(device: str | None) -> None:
    """Raise ValidationError unless TensorFlow has a device here, or None was given."""
    if device is not None:
        from ..runtimes.tensorflow import backend

        backend.check_device(device)


def log_device(device: str | None) -> None:
    """Say where it runs; without a GPU, nothing is wrong."""
    if not logger.isEnabledFor(logging.INFO):
        return  # nor import TensorFlow, to look
    if device is None:
        from ..runtimes.tensorflow import backend

        device = "CPU/GPU" if backend.has_gpu() else "CPU"
    logger.info("Running on %s", device)


def warn_after_build(session: Session) -> None:
    """Say what of a network may surprise its user."""
    compiled = session.compiled
    if compiled.model.toplevel is None:
        warn("No top-level network in model; assuming no trainable parameters")
    for obj in compiled.lowered.both:
        several = session.replicas.several
        what = "over replicas, it only learns" if several else "fit changes what each item learned"
        name = compiled.lowered.readable(str(obj))
        warn(f"{name} has a learning rule and is also set to be trainable: {what}")
    lowered = compiled.lowered
    if session.replicas.several and lowered.together and lowered.others:
        warn(
            f"Over replicas, {lowered.together[0].node or 'an input'} is evaluated ahead of "
            f"the simulation: it does not see what other Python changes meanwhile. Where it "
            f"need not, set pure=True for it"
        )
    for name in compiled.host_neuron_types():
        warn(
            f"{name} neurons have no compiled form: they run on the host, for one batch item "
            f"after the other, and no gradient flows through them. To compile them, register "
            f"what they do by nengo_dl.kernels.neuron({name})"
        )
    obstacles = session.obstacles
    if obstacles:
        logger.info("Not compiled as a whole, because of: %s", ", ".join(session.obstacles))
