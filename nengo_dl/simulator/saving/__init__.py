"""`Simulator.save_params` and `load_params`: what a simulator knows, by name, in one file.

Arrays are named after the objects of the network (see `lowering.names`), behind the name of the
part that they belong to:

- ``parameters/sub.ens.encoders``, ``.bias``, and ``parameters/a->b.weights``;
- ``layers/node[0]``: the weights of the Keras layer in a TensorNode, in their order;
- ``optimizer/...``: what Keras's optimizer keeps, such as ``optimizer/sub.ens.bias:momentum``;
- ``state/...``: what changes from step to step, and all that random numbers are drawn from.

So files fit networks that have the same objects, whatever the minibatch size, the precision, the
grouping of operators, and the version of this package.
"""

from .files import file_name, load, remember, save

__all__ = ["file_name", "load", "remember", "save"]
