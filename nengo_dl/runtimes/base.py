"""What `run` and `predict` need of whoever runs a program; training is not in it.

`Session.chunks` asks `choose.next_runtime` who takes the next chunk of time, and makes the runtime
that compiles when it is first chosen: `Session.runner`.  `fit`, `evaluate`, `check_gradients` and
what shows a Keras model go to the Keras layer and model of `Session.graph` and
`Session.keras_model`, which are TensorFlow's alone: `tensorflow/keras/`.  So are three things that
others ask for: the state of a last minibatch that is not whole (`tensorflow/keras/padding.py`, for
`predict`), `Runner.compile_count`, and a program of rates (`Session.spiking`).

A third runtime needs a folder here with a class of this protocol, an argument of `next_runtime`,
and a property beside `Session.runner` that makes it.  `emit.py` computes groups with the kernels,
on any back end of Keras; `memory.py` has state and parameters, and says what holds them while they
are elsewhere (`Holder`).  `later.py` refuses all values of KERAS_BACKEND but tensorflow: a runtime
on another one has that lifted first.  Several devices (`replicas.py`, `later.on_device`), the loop
over time (`tensorflow/loops`) and the tuning of programs (`tensorflow/tune`) are TensorFlow's: it
brings its own, or does without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ..compiler.ir import Block, Output
from ..compiler.tensors import Tensor


class Runtime(Protocol):
    """Runs a program, chunk after chunk of time: NumPy goes in, NumPy comes out.

    What it carries from chunk to chunk belongs to it alone in between.
    """

    def chunk(self, steps: int, first: int) -> int:
        """How many of `steps` to run in the next chunk, which begins after `first` steps."""
        ...

    def run(
        self,
        carry: Mapping[Block, Tensor],
        inputs: Mapping[Block, np.ndarray],
        constant: set[Block],
        first: int,
        steps: int,
        split: bool = False,
    ) -> tuple[dict[Output, np.ndarray], Mapping[Block, Tensor]]:
        """Simulate one chunk.

        Parameters
        ----------
        carry : dict of Block to array (B, size)
            State, and what was learned.
        inputs : dict of Block to array (n, B or 1, size)
            n is 1 for blocks in `constant`, else `steps`.
        constant : set of Block
        first : int
            Steps simulated before.
        steps : int
        split : bool
            Whether replicas, if there are several, simulate a part of the items each.

        Returns
        -------
        outputs : dict of Output to array (steps or 1, B or 1, size)
        carry : dict of Block to array (B, size)
        """
        ...
