"""Who runs a program: each folder is a runtime, behind the protocol of `base.py`.

May import `compiler`, `kernels` and `utils`; neither runtime knows the other. `choose.py` decides
which takes the next chunk of time. What another runtime, in a folder of its own, needs, `base.py`
says.
"""
