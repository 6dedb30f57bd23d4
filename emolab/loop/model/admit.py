"""A trained model joins the workspace: as champion where it beats what stands against it, else as candidate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from emolab.inference.model_document import Checkpoint
    from emolab.records import Model
    from emolab.training.judging.opponent import Bench, Nobody, Opponent
    from emolab.training.train_model import JudgedRun
    from emolab.workspace import Workspace


class Ranking(NamedTuple):
    """Whether a model ``wins``, the ``reason`` in words, and the start network that becomes champion in its place."""

    wins: bool
    reason: str
    crowned: Opponent | None


class Admitted(NamedTuple):
    """The ``model`` as stored, the name (``alias``) it earned and why, and the id of the ``champion`` of now."""

    model: Model
    alias: str
    reason: str
    champion: str


def rank(made: Checkpoint, stands: Opponent | Nobody) -> Ranking:
    """What comes of the comparison that is written in ``made``: a pure decision.

    The model wins where it beats the reigning champion, or without one the network it started from. A start network
    that was not beaten becomes champion itself.
    """
    from emolab.training.judging.opponent import Nobody

    if isinstance(stands, Nobody):
        return Ranking(not stands.stays, stands.reason, None)
    compared = made.metrics["compared"]
    wins = bool(compared["wins"])
    return Ranking(wins, str(compared["reason"]), None if wins or stands.reigns else stands)


def admit(judged: JudgedRun) -> Admitted:
    """Store the model with the name it earned, as events in the catalog: who was added, who was named, and why.

    Where somebody promoted another model while this one was judged, that one stays champion.
    """
    from emolab.catalog import events, models
    from emolab.catalog.registry.actor import actor
    from emolab.loop.model.registry.gate_models import has_judges
    from emolab.loop.model.registry.may_act import may_act
    from emolab.loop.model.registry.pointer import moving

    bench, made = judged.bench, judged.checkpoint
    wins, reason, crowned = rank(made, judged.stands)
    start = None if crowned is None else _crowned(bench, crowned)
    model, alias = _row(bench.workspace, made), "champion" if wins else "candidate"
    with moving(bench.workspace) as tx:
        models.add(tx, model)
        present = models.aliases(tx).get("champion")
        if present not in (made.parent, made.id):  # somebody promoted a model while this one was judged
            alias, start = "candidate", None
            reason = f"{str(present)[:10]} was made champion meanwhile, and stays; {reason}"
        elif alias == "champion" and present not in (None, made.id) and not may_act(bench.workspace):
            alias, reason = "candidate", f"{actor()} may not promote (operations.promoters); {reason}"
        elif alias == "champion" and present not in (None, made.id) and has_judges(tx):
            alias, reason = "candidate", f"the holdout decides (emolab models promote candidate); {reason}"
        for name, wearer in ((alias, model), ("champion", start)):
            if wearer is not None and models.aliases(tx).get(name) != wearer.id:
                models.set_alias(tx, name, wearer.id, reason=reason)
                events.record(tx, "promote", {"model": wearer.id, "alias": name, "before": present, "reason": reason})
        return Admitted(models.get(tx, model.id), alias, reason, models.aliases(tx)["champion"])


def _row(workspace: Workspace, made: Checkpoint) -> Model:
    """``made`` as the catalog keeps it."""
    from emolab.records import Model

    return Model(
        id=made.id,
        path=(workspace.models / made.id[:16]).relative_to(workspace.root).as_posix(),
        classes=made.classes,
        config=made.plan,
        snapshot=made.snapshot,
        metrics={key: value for key, value in made.metrics.items() if key != "before_temperature"},
        parent=made.parent,
        created_at=made.created_at,
    )


def _crowned(bench: Bench, stands: Opponent) -> Model:
    """The start network that was not beaten, or its solved head, as a model of the workspace."""
    from emolab.catalog import models
    from emolab.stats import metrics
    from emolab.training.judging import opponent
    from emolab.training.judging.finish import finish
    from emolab.training.learned import ancestry, fingerprints

    data = bench.run.data
    if stands.fitted is not None:
        made, _ = finish(stands.fitted, replace(bench, run=opponent.with_solved_head(bench.run)), alone=True)
        model = _row(bench.workspace, made)
        with bench.workspace.catalog() as catalog, catalog.begin() as tx:
            models.add(tx, model)
        return model
    if stands.folder is None:
        raise ValueError(f"{stands.name} is neither a folder nor a solved head")
    truth = data.hard[data.valid]
    prints = fingerprints.fill(bench.workspace.cache, [data.ids[i] for i in data.valid], bench.media)
    known = stands.learned.has(prints)
    measured = {
        "valid": metrics.summary(stands.probs, truth, data.classes),
        "learned": ancestry.marked(stands.learned, known, stands.probs, truth, data.classes),
        "compared": None,
    }
    return opponent.adopt(bench.workspace, stands.folder, measured)
