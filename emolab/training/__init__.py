"""TRAIN: fine-tune a CNN on vote distributions, judge, calibrate and predict."""

from __future__ import annotations

import os

# Read once, when torch loads OpenMP. Waiting threads otherwise burn their core: with a second busy process on two
# cores training took seven times the CPU time (32 images of 48 pixels: 1.0 s instead of 0.15 s per step).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
