"""Who runs a program: each folder is a runtime, behind the protocol of `base.py`.

May import `compiler` and `kernels`; neither runtime knows the other. `choose.py` decides which
takes the next chunk of time; another runtime is another folder, and a line there.
"""
