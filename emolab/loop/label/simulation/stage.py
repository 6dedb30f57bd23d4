"""What a simulation is played on: read once, kept as arrays in its folder, opened by every process that plays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from emolab.active_learning.simulation.frozen_trainer import Frozen, judged, principal
from emolab.active_learning.simulation.journal import Journal
from emolab.active_learning.simulation.records import CampaignData, SimulatedModel, Terms, Trainer
from emolab.active_learning.simulation.simulate import Stage
from emolab.active_learning.simulation.vote_costs import Votes
from emolab.config import TrainingConfig
from emolab.datasets import voted_dataset
from emolab.errors import DamagedMedia, DataError, EmolabError
from emolab.labeling.labels.aggregators import AggregatorOptions
from emolab.loop.label.simulation.sides import Sides
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.training.simulation_trainer import FineTuned

MODES = ("frozen", "finetune")


def field_of(sides: Sides) -> CampaignData:
    """The samples that may be asked about."""
    return CampaignData(
        samples=[sides.pool.ids[row] for row in sides.asked.tolist()],
        classes=sides.pool.classes,
        votes=sides.pool.votes[sides.asked],
        skips=sides.pool.skips[sides.asked],
        said=None if sides.pool.said is None else sides.pool.said[sides.asked],
        excluded=sides.excluded,
        duplicate=sides.duplicate,
    )


def terms_of(settings: Mapping[str, Any]) -> Terms:
    """Terms from plain data: ``budgets``, ``votes``, ``price``, ``sure``, ``aggregator``, ``prior`` and ``oracle``."""
    first, further = settings["price"]
    return Terms(
        budgets=tuple(settings["budgets"]),
        votes=Votes.parse(settings["votes"], (first, further), sure=settings["sure"]),
        aggregator=settings["aggregator"],
        options=AggregatorOptions(prior=settings["prior"]),
        oracle=settings["oracle"],
    )


def prepare(
    folder: Path,
    sides: Sides,
    terms: Mapping[str, Any],
    config: TrainingConfig,
    *,
    mode: str,
    width: int,
    cache: Path | None = None,
    progress: Progress = SILENT,
) -> Journal:
    """Keep everything the campaigns need in ``folder`` and claim it for them; what is there already stays.

    ``terms`` are as in :func:`terms_of`; in frozen ``mode`` ``width`` principal components of the features are used.
    Frozen simulations of the same images may share a ``cache`` of pixels and features; by default it is in ``folder``.
    """
    cache = cache or folder / "cache"
    from emolab.training import simulation_trainer
    from emolab.training.inputs import pixel_cache

    asked = sides.asked.tolist()
    ids = [sides.pool.ids[row] for row in asked]
    judge_media = [sides.judge.media[row] for row in sides.judges.tolist()]
    judge_ids = [voted_dataset.digest(item) for item in judge_media]
    media = [sides.pool.media[row] for row in asked]
    wanted = simulation_trainer.preprocessing([*media, *judge_media], config)
    journal = Journal(folder)
    journal.begin(
        {
            "dataset": sides.pool.spec,
            "judge": sides.protocol,
            "images": voted_dataset.digest("\n".join([*ids, "judged by", *judge_ids]).encode()),
            "classes": list(sides.pool.classes),
            "mode": mode,
            "color": wanted.color,
            "features": width,
            "training": asdict(config),
            **terms,
        }
    )
    data = folder / "data"
    data.mkdir(exist_ok=True)
    both, all_media = [*ids, *judge_ids], [*media, *judge_media]
    try:
        images = pixel_cache.fill(
            cache, both, dict(zip(both, all_media, strict=True)).__getitem__, wanted, progress=progress
        )
    except DamagedMedia as error:
        raise DamagedMedia(error.files, len(both), hint="Take them out of the data set, or get it again.") from None
    arrays: dict[str, NDArray[Any]] = {
        "votes": sides.pool.votes[asked],
        "skips": sides.pool.skips[asked],
        "excluded": sides.excluded,
        "duplicate": sides.duplicate,
        "truth": sides.judge.targets[sides.judges].astype(np.int64),
    }
    if sides.pool.said is not None:
        arrays["said"] = sides.pool.said[asked]
    if mode == "frozen":
        found = simulation_trainer.features(cache, both, images, config, color=wanted.color, progress=progress)
        arrays["pool"], arrays["judge"] = principal(found[: len(ids)], found[len(ids) :], width)
    for name, array in arrays.items():
        np.save(data / f"{name}.npy", array)
    (data / "samples.json").write_text(json.dumps({"pool": ids, "judge": judge_ids}), encoding="utf-8")
    return journal


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep a second simulation out of ``folder``; the system frees it when this process dies, however it dies."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        raise EmolabError(
            f"Another process plays a simulation in {folder}.", hint="Wait for it, or name another folder with --out."
        ) from None


def open_stage(folder: Path) -> Stage:
    """The stage kept in ``folder``: in every process that plays campaigns."""
    settings = Journal(folder).settings()
    classes = tuple(settings["classes"])

    def array(name: str) -> NDArray[Any]:
        found: NDArray[Any] = np.load(folder / "data" / f"{name}.npy")
        return found

    ids = json.loads((folder / "data" / "samples.json").read_text(encoding="utf-8"))
    field = CampaignData(
        samples=ids["pool"],
        classes=classes,
        votes=array("votes"),
        skips=array("skips"),
        excluded=array("excluded"),
        duplicate=array("duplicate"),
        said=array("said") if settings["oracle"] == "people" else None,
    )
    terms = terms_of(settings)
    truth = array("truth")
    trainer: Callable[[int], Trainer]
    if settings["mode"] == "frozen":
        pool, judge = array("pool"), array("judge")

        def trainer(seed: int) -> Trainer:
            return Frozen(pool, judge, truth, classes, seed=seed)
    else:
        trainer = _fine_tuning(folder, settings, ids, truth)
    return Stage(field, terms, trainer)


def _fine_tuning(
    folder: Path, settings: dict[str, Any], ids: dict[str, list[str]], truth: NDArray[np.int64]
) -> Callable[[int], Trainer]:
    from emolab.modalities.image.decode import Preprocessing
    from emolab.training import simulation_trainer
    from emolab.training.inputs import pixel_cache
    from emolab.training.runs import recipes

    config, n = TrainingConfig(**settings["training"]), len(ids["pool"])
    made = recipes.plan(config, n_train=n, gray=settings["color"] == "gray")
    wanted = Preprocessing(made.size, settings["color"])

    def gone(_: str) -> bytes:
        raise DataError(f"Images are missing from {folder / 'cache'}.", hint="Run the same command again.")

    images = pixel_cache.fill(folder / "cache", [*ids["pool"], *ids["judge"]], gone, wanted)
    classes = tuple(settings["classes"])

    def trainer(seed: int) -> Trainer:
        return Tuned(
            simulation_trainer.FineTuned(
                images=images.only(np.arange(n)),
                judge=images.only(np.arange(n, len(images))),
                classes=classes,
                config=replace(config, seed=seed),
                color=settings["color"],
            ),
            truth,
        )

    return trainer


class Tuned:
    """The real trainer as a :class:`Trainer`: it has nothing to settle."""

    def __init__(self, learner: FineTuned, truth: NDArray[np.int64]) -> None:
        self.learner, self.truth = learner, truth

    def settle(self, rows: NDArray[np.int64], targets: NDArray[np.floating[Any]]) -> None:
        """Nothing is chosen on the first samples: the recipe is fixed."""

    def __call__(self, rows: NDArray[np.int64], targets: NDArray[np.floating[Any]]) -> SimulatedModel:
        """Train on ``rows`` from scratch and look at everybody."""
        probs, found, judge = self.learner(rows, targets)
        return SimulatedModel(probs, found, judged(judge, self.truth, self.learner.classes))
