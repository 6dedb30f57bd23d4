"""Settings of a Label Studio for tests: emolab's own, with passwords that cost a hundredth to check.

As it comes, a password takes as long as twenty requests, each time somebody gets an account or logs in.
"""

from __future__ import annotations

import importlib
import sys

EMOLAB = "emolab_studio.settings"
PASSWORD_HASHERS = ["quick_hasher.QuickHasher"]


def __getattr__(name: str) -> object:
    """Every other setting, also while the modules below are being read: they look at their own."""
    try:
        return getattr(sys.modules[EMOLAB], name)
    except KeyError:
        raise AttributeError(name) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(sys.modules.get(EMOLAB))})


importlib.import_module(EMOLAB)
