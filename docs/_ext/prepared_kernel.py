"""Notebook kernels that are forks of one process, which has imported TensorFlow once for all pages.

Each page still has a process and a folder of its own, but does not wait some seconds for imports.
Jupyter starts this file as it would start a kernel: that asks the process for a fork, and lives as
long as it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

IMPORTS = ("nengo", "tensorflow", "keras", "nengo_dl", "matplotlib.pyplot", "ipykernel.kernelapp")
INLINE = "module://matplotlib_inline.backend_inline"  # what kernels ask Matplotlib for


def ask(address: str, *argv: str) -> None:
    """Ask for a kernel with these arguments, and wait until it has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the kernel answers when it is told to end
    with socket.socket(socket.AF_UNIX) as kernel:
        kernel.connect(address)
        kernel.sendall(json.dumps([os.getcwd(), argv]).encode() + b"\n")
        kernel.recv(1)


def serve(address: str) -> None:
    """Fork a kernel for everyone who asks, until standard input is closed."""
    import importlib
    import select

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)  # who asks early waits until all is imported
        os.environ["MPLBACKEND"] = INLINE
        for name in IMPORTS:
            importlib.import_module(name)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a kernel ended
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            asking, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _be_kernel(asking)
            asking.close()


def _be_kernel(asking: socket.socket) -> None:
    """Run a kernel in this process, until it is shut down or whoever asked for it is gone."""
    import threading

    import numpy as np
    from ipykernel.kernelapp import launch_new_instance

    folder, argv = json.loads(asking.makefile().readline())
    threading.Thread(target=lambda: asking.recv(1) or os._exit(1), daemon=True).start()
    os.chdir(folder)
    np.random.seed()  # otherwise all would draw the same
    launch_new_instance(argv=[*argv, f"--IPKernelApp.parent_handle={os.getppid()}"])
    os._exit(0)


def prepare(folder: str) -> None:
    """Let all kernels that Jupyter starts for this process, and for its children, be such forks."""
    import atexit
    import subprocess

    from ipykernel.kernelspec import get_kernel_dict

    address = os.path.join(folder, "kernels.socket")
    spec = os.path.join(folder, "kernels", "python3")
    os.makedirs(spec)
    argv = [sys.executable, "-I", "-S", __file__, "ask", address, "-f", "{connection_file}"]
    with open(os.path.join(spec, "kernel.json"), "w") as file:
        json.dump({**get_kernel_dict(), "argv": argv}, file)
    os.environ["JUPYTER_PATH"] = folder
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", address], stdin=subprocess.PIPE, start_new_session=True
    )
    atexit.register(server.communicate)  # closes its standard input


if __name__ == "__main__":
    {"ask": ask, "serve": serve}[sys.argv[1]](*sys.argv[2:])
