"""What a model was made from, kept in its document: sources with licence and consent, votes, and what it started from.

It is written when the model is made and travels with it: a card needs no workspace. No file, person, group or pseudonym
is named; where somebody wrote one into a licence or a consent, it is blotted out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from emolab.catalog import samples, snapshots, tallies
from emolab.catalog import settings as catalog_settings
from emolab.catalog.storage import schema
from emolab.inference import model_document
from emolab.provenance.told_texts import clean, texts_of
from emolab.records import GUESSED
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.networks import backbones, bundled, encoder_file
from emolab.training.pretraining import workspace_pretraining
from emolab.training.runs.recipes import Plan
from emolab.votes.perspectives import INTENDED
from emolab.workspace import Workspace

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.records import Sample

PUBLISHED = (
    "Published weights have terms of their own. Those learned on ImageNet rest on images that were collected for "
    "research that is not commercial."
)
HEARD = "A Whisper is published under terms that stand beside its file; the speech it was trained on is not."
#: The section of a bundled model's description that says who may use it.
LICENCE = "## Data and licence"


def facts(workspace: Workspace, data: TrainingSet, plan: Plan) -> dict[str, Any]:
    """All that a card says of purpose, data and beginnings, as plain data."""
    train = {data.ids[row] for row in data.train.tolist()}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = samples.by_ids(conn, data.ids)
        licences = {name: text for name, text in conn.execute(select(schema.sources.c.name, schema.sources.c.licence))}
        meant = schema.sources.c.perspective == INTENDED
        intended = set(conn.execute(select(schema.sources.c.name).where(meant)).scalars())
        answers = tallies.answers(conn, data.ids)
        voters = tallies.voters(conn, data.ids)
        tested = samples.count_by(conn, "split").get("test", 0)
        labels = _labels(conn, data.snapshot)
    names = {name for kind in voters.values() for name in kind}
    rows = data.composition()
    for key, chosen in (("votes_train", train), ("votes_valid", set(data.ids) - train)):
        counted: Counter[str] = sum((answers[one] for one in chosen if one in answers), Counter())
        for row in rows:
            row[key] = counted[row["class"]]
    return {
        "project": workspace.config.project.name,
        "classes": rows,
        "labels": labels,
        "people": sum(len(some) for kind, some in voters.items() if kind != "dataset"),
        "sources": _sources(found, train, licences, names),
        "intended": sorted({sample.source for sample in found} & intended),
        "groups": len({sample.group for sample in found if sample.group}),
        "guessed": len({sample.group for sample in found if (sample.group or "").startswith(GUESSED)}),
        "divided": speakers(workspace, data)["divided"],
        "ungrouped": sum(not sample.group for sample in found),
        "masked": [data.classes[i] for i in np.flatnonzero(~data.supported.all(axis=0)).tolist()],
        "test": tested,
        "start": start(plan.backbone, plan.weights),
        "teachers": [_teacher(workspace, name) for name in plan.teacher.split(",") if name],
    }


def speakers(workspace: Workspace, data: TrainingSet) -> dict[str, Any]:
    """How many groups are ``divided``: trained and validated on, with how many ``samples`` of the ``n`` to validate on.

    ``ignored``: datasets that came in although nothing keeps their speakers together.
    """
    train = {data.ids[row] for row in data.train.tolist()}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = samples.by_ids(conn, data.ids)
        told = {row["source"] for row in catalog_settings.speakers_divided(conn)}
    learned = {sample.group for sample in found if sample.group and sample.id in train}
    judged = [sample.group for sample in found if sample.group in learned and sample.id not in train]
    return {
        "divided": len(set(judged)),
        "samples": len(judged),
        "n": len(found) - len(train),
        "ignored": sorted({sample.source for sample in found} & told),
    }


def start(backbone: str, weights: str) -> dict[str, Any]:
    """The network that a training with these settings starts from: ``name`` in words, ``caveats`` of its licence."""
    file = backbones.weights_file(backbone, weights)
    if file is not None and (file.parent / model_document.DOCUMENT).is_file():
        return model(file.parent)
    if weights == "none" or (weights == "default" and backbones.is_blank(backbone)):
        return {"name": "random weights", "caveats": []}
    if backbone in backbones.COMPUTED:
        return {"name": "features that are computed, not learned", "caveats": []}
    if file is None:
        return {"name": f"the published weights of {backbone}", "caveats": [PUBLISHED]}
    if file.parent.name == workspace_pretraining.NAME and file.name.startswith(workspace_pretraining.NAME):
        return {"name": f"{backbone} pretrained without labels on images of the project", "caveats": []}
    heard = encoder_file.find(file) is not None
    unknown = "Origin and licence of that file are not known."
    return {"name": f"{backbone} from a file" if heard else "a weights file", "caveats": [HEARD if heard else unknown]}


def model(folder: Path) -> dict[str, Any]:
    """The model in ``folder`` as a start or a teacher: its name, and the caveats it has and passes on."""
    about, made = folder / bundled.ABOUT, model_document.describe(folder)
    if about.is_file():
        name = made.backbone if folder.parent != bundled.ROOT else folder.name
        return {"name": name, "caveats": [f"{name}: {licence(about.read_text(encoding='utf-8'))}"]}
    told = made.about.get("start")
    if told is None:
        told = guessed(made.plan)
    passed_on = [*told["caveats"], *(line for each in made.about.get("teachers", ()) for line in each["caveats"])]
    return {"name": f"model {made.id[:10]}", "began": told["name"], "caveats": list(dict.fromkeys(passed_on))}


def guessed(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier emolab, which kept no facts, tells of the start of a model by its settings."""
    weights, backbone = str(plan.get("weights", "")), str(plan.get("backbone", ""))
    if weights in ("default", "none"):
        return start(backbone, weights)
    return {"name": "weights that are not on record", "caveats": ["Their origin and licence are not on record either."]}


def licence(about: str) -> str:
    """The paragraph on data and licence of a bundled model's description, on one line."""
    _, _, rest = about.partition(LICENCE)
    return " ".join(rest.strip().partition("\n\n")[0].split()) or "who may use it is not said."


def _labels(conn: Connection, snapshot: str) -> dict[str, Any] | None:
    """How the labels of ``snapshot`` were made; ``None`` where that is not on record."""
    found = snapshots.find(conn, snapshot)
    sets = schema.label_sets.c
    version = "" if found is None else found.label_version
    row = conn.execute(select(sets.method, sets.settings).where(sets.version == version)).one_or_none()
    settings = row.settings if row is not None and isinstance(row.settings, dict) else {}
    return None if row is None else {"method": row.method, "min_votes": settings.get("min_votes")}


def _teacher(workspace: Workspace, identity: str) -> dict[str, Any]:
    for folder in (workspace.models / identity[:16], *map(bundled.ROOT.joinpath, bundled.names())):
        if (folder / model_document.DOCUMENT).is_file() and model_document.describe(folder).id == identity:
            return model(folder)
    return {"name": f"model {identity[:10]}", "caveats": ["What this teacher was made from is not known."]}


def _sources(
    found: Sequence[Sample], train: Collection[str], licences: Mapping[str, str | None], names: Collection[str]
) -> list[dict[str, Any]]:
    """Where the samples come from, most of them first: how many, under which licence and with which consent."""
    hidden = {*names, *(sample.group for sample in found if sample.group)}
    rows = []
    for source in dict.fromkeys(sample.source for sample in found):
        here = [sample for sample in found if sample.source == source]
        licensed = [(sample, sample.licence or licences.get(source)) for sample in here]
        rows.append(
            {
                "name": clean(source, hidden - {source}),
                "train": sum(sample.id in train for sample in here),
                "valid": sum(sample.id not in train for sample in here),
                "licence": texts_of(licensed, hidden),
                "consent": texts_of([(sample, sample.consent) for sample in here], hidden),
            }
        )
    return sorted(rows, key=lambda row: -(row["train"] + row["valid"]))
