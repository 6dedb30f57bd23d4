"""Memory layout and precision of the training step, chosen by timing a few steps on real images."""

from __future__ import annotations

import copy
import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emolab.files import write_text
from emolab.training.fitting.losses import soft_cross_entropy
from emolab.training.inputs import batches
from emolab.training.networks.classifier import Classifier
from emolab.training.runs.recipes import Plan

FILE = "tuning.json"
#: A run of fewer steps ends before the timing pays.
FEWEST_STEPS = 200
#: Steps of each candidate. One that takes so many times as long as the quickest gets no further step; first steps,
#: which build kernels, are judged more kindly.
ROUNDS, HOPELESS, HOPELESS_AT_FIRST = 4, 1.3, 3.0
#: What a candidate must gain on full precision to be taken: less is noise.
WORTH = 0.95
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How a run computes its steps; ``seconds`` per step of what was tried, by ``layout precision``."""

    layout: str = "channels_last"
    precision: str = "float32"
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Both words."""
        return f"{self.layout} {self.precision}"

    def lay_out(self, model: Classifier, device: torch.device) -> Classifier:
        """``model`` on ``device``, its weights and images in this layout."""
        model.layout = LAYOUTS[self.layout]
        return model.to(device, memory_format=model.layout)  # type: ignore[no-any-return, call-overload]


def settle(
    model: Classifier,
    images: Callable[[], NDArray[np.uint8]],
    plan: Plan,
    folder: Path,
    *,
    device: torch.device,
    steps: int,
    known: Path | None = None,
) -> Choice:
    """The choice for the run in ``folder``: its own where it has one, so that a resumed run goes on as it began.

    Else it is what ``plan`` says. Else, in runs of at least 200 ``steps``, it is the quickest. ``known``, the file of
    choices made before for the same work on this machine, tells which; or steps of a copy of ``model`` are timed on a
    batch of ``images``.
    """
    file = folder / FILE
    made = read(file).get("run")
    if made is not None:
        return made
    if plan.precision != "auto":
        return Choice(precision=plan.precision)
    if not plan.tuning or steps < FEWEST_STEPS:
        return Choice()
    before = read(known) if known else {}
    made = before.get(_work(plan, device)) or quickest(model, images(), plan, device=device)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(file, _document({"run": made}))
    if known:
        known.parent.mkdir(parents=True, exist_ok=True)
        write_text(known, _document({**before, _work(plan, device): made}))
    return made


def quickest(model: Classifier, images: NDArray[np.uint8], plan: Plan, *, device: torch.device) -> Choice:
    """The choice with the shortest forward and backward pass of a batch of ``images``, all layers learning.

    Full precision, channels last, unless another gains five percent. ``model`` and torch's generator stay as they are.
    """
    precisions = ["float32"]
    if device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported()):
        precisions.append("bfloat16")
    trials: dict[str, tuple[Choice, Classifier]] = {}
    for layout in LAYOUTS:
        copied = Choice(layout=layout).lay_out(copy.deepcopy(model), device)
        copied.train()
        copied.freeze_backbone(False)
        for precision in precisions:
            choice = Choice(layout=layout, precision=precision)
            trials[choice.name] = (choice, copied)
    batch = batches.as_images(images, device)
    targets = torch.full((len(images), model.head.out_features), 1 / model.head.out_features, device=device)
    best = dict.fromkeys(trials, float("inf"))
    running = list(trials)
    with torch.random.fork_rng():
        for turn in range(ROUNDS):
            for name in running:
                seconds = _timed(*trials[name], batch, targets, by_cpu=device.type == "cpu" and plan.threads == 1)
                best[name] = min(best[name], seconds)
            limit = (HOPELESS if turn else HOPELESS_AT_FIRST) * min(best.values())
            running = [name for name in running if best[name] <= limit]
    default = Choice().name
    winner = min(best, key=lambda name: best[name])
    taken = winner if best[winner] < WORTH * best[default] else default
    chosen = trials[taken][0]
    return Choice(layout=chosen.layout, precision=chosen.precision, seconds=best)


def _timed(choice: Choice, model: Classifier, images: Tensor, targets: Tensor, *, by_cpu: bool) -> float:
    """Seconds of one pass; of the processor where one thread does the work, whatever else the machine is doing."""
    clock = time.process_time if by_cpu else time.perf_counter
    began = clock()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=choice.precision == "bfloat16"):
        logits = model(images)
    model.zero_grad(set_to_none=True)
    soft_cross_entropy(logits, targets, torch.ones_like(targets, dtype=torch.bool)).backward()  # type: ignore[no-untyped-call]
    float(logits[0, 0].detach())  # waits for a GPU
    return clock() - began


def _work(plan: Plan, device: torch.device) -> str:
    """What a choice holds for, in words."""
    if device.type == "cuda":
        machine = torch.cuda.get_device_name(device)
    else:
        machine = (
            f"{device.type} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {plan.threads} threads"
        )
    work = f"{plan.backbone}, {plan.size} px, {plan.color}, batch {plan.batch}"
    return f"{work}, {machine}, torch {torch.__version__}"


def read(file: Path) -> dict[str, Choice]:
    """The choices in ``file`` by what they hold for; none where it cannot be read: they can be made again."""
    try:
        return {key: Choice(**values) for key, values in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _document(choices: Mapping[str, Choice]) -> str:
    return json.dumps({key: asdict(choice) for key, choice in choices.items()}, indent=2)
