"""What can be switched off, for tests and to look for a fault; read at each compilation."""

from __future__ import annotations

import os

XLA = True  # whether programs that can be compiled are

# Loops as one kernel of the machine's code need a private interface of one TensorFlow version.
SINGLE_KERNELS = os.environ.get("NENGO_DL_SINGLE_KERNELS", "1") != "0"

# So do calls of compiled functions without TensorFlow's own checks, which take 0.1 to 0.2 ms.
QUICK_CALLS = os.environ.get("NENGO_DL_QUICK_CALLS", "1") != "0"

# Freed memory stays with the process, which is told to glibc, for all that it does.
KEEP_MEMORY = os.environ.get("NENGO_DL_KEEP_MEMORY", "1") != "0"

# Functions that several simulators use; it needs quick calls.
SHARED_FUNCTIONS = os.environ.get("NENGO_DL_SHARED_FUNCTIONS", "1") != "0"
