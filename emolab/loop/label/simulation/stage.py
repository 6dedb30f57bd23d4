"""What a simulation is played on: read once, kept as arrays in its folder, opened by every process that plays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from emolab.active_learning.simulation.frozen_trainer import Frozen, principal
from emolab.active_learning.simulation.journal import Journal
from emolab.active_learning.simulation.records import CampaignData, Terms, Trainer
from emolab.active_learning.simulation.simulate import Stage
from emolab.active_learning.simulation.vote_costs import Votes
from emolab.config import TrainingConfig
from emolab.datasets import voted_dataset
from emolab.errors import ConfigError, DamagedMedia, EmolabError
from emolab.labeling.labels.aggregators import AggregatorOptions
from emolab.loop.label.simulation.sides import Sides
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.modalities.preparing import Preprocessing
    from emolab.training.inputs.pixel_cache import Pixels

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
    """Terms from plain data: ``budgets``, ``votes``, ``price``, ``sure``, ``aggregator``, ``prior`` and ``oracle``.

    ``relearn`` may be left out.
    """
    first, further = settings["price"]
    return Terms(
        budgets=tuple(settings["budgets"]),
        votes=Votes.parse(settings["votes"], (first, further), sure=settings["sure"]),
        aggregator=settings["aggregator"],
        options=AggregatorOptions(prior=settings["prior"]),
        oracle=settings["oracle"],
        relearn=settings.get("relearn", 0),
    )


def prepare(
    folder: Path,
    sides: Sides,
    terms: Mapping[str, Any],
    config: TrainingConfig,
    *,
    mode: str,
    width: int,
    modality: str = "image",
    cache: Path | None = None,
    progress: Progress = SILENT,
) -> Journal:
    """Keep everything the campaigns need in ``folder`` and claim it for them; what is there already stays.

    ``terms`` are as in :func:`terms_of`; in frozen ``mode`` ``width`` principal components of the features are used.
    Frozen simulations of the same images may share a ``cache`` of pixels and features; by default it is in ``folder``.
    Samples of a ``modality`` that learns by itself have features of its own, and no network.
    """
    from emolab.modalities.own_models import own_features

    cache = cache or folder / "cache"
    asked = sides.asked.tolist()
    ids = [sides.pool.ids[row] for row in asked]
    judge_media = [sides.judge.media[row] for row in sides.judges.tolist()]
    judge_ids = [voted_dataset.digest(item) for item in judge_media]
    media = [sides.pool.media[row] for row in asked]
    own = own_features(modality)
    if own is not None and mode != "frozen":
        raise ConfigError("No network is fine-tuned on samples like these.", hint="Leave --mode out.")
    color = modality if own is not None else _color([*media, *judge_media], config)
    journal = Journal(folder)
    journal.begin(
        {
            "dataset": sides.pool.spec,
            "judge": sides.protocol,
            "images": voted_dataset.digest("\n".join([*ids, "judged by", *judge_ids]).encode()),
            "classes": list(sides.pool.classes),
            "mode": mode,
            "color": color,
            "features": width,
            "training": asdict(config),
            **terms,
        }
    )
    everything = dict(zip([*ids, *judge_ids], [*media, *judge_media], strict=True))
    arrays = _arrays(sides)
    if own is not None:
        found: NDArray[np.float32] | None = own([everything[sample] for sample in [*ids, *judge_ids]])
    else:
        found = _by_network(cache, [*ids, *judge_ids], everything, config, mode=mode, color=color, progress=progress)
    if found is not None:
        arrays["pool"], arrays["judge"] = principal(found[: len(ids)], found[len(ids) :], width)
    _keep(folder / "data", arrays, {"pool": ids, "judge": judge_ids})
    return journal


def _arrays(sides: Sides) -> dict[str, NDArray[Any]]:
    """What people said and what is true, by name."""
    asked = sides.asked.tolist()
    arrays: dict[str, NDArray[Any]] = {
        "votes": sides.pool.votes[asked],
        "skips": sides.pool.skips[asked],
        "excluded": sides.excluded,
        "duplicate": sides.duplicate,
        "truth": sides.judge.targets[sides.judges].astype(np.int64),
    }
    return arrays if sides.pool.said is None else {**arrays, "said": sides.pool.said[asked]}


def _keep(data: Path, arrays: Mapping[str, NDArray[Any]], ids: Mapping[str, Sequence[str]]) -> None:
    """Write the ``arrays`` and the ``ids`` of their rows into the folder ``data``."""
    data.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(data / f"{name}.npy", array)
    (data / "samples.json").write_text(json.dumps(ids), encoding="utf-8")


def _color(media: Sequence[bytes | Path], config: TrainingConfig) -> str:
    """What a network is shown of ``media``."""
    from emolab.training import simulation_trainer

    return simulation_trainer.preprocessing(media, config).color


def _by_network(
    cache: Path,
    ids: Sequence[str],
    media: Mapping[str, bytes | Path],
    config: TrainingConfig,
    *,
    mode: str,
    color: str,
    progress: Progress,
) -> NDArray[np.float32] | None:
    """Decode the images ``ids`` into ``cache``; their features (n, d) in frozen ``mode``, else ``None``."""
    from emolab.training import simulation_trainer

    given = [media[sample] for sample in ids]
    images = _decoded(cache, ids, given, simulation_trainer.preprocessing(given, config), progress)
    if mode != "frozen":
        return None
    return simulation_trainer.features(cache, ids, images, config, color=color, progress=progress)


def _decoded(
    cache: Path, ids: Sequence[str], media: Sequence[bytes | Path], wanted: Preprocessing, progress: Progress
) -> Pixels:
    """The images ``ids`` as the network sees them, kept in ``cache``."""
    from emolab.training.inputs import pixel_cache

    by_id = dict(zip(ids, media, strict=True))
    try:
        return pixel_cache.fill(cache, ids, by_id.__getitem__, wanted, progress=progress)
    except DamagedMedia as error:
        raise DamagedMedia(error.files, len(ids), hint="Take them out of the data set, or get it again.") from None


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
        from emolab.loop.label.simulation.fine_tuning import fine_tuning

        trainer = fine_tuning(folder, settings, ids, truth)
    return Stage(field, terms, trainer)
