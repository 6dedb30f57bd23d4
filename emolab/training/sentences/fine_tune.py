"""An encoder of sentences with a head, both learning from several labels a sentence.

1. Sentences of about one length are a batch, so that little is padded; the batches of a pass come in random order.
2. Deeper layers learn slower, by ``decay`` a layer (Howard and Ruder 2018). The rate rises for the first tenth of all
   steps and then falls to zero. The embeddings of tokens stay as they are: half of the weights, which each sentence
   touches a few of. There is no dropout but before the head: drawing it takes a fifth of the time.
3. The loss is that of each class by itself; what is not known of a class does not count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from emolab.errors import EmolabError
from emolab.progress import SILENT, Progress
from emolab.training.fitting.devices import seed
from emolab.training.sentences.encoder import Encoder, by_length, quicker

#: Batches of a pass that are sorted by length together.
_SORTED = 50
#: Steps of a fine-tuning where nothing else is asked for, as far as so many passes make them.
STEPS, MOST_PASSES = 600, 6
_LAYER = re.compile(r"\.?(?:layer|layers|h|block)\.(\d+)\.")


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """``lr`` is the peak rate of the head; the encoder's last layer has ``encoder_share`` of it.

    ``epochs``: passes over the sentences; ``None``: as many as make 600 steps, one at least and six at most.
    ``precision``: float32, bfloat16, or auto for the quicker one, by timing a step of each.
    """

    epochs: int | None = None
    batch: int = 64
    lr: float = 1e-3
    encoder_share: float = 0.15
    decay: float = 0.9
    weight_decay: float = 0.01
    dropout: float = 0.1
    warmup: float = 0.1
    clip: float = 1.0
    precision: str = "auto"
    seed: int = 0


def fine_tune(
    encoder: Encoder,
    sentences: Sequence[str],
    targets: NDArray[np.float32],
    *,
    counted: NDArray[np.bool_],
    settings: FineTuning,
    progress: Progress = SILENT,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight (d, k) and bias (k,) of the head; the ``encoder`` itself is changed.

    ``targets`` and ``counted`` (n, k) are the share of each class in 0..1, and whether anything is known of it.
    Raises :class:`EmolabError` where the loss is no number any more.
    """
    place = next(encoder.network.parameters()).device
    seed(settings.seed, place)
    rng = np.random.default_rng([settings.seed, len(sentences)])
    head = _head(encoder.width, targets, counted).to(place)
    ids = encoder.ids(sentences)
    y, known = torch.from_numpy(targets).to(place), torch.from_numpy(counted.astype(np.float32)).to(place)

    def loss_of(rows: NDArray[np.int64], *, half: bool) -> Tensor:
        found = encoder.pooled([ids[i] for i in rows], half=half)
        logits = head(nn.functional.dropout(found, settings.dropout))
        each = binary_cross_entropy_with_logits(logits, y[rows], reduction="none")
        loss: Tensor = (each * known[rows]).sum() / len(rows)
        return loss

    for name, tensor in encoder.network.named_parameters():
        tensor.requires_grad_("embeddings" not in name)
    half = quicker(encoder) if settings.precision == "auto" else settings.precision == "bfloat16"
    steps_each = -(-len(ids) // settings.batch)
    epochs = settings.epochs or min(MOST_PASSES, -(-STEPS // steps_each))
    steps = steps_each * epochs
    optimizer, schedule = _optimizer(encoder, head, settings, steps)
    weights = [*encoder.network.parameters(), *head.parameters()]
    with progress.task("Fine-tuning the encoder", steps, unit="steps") as task:
        for _ in range(epochs):
            for rows in _pass(ids, settings.batch, rng):
                loss = loss_of(rows, half=half)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                length = nn.utils.clip_grad_norm_([w for w in weights if w.grad is not None], settings.clip)
                if not bool(torch.isfinite(length)):
                    raise EmolabError(
                        "The loss of the encoder is no number any more.", hint="Try --set training.lr=0.0003"
                    )
                optimizer.step()
                schedule.step()
                task.advance()
    encoder.network.zero_grad(set_to_none=True)
    weight: NDArray[np.float32] = head.weight.detach().cpu().numpy().T.copy()
    return weight, head.bias.detach().cpu().numpy().copy()


def _head(width: int, targets: NDArray[np.float32], counted: NDArray[np.bool_]) -> nn.Linear:
    """A head that says of every sentence how frequent the classes are."""
    share = ((targets * counted).sum(axis=0) + 0.5) / (counted.sum(axis=0) + 1)
    head = nn.Linear(width, targets.shape[1])
    with torch.no_grad():
        head.bias.copy_(torch.from_numpy(np.log(share / (1 - share)).astype(np.float32)))
    return head


def _pass(ids: Sequence[Sequence[int]], batch: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """The batches of one pass, each of sentences of about one length, in random order."""
    order = rng.permutation(len(ids))
    made: list[NDArray[np.int64]] = []
    for begin in range(0, len(order), batch * _SORTED):
        made += by_length(ids, order[begin : begin + batch * _SORTED], batch)
    return [made[i] for i in rng.permutation(len(made))]


def _optimizer(encoder: Encoder, head: nn.Linear, settings: FineTuning, steps: int) -> tuple[Any, Any]:
    """AdamW with a rate for each layer, and the schedule of the rates."""
    depth = {name: _LAYER.search(name) for name, _ in encoder.network.named_parameters()}
    last = max((int(found[1]) for found in depth.values() if found), default=-1) + 1
    groups: dict[tuple[int, bool], list[Tensor]] = {}
    for name, weight in encoder.network.named_parameters():
        if not weight.requires_grad:
            continue
        found = depth[name]
        place = int(found[1]) + 1 if found else last
        groups.setdefault((place, weight.ndim > 1), []).append(weight)
    peak = settings.lr * settings.encoder_share
    parts: list[dict[str, Any]] = [
        {
            "params": weights,
            "lr": peak * settings.decay ** (last - place),
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (place, decays), weights in groups.items()
    ]
    parts.append({"params": list(head.parameters()), "lr": settings.lr, "weight_decay": 0.0})
    optimizer = torch.optim.AdamW(parts, fused=True)
    warm = max(1, round(settings.warmup * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))
    )
    return optimizer, schedule
