"""The one identity of the data that a model saw."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Code of each split in the arrays and in the hash; 0 is none.
SPLIT_CODES = {None: 0, "train": 1, "valid": 2, "test": 3, "holdout": 4}


def data_identity(
    classes: Sequence[str],
    ids: Sequence[str],
    splits: NDArray[np.uint8],
    targets: NDArray[np.floating],
    supported: NDArray[np.bool_],
) -> str:
    """Hex sha256 over the classes and, in the order of ``ids``, id, split, distribution and supported classes.

    ``splits`` (n,) are :data:`SPLIT_CODES`, ``targets`` (n, k) distributions, ``supported`` (n, k) the classes that the
    sample's source can show. The same data in any order gives the same id on any machine.
    """
    shares = np.ascontiguousarray(targets, dtype="<f4")
    able = np.ascontiguousarray(supported, dtype=bool)
    codes = np.ascontiguousarray(splits, dtype=np.uint8)
    digest = hashlib.sha256("\n".join(classes).encode())
    for row in sorted(range(len(ids)), key=ids.__getitem__):
        digest.update(ids[row].encode())
        digest.update(codes[row].tobytes())
        digest.update(shares[row].tobytes())
        digest.update(able[row].tobytes())
    return digest.hexdigest()
