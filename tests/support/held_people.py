"""A workspace that holds three people in every place emolab has, made by its own steps where none has to train."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import select

import emolab
from emolab.catalog import events, models, votes
from emolab.catalog.storage import schema
from emolab.inference import prediction_store
from emolab.loop.look.thumbnails import Thumbnails
from emolab.pages import html
from emolab.provenance import snapshots
from emolab.records import Model, Predictions, Vote
from emolab.training.inputs import row_store
from emolab.training.learned import fingerprints, learned_images
from emolab.training.learned.learned_images import Learned
from emolab.workspace import Workspace
from tests.support.pictures import png
from tests.support.sounds import chatter, sound_file

CLASSES = ("happiness", "sadness", "neutral")
#: Names that occur nowhere else.
PEOPLE = ("annabella", "bobsleigh", "cydonia")
EACH = 4


def files(folder: Path, modality: str) -> Path:
    """Four files of each person below ``folder/NAME``, named after them."""
    for number, who in enumerate(PEOPLE):
        place = folder / who
        place.mkdir(parents=True)
        for i in range(EACH):
            seed = 10 * number + i
            data = png(seed) if modality == "image" else sound_file(chatter(seed=seed))
            (place / f"{who}-shot{i}.{'png' if modality == 'image' else 'wav'}").write_bytes(data)
    return folder


def crowd(root: Path, modality: str = "image", *, catalog_url: str = "") -> Workspace:
    """The workspace in ``root``, with models, snapshots, caches and logs made of all samples.

    Its catalog is a file, or with ``catalog_url`` a database on a server, which is to be empty.
    """
    made = Workspace.init(root / "held", classes=CLASSES, modality=modality)
    if catalog_url:
        settings = made.root / "emolab.toml"
        settings.write_text(
            f'{settings.read_text(encoding="utf-8")}\n[catalog]\nurl = "{catalog_url}"\n', encoding="utf-8"
        )
        made = Workspace.open(made.root)
    settings = {"collect.faces": "off"} if modality == "image" else {}
    workspace = made.with_settings(settings)
    emolab.collect(workspace, [files(root / "photos", modality)], group_by=r"/([a-z]+)-shot")
    held = people(workspace)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.append(tx, [
            Vote(sample_id=each, annotator=f"ann-{n % 2}", label=CLASSES[n % 3], origin=f"file:{each}")
            for n, each in enumerate(held)
        ])  # fmt: skip
        events.record(tx, "split", {"samples": held, "of": list(PEOPLE)})
    emolab.add_consent(workspace, subjects=PEOPLE[0], text="annabella agrees.")
    emolab.aggregate(workspace)
    emolab.snapshot_create(workspace, name="before")
    _model(workspace, held, "a" * 64)
    _caches(workspace, held)
    _logs(workspace, held)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        keys = {key: value for key, value in tx.execute(select(schema.samples.c.id, schema.samples.c.pk))}
        moment = {"strategy": "margin", "settings": {}, "seed": 0}
        tx.execute(schema.rounds.insert().values(number=1, n=2, created_at="2026-01-01T00:00:00Z", **moment))
        tx.execute(schema.suggestions.insert(), [
            {"round": 1, "sample": pk, "rank": n, "score": 0.5, "reason": "", "kind": "new", "strategy": "margin"}
            for n, pk in enumerate(keys.values())
        ])  # fmt: skip
    return workspace


def people(workspace: Workspace) -> dict[str, str]:
    """The person of each sample, by its id."""
    table = schema.samples.c
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return {key: value for key, value in conn.execute(select(table.id, table.group).order_by(table.pk))}


def _model(workspace: Workspace, held: dict[str, str], name: str) -> None:
    """A model of all samples but the last one of each, its snapshot, record, predictions, and page with a picture."""
    ids = list(held)
    splits = ["valid" if n % EACH == EACH - 1 else "train" for n in range(len(ids))]
    folder = workspace.models / name[:16]
    folder.mkdir(parents=True)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        taken = snapshots.take(
            workspace, tx, classes=CLASSES, ids=ids, targets=np.full((len(ids), 3), 1 / 3, dtype=np.float32),
            supported=np.ones((len(ids), 3), dtype=bool), splits=splits, label_version="v",
        )  # fmt: skip
        models.add(tx, Model(
            id=name, path=folder.relative_to(workspace.root).as_posix(), classes=CLASSES, config={},
            snapshot=taken.id, metrics={"worst": ids[:2]}, parent=None, created_at="2026-01-01T00:00:00Z",
        ))  # fmt: skip
        models.set_alias(tx, "champion", name)
        paths = {key: value for key, value in tx.execute(select(schema.samples.c.id, schema.samples.c.media))}
    prints = fingerprints.fill(workspace.cache, ids, lambda each: workspace.root / paths[each])
    trained = prints[[n for n, split in enumerate(splits) if split == "train"]]
    what = f"{workspace.config.project.name}, snapshot {taken.id[:12]}"
    learned_images.write(folder / learned_images.FILE, Learned().with_images(trained, what))
    pictures = [(workspace.root / paths[each]).read_bytes() for each in ids]
    shown = "".join(f'<img src="{html.data_uri(data)}">' for data in pictures)
    (folder / "report.html").write_text(f"<html>{shown}</html>", encoding="utf-8")
    said = Predictions(
        model_id=name, classes=CLASSES, samples=ids, probs=np.full((len(ids), 3), 1 / 3, dtype=np.float32),
        embeddings=np.arange(len(ids) * 8, dtype=np.float16).reshape(-1, 8),
    )  # fmt: skip
    prediction_store.append(workspace.predictions_folder / name, said)


def _caches(workspace: Workspace, held: dict[str, str]) -> None:
    """Thumbnails, a store of rows whose numbers say whose they are, a list of damaged files."""
    thumbnails, ids = Thumbnails(workspace), list(held)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        paths = {key: value for key, value in conn.execute(select(schema.samples.c.id, schema.samples.c.media))}
    for each in ids:
        thumbnails.get(each, paths[each])
    store = workspace.cache / "embeddings-test" / "features.f16"
    row_store.fill(
        store, ids, lambda part: (np.array([[int(each[:3], 16)] * 4 for each in part], dtype=np.int64), part),
        dtype=np.int64, shape=(4,),
    )  # fmt: skip
    workspace.damaged.write_text("\n".join(ids) + "\n", encoding="ascii")


def _logs(workspace: Workspace, held: dict[str, str]) -> None:
    """What commands, servers, cycles, stopped trainings and the monitor leave."""
    ids = list(held)
    said = {
        "logs/collect-1.txt": "".join(f"photos/{who}/{who}-shot0.png: truncated: half\n" for who in PEOPLE),
        "logs/server.log": "".join(f"GET /api/samples/{each} 200\n" for each in ids),
        "serving/app-2026-01-01.jsonl": "".join(json.dumps({"by": "owner", "sample": each}) + "\n" for each in ids),
        "cycles/0001/journal.jsonl": "".join(
            json.dumps(line) + "\n"
            for line in (
                {"kind": "begun", "mark": [0, 0, 0, 0], "votes": 1, "reason": "asked for", "pulled": None},
                {"kind": "done", "step": "suggest", "came": {"ids": ids}},
                {"kind": "ended", "outcome": "complete"},
            )
        ),
        "runs/run-1/plan.json": json.dumps({"ids": ids}),
        "pretrained/run-1/state.json": json.dumps({"epoch": 1}),
        "monitor/page-1.html": "<html>pictures</html>",
        "monitor/page-1.samples.json": json.dumps(ids),
        "monitor/b/reference.json": json.dumps({"reference": "judged", "judged": False, "n": len(ids)}),
        "monitor/b/reference.ids.json": json.dumps({"seen": ids, "judged": []}),
        "served/a/about.json": json.dumps({"columns": ["probs"]}),
    }
    for name, text in said.items():
        file = workspace.state / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for column in ("probs", "embeddings", "quality"):
        np.save(workspace.state / "monitor" / "b" / f"seen.{column}.npy", np.zeros((len(ids), 2)))


@dataclass(frozen=True)
class Needle:
    """Bytes that tell of somebody, and what kind of trace they are."""

    kind: str
    data: bytes


def needles(workspace: Workspace, who: str) -> list[Needle]:
    """Every form in which the samples of ``who`` and their name may be written down."""
    found = [Needle("name of the person", who.encode())]
    table = schema.samples.c
    with workspace.catalog() as catalog, catalog.connect() as conn:
        rows = conn.execute(select(table.id, table.name, table.media, table.phash).where(table.group == who)).all()
    prints = fingerprints.fill(
        workspace.cache,
        [row.id for row in rows],
        lambda each: next(workspace.root / r.media for r in rows if r.id == each),
    )
    for row, print_ in zip(rows, prints, strict=True):
        pixels = (workspace.root / row.media).read_bytes()
        found += [
            Needle("id", row.id.encode()),
            Needle("id, raw", bytes.fromhex(row.id)),
            Needle("id, base64", base64.b64encode(bytes.fromhex(row.id))[:-4]),
            Needle("file name", Path(row.name).name.encode()),
            Needle("file", pixels[-120:-20]),
            Needle("file, base64", base64.b64encode(pixels)[:120]),
            Needle("fingerprint", print_[:24].tobytes()),
        ]
        if row.phash is not None:
            found += [
                Needle("perceptual hash", int(row.phash).to_bytes(8, "big", signed=True)),
                Needle("perceptual hash, little endian", int(row.phash).to_bytes(8, "little", signed=True)),
                Needle("perceptual hash, as text", str(row.phash % (1 << 64)).encode()),
            ]
    return found


def traces_left(folder: Path, wanted: list[Needle]) -> dict[str, set[str]]:
    """In which files below ``folder`` there is which kind of trace: each byte is read, compressed ones as well."""
    return kinds_in(_contents(folder), wanted)


def kinds_in(contents: Iterable[tuple[str, bytes]], wanted: list[Needle]) -> dict[str, set[str]]:
    """Under which names of ``contents`` there is which kind of trace."""
    pattern = re.compile(b"|".join(re.escape(each.data) for each in wanted))
    kinds = {each.data: each.kind for each in wanted}
    found: dict[str, set[str]] = {}
    for name, data in contents:
        for match in pattern.finditer(data):
            found.setdefault(name, set()).add(kinds[match[0]])
    return found


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name = file.relative_to(folder).as_posix()
            data = file.read_bytes()
            yield name, name.encode() + b"\n" + (gzip.decompress(data) if file.suffix == ".gz" else data)
