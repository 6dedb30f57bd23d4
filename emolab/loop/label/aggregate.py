"""The team's votes become labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.loop.given import check_given
from emolab.loop.label.perspectives import of_both, told
from emolab.results import Result, Share, Table
from emolab.words import many, short

if TYPE_CHECKING:
    from emolab.labeling.labels.aggregate import Aggregation
    from emolab.votes.perspectives import PerspectiveAgreement
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class AggregatedLabels(Result):
    """A version of the labels as it was ``made``, and by class the samples, their share, belief and agreement.

    Where answers hold several labels, ``label_of`` counts the samples that a class is a label of, beside others or not.
    ``perspectives``: how far what is perceived is what was intended, where samples have votes of both, of which one
    kind only made their label.
    """

    made: Aggregation
    per_class: dict[str, dict[str, Any]]
    perspectives: PerspectiveAgreement | None = None

    def to_dict(self) -> dict[str, Any]:
        """Version, method and what each class got, ready for JSON."""
        made = self.made
        labels = made.labels
        return {
            "version": labels.version,
            "new": made.new,
            "method": labels.method,
            "n": len(labels.samples),
            "votes": made.votes,
            "annotators": made.annotators,
            "settings": labels.settings,
            "per_class": self.per_class,
            "labels": None if made.several is None else int(made.several.sum()),
            "left_out": {"too_few_votes": made.too_few, "unlabelable": made.set_aside},
            "ties": made.ties,
            "perspective": made.recipe.perspective,
            "perspectives": told(self.perspectives),
        }

    def tables(self) -> list[Table]:
        """One row a class: its samples, their share, and how far people agreed on them."""
        made = self.made
        title = f"Labels {short(made.labels.version)}: {many(len(made.labels.samples), 'sample')} by "
        title += f"{made.labels.method}, from {many(made.votes, 'vote')} of {many(made.annotators, 'annotator')}"
        rows = [
            (name, row["samples"], Share(row["share"]), None if row["agreement"] is None else Share(row["agreement"]))
            for name, row in self.per_class.items()
        ]
        return [Table(title, ("class", "samples", "share", "agreement"), rows)]


def aggregate(workspace: Workspace, *, method: str | None = None, min_votes: int | None = None) -> AggregatedLabels:
    """Turn all votes into one distribution over the classes per sample: the current labels from now on.

    ``method`` [labeling.aggregator] is majority, soft, dawid_skene, hybrid or a plugin; samples with fewer than
    ``min_votes`` people are left out. Running it again without new votes changes nothing. Raises :class:`DataError`
    where no sample has enough votes.
    """
    import numpy as np

    from emolab.labeling.labels.aggregate import aggregate as run

    check_given({"labeling.min_votes": min_votes})
    made = run(workspace, method=method, min_votes=min_votes)
    labels = made.labels
    per_class = np.bincount(labels.hard, minlength=len(labels.classes))
    agreement = np.bincount(labels.hard, weights=labels.agreement, minlength=len(labels.classes))
    belief = labels.probs.mean(axis=0)
    several = made.several
    rows: dict[str, dict[str, Any]] = {
        name: {
            "samples": int(per_class[c]),
            "share": float(per_class[c] / len(labels.samples)),
            "belief": float(belief[c]),
            "agreement": float(agreement[c] / per_class[c]) if per_class[c] else None,
        }
        for c, name in enumerate(labels.classes)
    }
    for row, of in zip(rows.values(), [] if several is None else several.tolist(), strict=several is not None):
        row["label_of"] = of
    with workspace.catalog() as catalog, catalog.connect() as conn:
        both = of_both(conn, labels.classes)
    return AggregatedLabels(made=made, per_class=rows, perspectives=both)
