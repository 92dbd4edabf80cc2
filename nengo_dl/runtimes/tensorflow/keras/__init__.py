"""What Keras sees of a simulation: a layer in a model, with parameters, state and data.

May import all of its runtime. Checks of minibatches, losses and metrics stand here, too.
"""
