"""Several devices: each simulates its part of every minibatch.

What TensorFlow calls a replica is one device of a strategy, in this process or in another. Replica
r of R has the items r B/R to (r + 1) B/R of a minibatch of B: its state, what its learning rules
learn, and its noise. Trained parameters are the same everywhere; Keras adds up the gradients.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from nengo.exceptions import SimulationError, ValidationError

from ..compiler.tensors import Tensor
from .later import is_imported, keras, tf

STRATEGIES = ("MirroredStrategy", "MultiWorkerMirroredStrategy", "OneDeviceStrategy")


class Replicas:
    """Who simulates which items of a minibatch.

    Parameters
    ----------
    batch : int
        Items in a minibatch, B.
    device : str or None
        The one device that the user wants, if it is one.

    Attributes
    ----------
    strategy : tf.distribute.Strategy or None
        That in whose scope this object was made.
    count : int
        Replicas, in all processes.
    size : int
        Items of each.

    Raises
    ------
    SimulationError
        If the strategy is of another kind than those in `STRATEGIES`.
    ValidationError
        If the minibatch cannot be split evenly, or a device is given besides a strategy.
    """

    def __init__(self, batch: int, device: str | None = None) -> None:
        self.batch = batch
        # without TensorFlow nobody is in a scope, and asking would import it
        within = is_imported() and tf.distribute.has_strategy()
        self.strategy: tf.distribute.Strategy | None = (
            tf.distribute.get_strategy() if within else None
        )
        self.count = 1
        self._local = [0]
        if self.strategy is not None:
            self._join(self.strategy, device)
        self.size = batch // self.count

    def _join(self, strategy: tf.distribute.Strategy, device: str | None) -> None:
        name = type(strategy).__name__
        kinds = tuple(getattr(tf.distribute, s) for s in STRATEGIES)
        if not isinstance(strategy, kinds):
            known = ", ".join(STRATEGIES)
            raise SimulationError(f"A Simulator cannot be made in a {name}; it can in: {known}")
        if device is not None:
            raise ValidationError(
                f"{device!r} was given within the scope of a {name}, which chooses devices itself; "
                f"leave one of them out",
                attr="device",
            )
        self.count = strategy.num_replicas_in_sync
        if self.batch % self.count:
            raise ValidationError(
                f"a minibatch of {self.batch} cannot be split evenly over the {self.count} "
                f"replicas of the {name}; give a multiple of {self.count}",
                attr="minibatch_size",
            )
        numbers = strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(context.replica_id_in_sync_group)
        )
        self._local = [int(n) for n in strategy.experimental_local_results(numbers)]

    @property
    def several(self) -> bool:
        """Whether minibatches are split."""
        return self.count > 1

    @property
    def splitting(self) -> tf.distribute.Strategy:
        """The strategy, to those who ask only where minibatches are split."""
        return self.strategy

    @property
    def elsewhere(self) -> bool:
        """Whether other processes have some of the replicas."""
        return len(self._local) < self.count

    def scope(self) -> contextlib.AbstractContextManager:
        """The scope of the strategy, in which variables are made."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def items(self) -> range:
        """Items that the code which calls this simulates: all, except within a replica."""
        context = tf.distribute.get_replica_context() if self.several else None
        if context is None:
            return range(self.batch)
        number = context.replica_id_in_sync_group  # in a function, a constant of its graph
        return self._items(int(tf.get_static_value(number) if tf.is_tensor(number) else number))

    def check_made_here(self, variables: Sequence[keras.Variable], what: str, attr: str) -> None:
        """Raise ValidationError for an object whose variables the replicas do not share."""
        if not self.several:
            return
        known = self.splitting.extended.variable_created_in_scope
        if not all(known(v.value) for v in variables):
            name = type(self.strategy).__name__
            raise ValidationError(
                f"{what} was made outside of the scope of the {name} that the simulator was made "
                f"in; make it within `with sim:`, or `with strategy.scope():`",
                attr=attr,
            )

    def check_layers(self, layers: Sequence[keras.layers.Layer]) -> None:
        """Raise ValidationError for layers that exchange values, within the loop over time."""
        for layer in (part for one in layers for part in (one, *getattr(one, "layers", ()))):
            if self.several and getattr(layer, "synchronized", False):
                raise ValidationError(
                    f"layer {layer.name!r} has synchronized=True, but the replicas of a "
                    f"{type(self.strategy).__name__} cannot exchange anything within the loop over "
                    f"time; set synchronized=False",
                    attr="tensor_func",
                )

    @property
    def local_items(self) -> list[range]:
        """Items of each replica of this process."""
        return [self._items(replica) for replica in self._local]

    def _items(self, replica: int) -> range:
        return range(replica * self.size, (replica + 1) * self.size)

    # ------------------------------------------------------------------ variables with all items

    def variable(self, value: Tensor) -> tf.Variable:
        """A variable with an item a row; each replica has its own rows."""
        if not self.several:
            return tf.Variable(value, trainable=False)
        with self.scope():
            # ON_READ: each replica writes its own rows; other variables are the same in all
            return tf.Variable(
                value[: self.size],
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )

    def assign(self, variable: tf.Variable, value: Tensor) -> None:
        """Write all items, or those of the replica that calls this."""
        if not self.several or tf.distribute.get_replica_context() is not None:
            variable.assign(value)
            return
        parts = self.splitting.experimental_local_results(variable)
        for items, part in zip(self.local_items, parts, strict=True):
            part.assign(value[items.start : items.stop])

    def read(self, variable: tf.Variable) -> tf.Tensor:
        """All items, or those of the replica that calls this."""
        if not self.several or tf.distribute.get_replica_context() is not None:
            return tf.identity(variable)
        parts = self.splitting.experimental_local_results(variable)
        return self.gather([tf.identity(part) for part in parts], axis=0)

    # ------------------------------------------------------------------ calls outside of Keras

    def each(self, function: Callable[[range], Sequence[tf.Tensor]]) -> list[list[tf.Tensor]]:
        """Emit `function(items)` on each device of this process: a list of results for each."""
        devices = self.splitting.extended.worker_devices
        results = []
        for items, device in zip(self.local_items, devices, strict=True):
            with tf.device(device):
                results.append(list(function(items)))
        return results

    def gather(self, parts: Sequence[tf.Tensor], axis: int) -> tf.Tensor:
        """Put together what the replicas of all processes have, along the axis of the items."""
        if not self.elsewhere:
            return tf.concat(list(parts), axis) if len(parts) > 1 else parts[0]
        numbers = {replica: i for i, replica in enumerate(self._local)}
        values = self.splitting.experimental_distribute_values_from_function(
            lambda context: parts[numbers[int(context.replica_id_in_sync_group)]]
        )
        return self.splitting.gather(values, axis)
