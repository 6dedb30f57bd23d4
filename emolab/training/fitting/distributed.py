"""Several processes, one training: started by ``torchrun``, joined by Lightning Fabric.

Every process holds the whole model, works out the whole batch's augmentation, and learns from its share of the batch;
gradients are added up, so all of them take the same step. Only the leader writes.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emolab.errors import ConfigError, DataError, EmolabError, MissingExtra
from emolab.training.fitting.devices import pick_device

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch.distributed import ProcessGroup

#: How long the others wait while the leader decodes images and solves the head.
PREPARING = timedelta(hours=6)
#: How long a step may wait for the slowest process, which may be writing a state or come back from a pause. One that
#: dies is noticed at once; this is for one that hangs.
SILENCE = timedelta(minutes=10)


class Team:
    """A process on its own. What several do together costs nothing here and changes nothing."""

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes states, models, the catalog and output."""
        return self.rank == 0

    def device(self, wanted: str) -> torch.device:
        """Where this process computes."""
        return pick_device(wanted)

    def threads(self, wanted: int) -> int:
        """The share of ``wanted`` CPU threads of this process."""
        return wanted

    def part(self, n: int) -> slice:
        """Which of ``n`` places in a batch are this process's."""
        return slice(0, n)

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Let the leader through the block before the others, which then find what it wrote."""
        yield

    def wait(self) -> None:
        """Wait until all are here."""

    def agree(self, document: Any) -> Any:
        """The leader's ``document`` (plain data) in every process."""
        return document

    def same(self, model: nn.Module) -> None:
        """Give every process the leader's weights."""

    def combine(self, model: nn.Module, loss: Tensor, share: float) -> float:  # noqa: ARG002
        """Add up the gradients of all processes' parts, each of ``share`` of the batch; the loss of the whole batch."""
        return float(loss.detach())

    def join_rows(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """``rows`` with those of the other processes, where each left zeros outside of its :meth:`part`."""
        return rows

    def require_batches(self, smallest: int) -> None:
        """Raise :class:`DataError` when the ``smallest`` batch cannot be shared: batch norm needs two samples each."""


ALONE = Team()


class Joined(Team):
    """One of the processes that ``torchrun`` started."""

    def __init__(self, fabric: Fabric, *, local: int, steps: ProcessGroup | None = None) -> None:
        self.fabric, self.local = fabric, local
        self.steps = steps  # the same processes, with less patience
        self.rank, self.size = fabric.global_rank, fabric.world_size

    def device(self, wanted: str) -> torch.device:  # noqa: ARG002
        """This process's own GPU, or the CPU, as settled when it joined."""
        return self.fabric.device

    def threads(self, wanted: int) -> int:
        """``wanted`` divided among the processes of this machine."""
        return max(1, wanted // self.local)

    def part(self, n: int) -> slice:
        """Neighbouring places, as evenly as possible."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The others enter when the leader has left."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def wait(self) -> None:
        """Return when every process has called this."""
        with self._together():
            self.fabric.barrier()

    def agree(self, document: Any) -> Any:
        """What the leader passes, as JSON gives it back."""
        with self._together():
            return json.loads(self.fabric.broadcast(json.dumps(document) if self.leads else "", src=0))

    @torch.no_grad()
    def same(self, model: nn.Module) -> None:
        """Overwrite weights and buffers with the leader's."""
        for tensor in model.state_dict().values():
            kept = tensor if self.leads else torch.zeros_like(tensor)
            tensor.copy_(self._sum(kept.contiguous()))

    @torch.no_grad()
    def combine(self, model: nn.Module, loss: Tensor, share: float) -> float:
        """One sum over the loss, the gradients and the running statistics of batch norm, weighted by ``share``."""
        named = dict(model.named_parameters())
        moved = [p.grad for p in named.values() if p.grad is not None]
        moved += [t for key, t in model.state_dict().items() if key not in named and t.dtype.is_floating_point]
        flat = torch.cat([loss.detach().float().reshape(1), *(tensor.reshape(-1) for tensor in moved)])
        flat = self._sum(flat.mul_(share))
        parts = torch.split(flat[1:], [tensor.numel() for tensor in moved])
        for tensor, part in zip(moved, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))
        return float(flat[0])

    def join_rows(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """All rows, in every process."""
        joined: NDArray[np.float32] = self._sum(torch.from_numpy(rows).to(self.fabric.device)).cpu().numpy()
        return joined

    def require_batches(self, smallest: int) -> None:
        """See :meth:`Team.require_batches`."""
        if smallest < 2 * self.size:
            raise DataError(
                f"Batches of {smallest} samples cannot be shared by {self.size} processes; each needs at least 2.",
                hint="Start fewer processes, or make batches larger: --set training.batch=64",
            )

    def _sum(self, tensor: Tensor) -> Tensor:
        with self._together():
            found = self.fabric.all_reduce(tensor, group=self.steps, reduce_op="sum")
        if not isinstance(found, Tensor):
            raise TypeError(f"all_reduce gave {type(found).__name__}")
        return found

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
            raise EmolabError(
                f"Another of the {self.size} processes of this training has ended or hangs, so process {self.rank} "
                f"stops too ({reason}).",
                hint="See its own message, if any. Run the same command again: it goes on from the last state.",
            ) from error


def started_by_torchrun() -> bool:
    """Whether this process is one of several that ``torchrun`` started."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def join(wanted: str) -> Team:
    """The team this process belongs to, on the device called ``wanted``; :data:`ALONE` outside of ``torchrun``.

    Raises :class:`MissingExtra` without Lightning Fabric, and :class:`ConfigError` for more processes than GPUs.
    """
    if not started_by_torchrun():
        return ALONE
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise MissingExtra("Lightning Fabric", "distributed") from error
    local, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    kind = pick_device(wanted).type
    if kind == "mps":
        raise ConfigError("Several processes cannot share Apple's GPU.", hint="Train with one: emolab train")
    if kind == "cuda" and torch.cuda.device_count() < local:
        raise ConfigError(
            f"{local} processes were started for {torch.cuda.device_count()} GPUs.",
            hint=f"Use torchrun --nproc-per-node {torch.cuda.device_count()}, or --device cpu.",
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=kind, devices=local, num_nodes=max(1, world // local), strategy=DDPStrategy(timeout=PREPARING)
    )
    fabric.launch()
    group: Any = torch.distributed.new_group(timeout=SILENCE)
    return Joined(fabric, local=local, steps=group)
