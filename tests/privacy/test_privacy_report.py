"""``emolab privacy report``: everything that is held about a subject, and nothing about others."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, select

import emolab
from emolab.catalog import events, models, samples, settings, votes
from emolab.catalog.campaign import remotes
from emolab.catalog.storage import schema
from emolab.errors import DataError, UnknownName
from emolab.inference import prediction_store
from emolab.labeling.answers.pseudonyms import pseudonym
from emolab.loop.label.voting.studio_users import address_of
from emolab.loop.operate.serve_people import people_file
from emolab.provenance import snapshots
from emolab.records import Model, Predictions, Sample, Vote
from emolab.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]
CLASSES = ("happiness", "sadness", "neutral")


def sid(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def held(workspace: Workspace) -> Workspace:
    """Two samples each of ann and bob with all that they may have; a model learned from ann's, and one from it."""
    ids = [sid(f"{who}{i}") for who in ("ann", "bob") for i in range(2)]
    workspace.media.mkdir(parents=True, exist_ok=True)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        for name, group in zip(ids, ("ann", "ann", "bob", "bob"), strict=True):
            (workspace.media / f"{name}.png").write_bytes(b"picture " + name.encode())
            samples.add(tx, [Sample(id=name, media=f".emolab/media/{name}.png", group=group, split="train")])
        votes.append(
            tx,
            [Vote(sample_id=each, annotator="cyd", label="neutral", origin=f"t:{n}") for n, each in enumerate(ids)],
        )
        events.record(tx, "split", {"samples": [ids[0]]})
        events.record(tx, "split", {"samples": [ids[2]], "by": "joanna"})
        events.record(tx, "note", {"of": {"ann": 1}})
        for name, rows, parent in (
            ("a" * 64, ids[:2], None),
            ("b" * 64, ids[2:], None),
            ("c" * 64, ids[2:3], "a" * 64),
        ):
            taken = snapshots.take(
                workspace, tx, classes=CLASSES, ids=rows, targets=np.full((len(rows), 3), 1 / 3, dtype=np.float32),
                supported=np.ones((len(rows), 3), dtype=bool), splits=["train"] * len(rows), label_version=name,
            )  # fmt: skip
            made = Model(
                id=name, path=f".emolab/models/{name}", classes=CLASSES, config={}, snapshot=taken.id, metrics={},
                parent=parent, created_at=f"2026-01-0{1 + len(models.list_all(tx))}T00:00:00Z",
            )  # fmt: skip
            models.add(tx, made)
    emolab.aggregate(workspace)
    emolab.add_consent(workspace, subjects="ann", text="I agree to be in it.")
    prediction_store.append(
        workspace.predictions_folder / ("b" * 64),
        Predictions(model_id="b" * 64, classes=CLASSES, samples=ids, probs=np.full((4, 3), 1 / 3, dtype=np.float32),
                    embeddings=np.zeros((4, 2), dtype=np.float16)),
    )  # fmt: skip
    return workspace


def test_a_report_holds_every_kind_of_row_and_file_of_its_subject_and_none_of_another(
    held: Workspace, run_cli: Run, tmp_path: Path
) -> None:
    (held.cache / "odd").mkdir(parents=True)
    (held.cache / "odd" / "raw.bin").write_bytes(bytes((8 << 20) - 10) + bytes.fromhex(sid("ann1")) + b"yy")
    (held.cache / "odd" / f"{sid('ann0')}.jpg").write_bytes(b"thumbnail")
    (held.cache / "odd" / "of_bob.txt").write_text(sid("bob0"))
    out = tmp_path / "report"
    printed = run_cli(
        "-w", str(held.root), "privacy", "report", "--subject", "ann", "--to", str(out), "--json", check=True
    )
    done, told = json.loads(printed.stdout), json.loads((out / "report.json").read_text())
    assert told["samples"] == done["ids"] == [sid("ann0"), sid("ann1")]
    rows = {name: len(found) for name, found in told["catalog"].items()}
    assert {name: rows[name] for name in ("samples", "votes", "labels", "consents", "events")} == {
        "samples": 2, "votes": 2, "labels": 2, "consents": 1, "events": 2,
    }  # fmt: skip
    assert {row["annotator"] for row in told["catalog"]["votes"]} == {"cyd"}
    assert (told["models"], len(told["snapshots"])) == (["a" * 64, "c" * 64], 1)
    assert {*told["predictions"]["b" * 64]} == {sid("ann0"), sid("ann1")}
    odd = [name for name in told["files"] if "/odd/" in name]
    assert odd == sorted([f".emolab/cache/odd/{sid('ann0')}.jpg", ".emolab/cache/odd/raw.bin"])
    assert any(name.startswith(".emolab/catalog.db") for name in told["files"])
    assert sorted(file.stem for file in (out / "media").iterdir()) == sorted([sid("ann0"), sid("ann1")])
    for file in ("report.json", "index.html"):
        text = (out / file).read_text()
        assert ("I agree to be in it." in text, sid("bob0") in text, sid("bob1") in text) == (True, False, False)


def test_a_subject_nobody_knows_and_a_folder_that_is_there_are_errors(held: Workspace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='Nothing is known of a subject "dora"'):
        emolab.privacy_report(held, subject="dora", to=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(DataError, match="is there already"):
        emolab.privacy_report(held, subject="ann", to=tmp_path)


def test_a_missing_file_and_a_withdrawn_vote_are_told(held: Workspace, tmp_path: Path) -> None:
    (held.media / f"{sid('ann0')}.png").unlink()
    emolab.remove(held, ids=sid("ann1"))
    done = emolab.privacy_report(held, subject="ann", to=tmp_path / "new")
    told = json.loads((tmp_path / "new" / "report.json").read_text())
    assert done.missing == [sid("ann0")]
    assert {row["sample"]: row["withdrawn"] for row in told["catalog"]["votes"]} == {
        sid("ann0"): None, sid("ann1"): "sample removed",
    }  # fmt: skip


def test_of_an_annotator_there_are_votes_answers_and_links_and_nobody_elses(held: Workspace, tmp_path: Path) -> None:
    emolab.add_serve_person(held, "Zoe Quince", role="annotator")
    emolab.add_serve_person(held, "Bob", role="annotator")
    with held.catalog() as catalog, catalog.begin() as tx:
        secret = bytes.fromhex(str(settings.get(tx, "secret"))) if settings.get(tx, "secret") else settings.secret(tx)
        zoe = pseudonym(secret, address_of("Zoe Quince", secret))
        one, two = sid("ann0"), sid("bob0")
        votes.append(tx, [Vote(sample_id=one, annotator=zoe, label="neutral", origin="t:zoe:1")])
        votes.append(tx, [Vote(sample_id=two, annotator=zoe, label="sadness", origin="t:zoe:2")])
        votes.withdraw(tx, ["t:zoe:2"], "gone")
        project = remotes.add_project(tx, server="s", project=1, title="faces")
        sample = tx.execute(select(schema.samples.c.pk).where(schema.samples.c.id == one)).scalar_one()
        for person in ("Zoe Quince", "Bob"):
            row = {"id": person, "person": person, "project": project.pk, "sample": sample, "label": "neutral"}
            tx.execute(insert(schema.app_answers).values(**row, at="2026-11-30T00:00:00Z", state="sent"))
        events.record(tx, "note", {"by": "Zoe Quince"})
    done = emolab.privacy_report(held, annotator="Zoe Quince", to=tmp_path / "zoe")
    told = json.loads((tmp_path / "zoe" / "report.json").read_text())
    assert done.subject == told["annotator"] == zoe
    assert [(row["sample"], row["label"], row["withdrawn"]) for row in told["catalog"]["votes"]] == [
        (one, "neutral", None), (two, "sadness", "gone"),
    ]  # fmt: skip
    assert [row["person"] for row in told["catalog"]["app_answers"]] == ["Zoe Quince"]
    assert [row["name"] for row in told["links_to_the_app"]] == ["Zoe Quince"]
    assert [row["detail"] for row in told["catalog"]["events"]] == [{"by": "Zoe Quince"}]
    text = (tmp_path / "zoe" / "report.json").read_text() + (tmp_path / "zoe" / "index.html").read_text()
    (digest,) = {one.digest for one in people_file(held).all() if one.name == "Zoe Quince"}
    assert "Bob" not in text and "cyd" not in text and digest not in text
    with pytest.raises(UnknownName, match="nobody"):
        emolab.privacy_report(held, annotator="nobody", to=tmp_path / "new")
    with pytest.raises(DataError, match="one of them"):
        emolab.privacy_report(held, to=tmp_path / "new")
