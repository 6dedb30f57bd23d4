"""Why something is as it is: where a sample comes from, what made its label, who saw it; what a model was made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.results import Result, Table
from emolab.words import many, short

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.records import Model
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Provenance(Result):
    """What is known of a ``subject``: its ``kind`` (sample, model or prediction), ``facts``, and ``lines`` in words."""

    kind: str
    subject: str
    facts: Mapping[str, Any]
    lines: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """The facts, ready for JSON."""
        return {"kind": self.kind, "subject": self.subject, **self.facts}

    def tables(self) -> list[Table]:
        """The lines."""
        return [Table(f"Why {self.kind} {short(self.subject)}", ("",), [(line,) for line in self.lines])]


def why(workspace: Workspace, subject: str) -> Provenance:
    """Where ``subject`` comes from: a sample (id or its start), a model (name or id), or MODEL:SAMPLE, a prediction.

    People appear under their pseudonyms. Raises :class:`DataError` for what is neither, is several, and for a
    prediction that was not kept.
    """
    from emolab.catalog import models
    from emolab.errors import DataError
    from emolab.provenance import sample_history

    with workspace.catalog() as catalog, catalog.connect() as conn:
        name, colon, start = subject.partition(":")
        if colon:
            return _prediction(workspace, conn, models.get(conn, name), _sample_id(conn, start))
        model = models.find(conn, subject) if subject else None
        found = sample_history.find_samples(conn, subject) if subject else {}
        if model is not None and found and subject not in model.aliases:
            raise DataError(f"A model and a sample begin with {subject}.", hint="Give more of the id.")
        if model is not None:
            return _model(workspace, conn, model)
        return _sample(workspace, conn, _sample_id(conn, subject))


def _sample_id(conn: Connection, start: str) -> str:
    from emolab.errors import DataError
    from emolab.provenance import sample_history

    found = sample_history.find_samples(conn, start) if start else {}
    if len(found) != 1:
        what = "Several samples begin" if found else "No model has the name and no sample begins"
        raise DataError(f'{what} with "{start}".', hint="For example: emolab why champion, or the id of a sample")
    return next(iter(found))


def _sample(workspace: Workspace, conn: Connection, sample: str) -> Provenance:
    from emolab.catalog import labels
    from emolab.catalog.campaign import rounds
    from emolab.provenance import sample_history

    row = sample_history.sample_row(conn, sample)
    made = {one.number: one for one in rounds.list_all(conn)}
    held = labels.of(conn, sample)
    label = None
    if held is not None and held.samples:
        label = {
            "label": held.classes[int(held.hard[0])], "agreement": float(held.agreement[0]),
            "votes": int(held.votes[0]),
            "shares": _shares(held.classes, held.probs[0].tolist()), "method": held.method, "version": held.version,
            "made_at": held.created_at, "settings": dict(held.settings),
        }  # fmt: skip
    suggested = [
        {"round": one.round, "rank": one.rank, "reason": one.reason, "strategy": one.strategy, "kind": one.kind,
         "at": made[one.round].created_at, "model": made[one.round].model}
        for one in rounds.of_sample(conn, sample)
    ]  # fmt: skip
    facts = {
        "sample": row,
        "source": sample_history.source_row(conn, row["source"]),
        "consents": _consents(workspace, conn, row),
        "votes": sample_history.ledger_of(conn, sample),
        "label": label,
        "suggested": suggested,
        "models": _models_of(workspace, conn, sample),
    }
    return Provenance(kind="sample", subject=sample, facts=facts, lines=_sample_lines(facts))


def _consents(workspace: Workspace, conn: Connection, row: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of the register about a sample and its subject, and for which purposes it is left out today, why."""
    from emolab.catalog.privacy import consents
    from emolab.catalog.storage.engine import now

    held = consents.entries(conn, sample=row["id"], superseded=True)
    if row["group"] is not None:
        held += consents.entries(conn, subject=row["group"], superseded=True)
    required = workspace.config.privacy.consent_required
    may = {one: consents.allowed(conn, one, required=required, sample=row["id"]) for one in consents.PURPOSES}
    entries = [
        {
            "subject": one.subject, "sample": one.sample, "scope": list(one.scope), "given_at": one.given_at,
            "expires_at": one.expires_at, "withdrawn_at": one.withdrawn_at, "state": one.state(now()[:10]),
        }
        for one in held
    ]  # fmt: skip
    return {
        "entries": entries,
        "left_out": {one: found.barred[row["id"]] for one, found in may.items() if found.barred},
    }


def _consent_lines(consents: Mapping[str, Any]) -> list[str]:
    lines = [
        f"Consent of {one['subject'] or 'the sample'}, given {one['given_at']} for {', '.join(one['scope'])}"
        + (f", until {one['expires_at']}" if one["expires_at"] else "")
        + (f", withdrawn {one['withdrawn_at']}" if one["withdrawn_at"] else f": {one['state']}")
        for one in consents["entries"]
    ]
    return lines + [f"Left out of {purpose}: {reason}" for purpose, reason in consents["left_out"].items()]


def _models_of(workspace: Workspace, conn: Connection, sample: str) -> list[dict[str, Any]]:
    """Every model, newest last: in which split it had the sample, and what it said of it as far as that was kept."""
    from emolab.catalog import models, snapshots
    from emolab.errors import DataError
    from emolab.inference import prediction_store
    from emolab.provenance import sample_history

    found = []
    for model in models.list_all(conn):
        kept = snapshots.find(conn, model.snapshot)
        saw: str | None = "not known"
        if kept is not None:
            try:
                place = sample_history.place_in(workspace.root / kept.path, sample)
                saw = None if place is None else place["split"]
            except DataError:
                saw = "not known"  # its data are gone; the others are told all the same
        ids, classes, probs = prediction_store.pick(workspace.predictions_folder / model.id, [sample])
        said = _shares(classes, probs[0].tolist()) if ids else None
        found.append({"model": model.id, "names": list(model.aliases), "saw": saw, "said": said})
    return found


def _model(workspace: Workspace, conn: Connection, model: Model) -> Provenance:
    from emolab.catalog import samples, snapshots
    from emolab.catalog.registry import model_events
    from emolab.provenance import snapshots as model_data

    kept = snapshots.find(conn, model.snapshot)
    facts: dict[str, Any] = {
        "model": model.id, "names": list(model.aliases), "made_at": model.created_at, "parent": model.parent,
        "settings": dict(model.config), "snapshot": model.snapshot, "data": None,
        "events": [
            {"at": one.at, "kind": one.kind, "alias": one.alias, "actor": one.actor, "reason": one.reason}
            for one in model_events.read(conn, model=model.id)
        ],
    }  # fmt: skip
    if kept is not None:
        gone = model_data.forgotten_in(workspace.root / kept.path)
        content = model_data.read(workspace.root / kept.path) if gone else model_data.verify(workspace, kept)
        there = {sample.id: sample.source for sample in samples.iterate(conn)}
        facts["data"] = {
            "samples": kept.n,
            "forgotten": gone,
            "label_version": kept.label_version,
            "splits": model_data.composition(content),
            "sources": dict(Counter(there.get(one, "taken out since") for one in content.ids)),
        }
    return Provenance(kind="model", subject=model.id, facts=facts, lines=_model_lines(facts))


def _prediction(workspace: Workspace, conn: Connection, model: Model, sample: str) -> Provenance:
    from emolab.errors import DataError

    told = _sample(workspace, conn, sample)
    mine = next(one for one in told.facts["models"] if one["model"] == model.id)
    if mine["said"] is None:
        raise DataError(
            f"What model {short(model.id)} says of {short(sample)} was not kept.",
            hint="Let it look at all samples: emolab suggest",
        )
    facts = {"model": _model(workspace, conn, model).facts, "prediction": mine, **told.facts}
    saw = _SAW.get(mine["saw"], f"had it in {mine['saw']}")
    lines = [f"Model {short(model.id)} says {_spread(mine['said'])}; it {saw}", *told.lines]
    return Provenance(kind="prediction", subject=f"{model.id}:{sample}", facts=facts, lines=lines)


#: What is said of a model that did not have the sample in a split.
_SAW = {None: "never learned or was judged by it", "not known": "may have had it: its data are gone"}


def _sample_lines(facts: Mapping[str, Any]) -> list[str]:
    row, source = facts["sample"], facts["source"] or {}
    lines = [f"Came in {row['added_at']} from {row['source']}" + (f", called {row['name']}" if row["name"] else "")]
    known = {"group": row["group"], "licence": row["licence"] or source.get("licence"), "consent": row["consent"],
             "cut from": row["parent"] and short(row["parent"])}  # fmt: skip
    lines.append(
        ", ".join(f"{name}: {value or 'none recorded'}" for name, value in known.items() if value or name == "consent")
    )
    lines += _consent_lines(facts["consents"])
    if row["removed_at"]:
        lines.append(f"Taken out {row['removed_at']}")
    lines.append(f"In {row['split']}" if row["split"] else "In no split yet")
    lines += [_vote_line(vote) for vote in facts["votes"]] or ["Nobody voted on it"]
    label = facts["label"]
    if label is None:
        lines.append("It has no label")
    else:
        lines.append(
            f"Label {label['label']} by {label['method']} from {many(label['votes'], 'vote')}, agreement "
            f"{label['agreement']:.0%} ({_spread(label['shares'])}), version {short(label['version'])}"
        )
    for one in facts["suggested"]:
        place = f"round {one['round']} ({one['at']}) as number {one['rank'] + 1}"
        by = one["strategy"] + (f" with model {short(one['model'])}" if one["model"] else "")
        lines.append(f"Suggested in {place} by {by}: {one['reason']}")
    for one in facts["models"]:
        saw = _SAW.get(one["saw"], f"had it in {one['saw']}")
        said = f", says {_spread(one['said'])}" if one["said"] else ""
        lines.append(f"Model {short(one['model'])}{_named(one['names'])} {saw}{said}")
    return lines


def _vote_line(vote: Mapping[str, Any]) -> str:
    said = "+".join([vote["label"], *vote["also"]]) if vote["label"] else "a skip"
    form = {"": "no guess shown", "?": "with some guess shown", None: "not known whether a guess was shown"}
    shown = form.get(vote["shown"], f"with the guess {vote['shown']} shown")
    fate = ""
    if vote["withdrawn"]:
        fate = f"; withdrawn {vote['withdrawn_at']}: {vote['withdrawn']}"
    elif vote["rejected"]:
        fate = f"; does not count: {vote['rejected']}"
    who = f"{vote['annotator']} ({many(vote['count'], 'person', 'people')})" if vote["count"] > 1 else vote["annotator"]
    guess = "" if vote["kind"] == "dataset" else f", {shown}"
    return f"{who} said {said} {vote['cast_at'] or vote['seen_at']}{guess}{fate}"


def _model_lines(facts: Mapping[str, Any]) -> list[str]:
    lines = [f"Made {facts['made_at']}, {facts['settings'].get('backbone', 'no network')}{_named(facts['names'])}"]
    if facts["parent"]:
        lines.append(f"Went on from model {short(facts['parent'])}")
    data = facts["data"]
    if data is None:
        lines.append("What it learned from is not on record here")
    else:
        lines.append(f"Learned from {many(data['samples'], 'sample')}, labels {short(data['label_version'])}")
        lines += [f"{split}: {_listed(counts)}" for split, counts in data["splits"].items()]
        lines.append(f"Sources: {_listed(data['sources'])}")
    for one in facts["events"]:
        what = one["kind"].replace("_", " ") + (f" as {one['alias']}" if one["alias"] else "")
        lines.append(f"{one['at']}: {what} by {one['actor']}" + (f": {one['reason']}" if one["reason"] else ""))
    return lines


def _named(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def _spread(shares: Mapping[str, float]) -> str:
    best = sorted(shares.items(), key=lambda pair: -pair[1])[:3]
    return ", ".join(f"{name} {share:.0%}" for name, share in best if share >= 0.005)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items(), key=lambda pair: -pair[1]))


def _shares(classes: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(classes, values, strict=True)}
