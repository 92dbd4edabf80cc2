"""Steps a program in NumPy: the first steps, single steps, and Python in small loops.

Does not know TensorFlow. What a kind of operation does here is the method `in_numpy` of its kernel.
"""
