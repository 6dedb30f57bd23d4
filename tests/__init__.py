"""The tests, laid out like the package they test; what several of them need is in ``support``.

Every process here computes with one thread unless the environment says otherwise. The threads of two processes on two
cores wait for each other in busy loops: the suite would take several times as long.

Python may keep what it compiles, whatever the environment says: else each of the hundreds of processes that tests start
compiles emolab again, and every worker rewrites the asserts of every test.
"""

import os
import sys

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
