"""Importing imgaug 0.4 beside NumPy 2, without leaving a trace in NumPy."""

from __future__ import annotations

import warnings
from types import ModuleType

import numpy as np

from emolab.errors import EmolabError, MissingExtra

#: The table NumPy 2 took away; imgaug reads it once, while it is imported.
SCTYPES = {
    "int": [np.int8, np.int16, np.int32, np.int64],
    "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
    "float": [np.float16, np.float32, np.float64],
    "complex": [np.complex64, np.complex128],
    "others": [bool, object, bytes, str, np.void],
}


def import_augmenters() -> ModuleType:
    """``imgaug.augmenters``, under NumPy 1 or 2.

    Raises :class:`MissingExtra` when imgaug is not installed and :class:`EmolabError` when it fails to import.
    """
    lent = not hasattr(np, "sctypes")
    drawn = np.random.get_state()  # imgaug seeds its own generator from this one, once
    if lent:
        np.sctypes = SCTYPES  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from imgaug import augmenters, random

            random.get_global_rng()
    except ModuleNotFoundError as error:
        if error.name == "imgaug":
            raise MissingExtra("imgaug", "train") from None
        raise EmolabError(
            f"imgaug needs {error.name}, which is not installed.", hint='Run: pip install "emolab[train]"'
        ) from error
    except (AttributeError, ImportError) as error:
        raise EmolabError(
            f"imgaug cannot be imported here: {error}.", hint="Use --set training.augmentation=torchvision."
        ) from error
    finally:
        np.random.set_state(drawn)
        if lent:
            del np.sctypes  # type: ignore[attr-defined]
    module: ModuleType = augmenters
    return module
