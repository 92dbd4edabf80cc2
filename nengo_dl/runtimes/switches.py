"""What can be switched off, for tests and to look for a fault; read when a simulator is made."""

from __future__ import annotations

import os

XLA = True  # whether programs that can be compiled are

# Loops as one kernel of the machine's code need a private interface of one TensorFlow version.
SINGLE_KERNELS = os.environ.get("NENGO_DL_SINGLE_KERNELS", "1") != "0"
