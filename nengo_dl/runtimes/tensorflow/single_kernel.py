"""Loops that XLA:CPU makes one kernel of.

By itself it makes a kernel of each operation in the body of a loop, and a list of them, which costs
a small network more than its neurons do, in running and in compiling.  It has one for loops that
are tiny, and marks them as calls with the attribute `xla_cpu_small_call`.  Such a call is made here
for any loop.  There are none in TensorFlow, which puts all functions into those that call them, but
in a StableHLO module, which can call TensorFlow's functions.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from .. import switches
from .backend import Nested, Result, computes_on_cpu

# TensorFlow that is known to do this: 2.20 ends the process over some loops. To add another one,
# let tests/runtimes/test_one_kernel.py and the whole of tests/runtimes/test_inline.py pass with it.
KNOWN = ("2.21.",)
VERSION = 9  # of the calling convention of XlaCallModule
TYPES = {
    tf.bool: "i1",
    tf.int32: "i32",
    tf.int64: "i64",
    tf.float16: "f16",
    tf.bfloat16: "bf16",
    tf.float32: "f32",
    tf.float64: "f64",
}
MODULE = """
module @single_kernel {{
  func.func public @main({parameters}) -> ({results}) {{
    %r:{n} = func.call @loop({arguments}) {{
      mhlo.frontend_attributes = {{inlineable = "false", xla_cpu_small_call = "true"}}
    }} : ({types}) -> ({results})
    return {values} : {results}
  }}
  func.func private @loop({parameters}) -> ({results}) {{
    %r:{n} = stablehlo.custom_call @tf.call_tf_function({arguments}) {{
      api_version = 2 : i32, has_side_effect = true,
      tf.backend_config = {{called_index = 0 : i64, has_token_input_output = false}}
    }} : ({types}) -> ({results})
    return {values} : {results}
  }}
}}
"""


def is_possible() -> bool:
    """Whether loops that are compiled here can be one kernel."""
    known = tf.__version__.startswith(KNOWN)
    return switches.SINGLE_KERNELS and known and computes_on_cpu()


def as_one_kernel(function: Callable[..., Result], *arguments: Nested) -> Result:
    """Call a function that loops, within one that XLA compiles, as one kernel for one core.

    Parameters
    ----------
    function : callable
        Of nested tensors of fixed shapes. It reads no variables, and has no gradient.
    """
    given = [tf.convert_to_tensor(a) for a in tf.nest.flatten(arguments)]
    structure = None

    def reading_all(*tensors: tf.Tensor) -> list[tf.Tensor]:
        nonlocal structure
        structure = function(*tf.nest.pack_sequence_as(arguments, tensors))
        results = tf.nest.flatten(structure)
        # XLA ends the process if its passes leave an argument of the call that nothing reads
        return [*results, *tensors, *tf.compat.v1.get_default_graph().internal_captures]

    specs = [tf.TensorSpec(a.shape, a.dtype) for a in given]
    concrete = tf.function(reading_all, autograph=False).get_concrete_function(*specs)
    graph = tf.compat.v1.get_default_graph()
    concrete.add_to_graph(graph)
    # the module sees nothing but its operands, so what the function captured is one, too
    operands = given + [graph.capture(t) for t in concrete.captured_inputs]
    values = xla.call_module(
        operands,
        version=VERSION,
        module=_module(operands, concrete.outputs).encode(),
        Tout=[o.dtype for o in concrete.outputs],
        Sout=[o.shape for o in concrete.outputs],
        platforms=["CPU"],
        function_list=[concrete.name],
    )
    n_results = len(tf.nest.flatten(structure))
    return tf.nest.pack_sequence_as(structure, values[:n_results])


def _module(arguments: list[tf.Tensor], results: list[tf.Tensor]) -> str:
    """The module that calls a function of TensorFlow as one kernel."""
    names = [f"%a{i}" for i in range(len(arguments))]
    types = [_type(a) for a in arguments]
    return MODULE.format(
        parameters=", ".join(f"{n}: {t}" for n, t in zip(names, types, strict=True)),
        arguments=", ".join(names),
        types=", ".join(types),
        results=", ".join(map(_type, results)),
        values=", ".join(f"%r#{i}" for i in range(len(results))),
        n=len(results),
    )


def _type(tensor: tf.Tensor) -> str:
    sizes = "".join(f"{n}x" for n in tensor.shape)
    return f"tensor<{sizes}{TYPES[tensor.dtype]}>"
