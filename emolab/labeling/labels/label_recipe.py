"""How votes become labels: the aggregator, how many people a label needs, and the aggregator's options."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from emolab.errors import DataError
from emolab.labeling.labels.aggregators import DEFAULTS, AggregatorOptions
from emolab.labeling.labels.anchored_votes import IGNORE
from emolab.votes.perspectives import PERCEIVED

if TYPE_CHECKING:
    from collections.abc import Collection

    from emolab.catalog.labels import LabelHead
    from emolab.config import LabelingConfig

#: The settings that say how labels are made.
METHOD, MIN_VOTES, PRIOR, ANCHORING, PERSPECTIVE = SETTINGS = (
    "labeling.aggregator",
    "labeling.min_votes",
    "labeling.prior",
    "labeling.anchoring",
    "labeling.perspective",
)


@dataclass(frozen=True, kw_only=True)
class LabelRecipe:
    """The aggregator's name, the fewest people behind a label, and the options of the aggregator.

    ``anchoring`` says whether votes that repeat a shown guess are corrected for it (``correct``) or not (``ignore``).
    ``perspective`` says whose votes count where a sample has some of both: what is perceived, or what was intended.
    """

    method: str
    min_votes: int = 1
    options: AggregatorOptions = DEFAULTS
    anchoring: str = IGNORE
    perspective: str = PERCEIVED

    def settings(self) -> dict[str, Any]:
        """As plain data: what a label set keeps, and part of its version."""
        told = {"method": self.method, "min_votes": self.min_votes, "options": asdict(self.options)}
        told |= {} if self.perspective == PERCEIVED else {"perspective": self.perspective}
        return told if self.anchoring == IGNORE else {**told, "anchoring": self.anchoring}

    def with_settings(self, config: LabelingConfig, names: Collection[str]) -> LabelRecipe:
        """The same recipe with what ``config`` says of those of the settings above that are in ``names``."""
        return replace(
            self,
            method=config.aggregator if METHOD in names else self.method,
            min_votes=config.min_votes if MIN_VOTES in names else self.min_votes,
            options=replace(self.options, prior=config.prior) if PRIOR in names else self.options,
            anchoring=config.anchoring if ANCHORING in names else self.anchoring,
            perspective=config.perspective if PERSPECTIVE in names else self.perspective,
        )

    def __str__(self) -> str:
        """In words, without the usual minimum of one vote.

        >>> str(LabelRecipe(method="majority", min_votes=2)), str(LabelRecipe(method="hybrid"))
        ('majority, min. votes 2', 'hybrid')
        """
        return self.method if self.min_votes == 1 else f"{self.method}, min. votes {self.min_votes}"

    def beside(self, other: LabelRecipe) -> str:
        """What this recipe says differently from ``other``, in words; nothing where they are the same.

        >>> LabelRecipe(method="hybrid").beside(LabelRecipe(method="majority", min_votes=2))
        'hybrid, min. votes 1'
        >>> LabelRecipe(method="soft", options=AggregatorOptions(prior=1.0)).beside(LabelRecipe(method="soft"))
        'prior 1'
        """
        parts = (
            (self.method, self.method != other.method),
            (f"min. votes {self.min_votes}", self.min_votes != other.min_votes),
            (f"prior {self.options.prior:g}", self.options.prior != other.options.prior),
            (f"anchoring {self.anchoring}", self.anchoring != other.anchoring),
            (f"perspective {self.perspective}", self.perspective != other.perspective),
        )
        return ", ".join(text for text, differs in parts if differs)


def configured(config: LabelingConfig) -> LabelRecipe:
    """What the settings say."""
    return LabelRecipe(
        method=config.aggregator,
        min_votes=config.min_votes,
        options=AggregatorOptions(prior=config.prior),
        anchoring=config.anchoring,
        perspective=config.perspective,
    )


def stored(head: LabelHead, config: LabelingConfig) -> tuple[LabelRecipe, list[str]]:
    """How the labels of ``head`` were made, and which settings it does not tell: those are taken from ``config``.

    Raises :class:`DataError` for options that this emolab does not know.
    """
    told = head.settings if isinstance(head.settings, dict) else {}
    options: dict[str, Any] = told["options"] if isinstance(told.get("options"), dict) else {}
    odd = options.keys() - {field.name for field in fields(AggregatorOptions)}
    if odd:
        raise DataError(
            f"The labels were made with options that this emolab does not know: {', '.join(sorted(odd))}.",
            hint="Upgrade emolab, or make them by its own settings: emolab label aggregate",
        )
    missing = [] if isinstance(told.get("min_votes"), int) else [MIN_VOTES]
    missing += [] if "prior" in options else [PRIOR]
    recipe = LabelRecipe(
        method=head.method,
        min_votes=told.get("min_votes", 1),
        options=replace(DEFAULTS, **options),
        anchoring=told.get("anchoring", IGNORE),
        perspective=told.get("perspective", PERCEIVED),
    )
    return recipe.with_settings(config, missing), missing
