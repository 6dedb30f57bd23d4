"""The models of a workspace as a page shows them: how far they came, where they fail, and two side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.results import Result

if TYPE_CHECKING:
    from emolab.loop.look.judged import Judged
    from emolab.records import Model
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ModelsView(Result):
    """All ``models``, oldest first, each with its figures, and what to type ``next`` where there is none.

    ``votes`` of a model are those behind the labels that it learned from and was judged on (``None``: not on record);
    ``low`` and ``high`` bound its accuracy (Wilson, 95 %) on its own validation samples.
    """

    models: Sequence[Mapping[str, Any]]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class ModelView(Result):
    """One model: its row, its figures on the validation samples, and whether the faces behind them can be opened.

    ``lacking`` says why they cannot. ``compared`` is what was measured against the model before it.
    """

    model: Mapping[str, Any]
    classes: Sequence[str]
    valid: Mapping[str, Any]
    compared: Mapping[str, Any] | None
    opens: bool
    lacking: str | None
    hint: str | None


@dataclass(frozen=True, kw_only=True)
class TwoModels(Result):
    """Two models on the ``n`` validation samples that both have, with the same truth.

    ``figures`` are those of each; ``fixed`` faces the second has right and the first has not, ``broken`` the other way
    round, ``changed`` all with another answer. ``lacking`` says why there is nothing to compare.
    """

    models: Sequence[Mapping[str, Any]]
    n: int
    figures: Sequence[Mapping[str, Any]]
    fixed: int
    broken: int
    changed: int
    lacking: str | None = None
    hint: str | None = None


def models_view(workspace: Workspace) -> ModelsView:
    """All models with their figures; none of them is no error."""
    from emolab.catalog import models as catalog_models
    from emolab.loop.operate.status import status

    with workspace.catalog() as catalog, catalog.connect() as conn:
        known = catalog_models.list_all(conn)
    if not known:
        return ModelsView(models=[], next=status(workspace).next)
    return ModelsView(models=[_row(workspace, model) for model in known], next=None)


def model_view(workspace: Workspace, name: str) -> ModelView:
    """All about the model that ``name`` means. Raises :class:`UnknownName` with the nearest names."""
    from emolab.catalog import models as catalog_models
    from emolab.loop.look.judged import judged, looks_again

    with workspace.catalog() as catalog, catalog.connect() as conn:
        model = catalog_models.get(conn, name)
        found = judged(workspace, conn, model)
    lacking = None
    if not found.whole:
        told = f"{len(found.ids):,} of {len(found.ids) + found.missing:,}"
        lacking = f"Predictions are stored of {told} validation samples, so those behind a cell cannot be opened."
    return ModelView(
        model=_row(workspace, model),
        classes=model.classes,
        valid=model.metrics["valid"],
        compared=model.metrics.get("compared"),
        opens=found.whole,
        lacking=lacking,
        hint=looks_again(workspace) if lacking else None,
    )


def two_models(workspace: Workspace, one: str, other: str) -> TwoModels:
    """Two models side by side on the validation samples they share. Raises :class:`UnknownName`."""
    from emolab.catalog import models as catalog_models
    from emolab.loop.look.judged import aligned, judged, looks_again
    from emolab.stats import metrics

    with workspace.catalog() as catalog, catalog.connect() as conn:
        known = [catalog_models.get(conn, name) for name in (one, other)]
        both = [judged(workspace, conn, model) for model in known]
    rows = [_row(workspace, model) for model in known]
    pair = aligned(*both)
    if pair is None or not len(pair[0].ids):
        why = "They tell different classes apart" if pair is None else "No validation sample has predictions of both"
        hint = None if pair is None else looks_again(workspace)
        return TwoModels(
            models=rows, n=0, figures=[], fixed=0, broken=0, changed=0, lacking=f"{why}.", hint=hint
        )  # fmt: skip
    figures = [metrics.summary(each.probs, each.truth, each.classes) for each in pair]
    told = differences(*pair)
    return TwoModels(
        models=rows,
        n=len(pair[0].ids),
        figures=figures,
        fixed=int(told["fixed"].sum()),
        broken=int(told["broken"].sum()),
        changed=int(told["changed"].sum()),
    )


def differences(one: Judged, other: Judged) -> dict[str, Any]:
    """Of two models on the same samples, which answers (n,) of the second are ``fixed``, ``broken``, ``changed``."""
    right = one.guess == one.truth, other.guess == one.truth
    return {"fixed": ~right[0] & right[1], "broken": right[0] & ~right[1], "changed": one.guess != other.guess}


def _row(workspace: Workspace, model: Model) -> dict[str, Any]:
    from emolab.loop.model.models import row_of
    from emolab.stats.proportions import wilson

    found = row_of(model)
    ends = wilson(found["accuracy"], found["n"]) if found["n"] else (None, None)
    return {**found, "low": ends[0], "high": ends[1], "votes": _votes(workspace, model)}


def _votes(workspace: Workspace, model: Model) -> int | None:
    """The votes behind the labels it learned from and was judged on, as its card counts them."""
    from emolab.errors import EmolabError
    from emolab.inference.model_document import describe

    try:
        rows = describe(workspace.root / model.path).about.get("classes")
    except EmolabError:
        return None
    return None if rows is None else sum(row["votes_train"] + row["votes_valid"] for row in rows)
