"""What every kernel says: the kind of operation, or the neuron type, that it computes.

What only some can do besides is in `abilities`.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..compiler.ir import Group, Op
from ..compiler.traits import Product
from ..surrogate import Rates, SmoothRate, TrainingSpikes
from .abilities import HasSurrogate, SmoothsRate
from .arrays import Tensor, Tensors
from .constants import Constants
from .context import Context
from .later import ops
from .surrogate import with_gradient_of


class Kernel:
    """A kind of operation.

    Attributes
    ----------
    sequential : bool
        Whether it must run step by step, in order, whatever it depends on.
    compiled : bool
        Whether XLA can compile it; if not, it is a call of Python, out of the compiled program.
    user_code : bool
        Whether it is tensor code of the user's: only its trace tells whether XLA compiles it.
    restarts : bool
        Whether it calls Python that keeps a state, which can begin anew for some items.
    passes_gradient : bool
        Whether gradients flow through it.
    keeps_items_apart : bool
        Whether no item of a minibatch knows of the others.
    product : Product or None
        What it multiplies, if that is all it does: the compiler drops products with zero.
    has_effects : bool
        Whether it acts on the world outside the program, even if nobody reads its results.
    mergeable : bool
        Whether one op can stand for another that reads the same.
    is_population : bool
        Whether its members are populations of neurons.
    inlines : bool
        Whether XLA:CPU computes it well inside of a kernel for a whole loop.
    any_order : bool
        Whether a flat kernel takes elements in any order, and arrays of any rank: constants then
        come from `Group.per_element`.
    """

    sequential = False
    compiled = True
    user_code = False
    restarts = False
    passes_gradient = True
    keeps_items_apart = True
    product: Product | None = None
    has_effects = False
    mergeable = True
    is_population = False
    inlines = False
    any_order = False

    def flat(self, op: Op) -> bool:
        """Whether it works on single elements: members of a group may then differ in size."""
        return False

    def signature(self, op: Op) -> Hashable:
        """Ops with equal signatures may share a group."""
        return tuple(sorted(op.attrs.items()))

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        """Results for a whole group.

        Parameters
        ----------
        group : Group
        reads : list of tensor (L, G, ...), or (L, N) if `flat`
            Arguments. L is the number of batch items (times steps, outside loops), or 1 for
            what all items share; G is the number of ops, N the sum of their sizes.
        ctx : Context

        Returns
        -------
        list of tensor (L, G, ...) or (L, N)
        """
        raise NotImplementedError


class NeuronKernel:
    """A neuron type.

    Attributes
    ----------
    constants : tuple of str
        Attributes of the Nengo object that `step` and `rate` use, as `c.name`.
    states : tuple of str
        Its state variables, by Nengo's names.
    rate_states : tuple of str
        Those that `rate_step` goes on with; the others stand still while neurons give rates.
    spiking : bool
        Whether it spikes, so that training must do something about the gradient.
    rated : bool
        Whether it has a rate that can take the place of its spikes.
    draws : str or None
        Its random generator, by Nengo's name; `step` receives a uniform number in [0, 1) for each
        neuron after its states.
    kind : str
        The kind of operation that computes it in simulation.
    residuals : int or None
        Arrays that `surrogate_step` hands to `c.keep`; see `NamesResiduals`.
    """

    constants: tuple[str, ...] = ("amplitude",)
    states: tuple[str, ...] = ()
    rate_states: tuple[str, ...] = ()
    spiking: bool = False
    rated: bool = True
    draws: str | None = None
    kind: str = "neurons"
    residuals: int | None = None

    @classmethod
    def step(cls, c: Constants, dt: float, J: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Output and new states for the current J (L, N) of one step."""
        return (cls.rate(c, J),)

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        """Firing rate [Hz] for the current J (L, N): what spiking neurons give in training."""
        raise NotImplementedError

    @classmethod
    def rate_step(
        cls, c: Constants, dt: float, sigma: float | None, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        """Rate, smoothed by `sigma` unless that is None, and new values of `rate_states`."""
        if sigma is not None and issubclass(cls, SmoothsRate):
            return (cls.smooth_rate(c, J, sigma),)
        return (cls.rate(c, J),)

    @classmethod
    def training_step(
        cls, c: Constants, dt: float, choice: TrainingSpikes, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        """Output and new states in training, as the user chose it."""
        if isinstance(choice, Rates):
            return cls.rate_step(c, dt, choice.smoothing, J, *states)
        if not isinstance(choice, SmoothRate):
            if not issubclass(cls, HasSurrogate):
                raise NotImplementedError(
                    f"{cls.__name__} has no surrogate gradient: it needs a method surrogate_step"
                )
            return cls.surrogate_step(c, dt, choice, J, *states)
        still = [ops.stop_gradient(s) for s in states]
        output, *following = cls.step(c, dt, ops.stop_gradient(J), *still)
        if not cls.rated:
            return output, *following
        going = [s for s, name in zip(still, cls.states, strict=False) if name in cls.rate_states]
        rate, *_ = cls.rate_step(c, dt, choice.smoothing, J, *going)
        return with_gradient_of(output, rate), *following
