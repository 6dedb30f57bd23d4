"""Where the arithmetic happens: which device, and how many threads of the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from emolab.errors import EmolabError

#: What a device may be called, in settings and on the command line.
DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(wanted: str) -> torch.device:
    """The device called ``auto``, ``cpu``, ``cuda`` or ``mps``; :class:`EmolabError` for a GPU that is not there.

    ``auto`` is CUDA where there is one, else the CPU; Apple's GPU is used when asked for by name.
    """
    if wanted not in DEVICES:
        raise EmolabError(f'Unknown device "{wanted}"; expected one of {", ".join(DEVICES)}.')
    cuda = torch.cuda.is_available()
    if wanted == "cuda" and not cuda:
        raise EmolabError(
            "The device is cuda, but torch finds no GPU.", hint="Use --device auto (or training.device = auto)."
        )
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise EmolabError(
            "The device is mps, but torch finds no Apple GPU.", hint="Use --device auto (or training.device = auto)."
        )
    return torch.device(("cuda" if cuda else "cpu") if wanted == "auto" else wanted)


def seed(number: int, device: torch.device) -> None:
    """Seed what draws on the CPU and on ``device``.

    ``torch.manual_seed`` also does so for each kind of accelerator that is not there, and writes down the stack for it.
    """
    torch.default_generator.manual_seed(number)
    if device.type != "cpu":
        torch.manual_seed(number)


@contextmanager
def cpu_threads(wanted: int) -> Iterator[None]:
    """Let torch use that many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
