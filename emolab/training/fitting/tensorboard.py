"""Curves for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emolab.errors import MissingExtra

NAMES = {
    "train_loss": "loss/train",
    "valid_loss": "loss/valid",
    "accuracy": "valid/accuracy",
    "macro_f1": "valid/macro_f1",
    "rate": "learning_rate",
}


@contextmanager
def writer(folder: Path, epoch: int, *, on: bool) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """A function that writes one epoch's numbers below ``folder``; ``None`` when ``on`` is false.

    Going on at ``epoch`` drops later points of an earlier attempt. Raises :class:`MissingExtra` without TensorBoard.
    """
    if not on:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("TensorBoard", "train") from None
    board = SummaryWriter(str(folder), purge_step=epoch + 1 if epoch else None)

    def write(row: dict[str, Any]) -> None:
        for key, tag in NAMES.items():
            if row.get(key) is not None:
                board.add_scalar(tag, row[key], row["epoch"])
        board.flush()

    try:
        yield write
    finally:
        board.close()
