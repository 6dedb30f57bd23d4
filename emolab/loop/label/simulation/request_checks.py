"""What a replayed campaign refuses before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.config import Config
    from emolab.loop.label.simulation.request import SimulationRequest
    from emolab.loop.label.simulation.sides import Sides
    from emolab.progress import Progress

#: More than this share of images that the start network has learned, and a campaign is refused.
LEARNED = 0.01


def specs(request: SimulationRequest) -> None:
    """Raise :class:`UnknownName` where a data set is not written as READER:PATH."""
    from emolab.datasets.benchmark_set import is_spec
    from emolab.errors import UnknownName
    from emolab.plugins import READERS

    for spec in filter(None, (request.dataset, request.judge)):
        if not is_spec(spec):
            raise UnknownName("reader", spec.partition(":")[0], READERS.names(), hint="A data set is READER:PATH.")


def strategies(request: SimulationRequest) -> list[str]:
    """The strategies, random first, each once. Raises :class:`UnknownName`."""
    from emolab.active_learning.simulation.compare import CONTROL
    from emolab.plugins import STRATEGIES

    specs(request)
    names = list(dict.fromkeys([CONTROL, *(name for name in request.strategies if name)]))
    for name in names:
        STRATEGIES.load(name)
    return names


def oracle(name: str) -> None:
    """Raise :class:`UnknownName` for a source of answers that there is not."""
    from emolab.active_learning.simulation.oracle import ORACLES
    from emolab.errors import UnknownName

    if name not in ORACLES:
        raise UnknownName("oracle", name, ORACLES)


def prices(text: str) -> tuple[float, float]:
    """``"1,0.5"``: what the first vote costs and each further one; a single number is both."""
    from emolab.errors import ConfigError

    first, _, further = text.partition(",")
    try:
        return float(first), float(further or first)
    except ValueError:
        raise ConfigError(f'"{text}" is no price.', hint="Write two numbers: --price 1,0.5") from None


def distinct(config: Config, dataset: str) -> None:
    """Refuse features that have learned from the very votes that are to be played."""
    from emolab.errors import ConfigError
    from emolab.modalities.modality import open_modality
    from emolab.plugins import MODALITIES

    training = config.training
    networks = [open_modality(name).network for name in MODALITIES.names()]
    own = next((each for each in networks if each is not None and each.name == training.backbone), None)
    if own and training.weights == "default" and dataset.partition(":")[0] in own.readers:
        raise ConfigError(
            f"{own.name} was trained on {own.data}, so a campaign on them would know the answers beforehand.",
            hint="Take others: --set training.backbone=mobilenet_v2 --set training.weights=PATH; or learn everything "
            "from scratch: --mode finetune --set training.backbone=tiny",
        )


def unlearned(config: Config, sides: Sides, *, mode: str, progress: Progress) -> None:
    """Refuse a start network that has learned the images of ``sides``, whatever they are called; a few are noted."""
    from emolab.errors import ConfigError
    from emolab.training.learned import ancestry, fingerprints

    training = config.training
    record = ancestry.of_start(training.backbone, training.weights)
    for line in record.unknown:
        progress.warn(f"Unknown: {line}. It may have learned the images of this campaign.")
    if not record.layers:
        return
    media = [*(sides.pool.media[row] for row in sides.asked), *(sides.judge.media[row] for row in sides.judges)]
    n = int(record.has(fingerprints.of_media(media, progress=progress)).sum())
    if n > LEARNED * len(media) + 1:
        how = "" if mode == "finetune" else " --set training.weights=PATH"
        raise ConfigError(
            f"{training.backbone} has learned {n:,} of these {len(media):,} images, so a campaign on them would know "
            "the answers beforehand.",
            hint=f"Take another network: --set training.backbone=mobilenet_v2{how}; or learn everything from scratch: "
            "--mode finetune --set training.backbone=tiny",
        )
    if n:
        progress.note(f"{training.backbone} has learned about {n:,} of these {len(media):,} images.")
