"""Whether an answer may hold several labels: the setting, and what it goes together with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emolab.errors import ConfigError
from emolab.modalities.modality import open_modality
from emolab.plugins import AGGREGATORS

if TYPE_CHECKING:
    from emolab.config import Config


def offered(config: Config) -> bool:
    """``labeling.several``. Raises :class:`ConfigError` where another setting does not go together with it."""
    labeling = config.labeling
    if not labeling.several:
        return False
    modality = open_modality(config.project.modality)
    if not modality.several_labels:
        raise ConfigError(
            f"labeling.several is for sentences: models of one {modality.noun} tell one class.",
            hint="Switch it off: labeling.several = false",
        )
    if not getattr(AGGREGATORS.load(labeling.aggregator), "takes_several", False):
        raise ConfigError(
            f'labeling.several needs an aggregator that shares an answer\'s vote; "{labeling.aggregator}" does not.',
            hint='Put both into emolab.toml, section [labeling]: several = true and aggregator = "soft"',
        )
    for name, given, instead in (
        ("second_guess", labeling.second_guess, "false"),
        ("show_predictions", labeling.show_predictions, "false"),
        ("votes as a range", labeling.wanted.adaptive, '"3"'),
    ):
        if given:
            raise ConfigError(
                f"labeling.several does not go together with labeling.{name}.",
                hint=f"Set labeling.{name.split()[0]} = {instead}, or labeling.several = false",
            )
    return True
