"""The workspace in FiftyOne: what is written, what stays a person's, what comes back, and how it looks."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emolab.catalog import labels, models, samples, votes
from emolab.catalog.campaign import rounds
from emolab.catalog.storage import schema
from emolab.catalog.storage.engine import now
from emolab.datasets.inspect import fiftyone_view, mongod, row_batches, rows, sync
from emolab.datasets.inspect.documents import Writer
from emolab.datasets.remove import remove
from emolab.demonstration.drawn_faces import DrawnFace, draw_faces
from emolab.errors import EmolabError
from emolab.inference import prediction_store
from emolab.labeling.labels.aggregate import aggregate
from emolab.loop.data import inspect as inspecting
from emolab.loop.operate.privacy.consent import add_consent, end_consent
from emolab.records import Model, Predictions, Sample, Suggestion, Vote
from emolab.taxonomy import META, PRESETS
from emolab.workspace import Workspace
from tests.support.heard import Heard

CLASSES = PRESETS["ferplus8"]
CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
            "--disable-sync")  # fmt: skip
#: True when the grid's canvases or pictures are there and filled.
SHARP = """() => {
  const drawn = [...document.querySelectorAll('canvas')].filter(c => c.width > 20 && c.height > 20);
  const loaded = [...document.querySelectorAll('img')].filter(i => i.naturalWidth > 0 && i.src.includes('media'));
  return drawn.length + loaded.length >= 20;
}"""
ANNOTATORS = ("ann", "bob", "eve")


def furnished(root: Path, n: int, *, seed: int = 0) -> Workspace:
    """A workspace with `n` drawn faces: three quarters voted on, labels, a model's predictions, a round, duplicates."""
    rng = np.random.default_rng(seed)
    workspace = Workspace.init(root, classes=CLASSES)
    drawn: dict[str, DrawnFace] = {hashlib.sha256(face.png).hexdigest(): face for face in draw_faces(n, rng)}
    ids = list(drawn)
    found = []
    for uid, face in drawn.items():
        path = workspace.media / uid[:2] / f"{uid}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(face.png)
        quality = {"brightness": round(float(rng.uniform(0.2, 0.9)), 3), "blur": round(float(rng.uniform(0, 1)), 3)}
        found.append(
            Sample(
                id=uid, media=str(path.relative_to(workspace.root)), source="drawn", group=face.person or None,
                width=48, height=48, split=("train", "train", "train", "valid")[len(found) % 4], quality=quality,
                added_at=now(), name=face.name,
            )
        )  # fmt: skip
    voted = ids[: len(ids) * 3 // 4]
    cast = [
        Vote(sample_id=uid, annotator=name, origin=f"test:{name}:{uid}", label=answer(drawn[uid], rng))
        for uid in voted
        for name in ANNOTATORS
    ]
    cast[0] = replace(cast[0], extra={"quality": "sharp", "seen": ["eyes", "mouth"], "age": 31})
    shares = np.array([[drawn[uid].answers.get(name, 0.0) + 0.02 for name in CLASSES] for uid in ids])
    probs = shares**0.7 * rng.uniform(0.3, 1.7, shares.shape)
    probs /= probs.sum(axis=1, keepdims=True)
    model = Model(id="m" * 64, path="m", classes=CLASSES, config={}, snapshot="s", metrics={}, created_at=now())
    open_ids = ids[len(voted) :][:12]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, found)
        votes.append(tx, cast)
        models.add(tx, model)
        models.set_alias(tx, "champion", model.id)
        samples.set_representatives(tx, {ids[1]: ids[0], ids[3]: ids[2]})
        rounds.create(
            tx,
            [
                Suggestion(sample_id=uid, score=0.9 - i / 50, reason="small margin: fear or surprise",
                           strategy="margin", round=1, rank=i)
                for i, uid in enumerate(open_ids)
            ],
            strategy="margin", model=model.id, seed=0, settings={},
        )  # fmt: skip
    aggregate(workspace)
    prediction_store.append(
        workspace.predictions_folder / model.id,
        Predictions(model_id=model.id, classes=CLASSES, samples=ids, probs=probs.astype(np.float32),
                    embeddings=np.zeros((len(ids), 2), np.float16)),
    )  # fmt: skip
    return workspace


def answer(face: DrawnFace, rng: np.random.Generator) -> str:
    """One person's answer, drawn from what people would say."""
    names = list(face.answers)
    said = names[int(rng.choice(len(names), p=np.array(list(face.answers.values()))))]
    return said if said in META or rng.random() < 0.9 else "neutral"


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A furnished workspace to copy."""
    return furnished(tmp_path_factory.mktemp("drawn") / "faces", 40).root


@pytest.fixture
def faces(drawn: Path, tmp_path: Path) -> Workspace:
    """A small furnished workspace; tests share the database, and its datasets of one name keep apart."""
    return Workspace.open(Path(shutil.copytree(drawn, tmp_path / "faces")))


def predictions(workspace: Workspace) -> Predictions:
    return prediction_store.read(workspace.predictions_folder / ("m" * 64))


def written(workspace: Workspace, fiftyone_database: str, **options: Any) -> Any:
    """Write the workspace and return its FiftyOne dataset."""
    report = fiftyone_view.write(workspace, fiftyone_database, predictions=predictions(workspace), **options)
    dataset = fiftyone_view.connect(fiftyone_database).load_dataset(report.dataset)
    dataset.reload()
    return dataset


def by_uid(dataset: Any, uid: str) -> Any:
    return dataset.one(inspect_field("uid") == uid)


def inspect_field(name: str) -> Any:
    import fiftyone as fo

    return fo.ViewField(name)


def ledger(workspace: Workspace) -> set[tuple[str, str, str | None]]:
    """(kind, annotator, label) of every active vote that came from the App."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return {
            (vote.origin.split(":")[1], vote.annotator, vote.label)
            for vote in votes.iterate(conn)
            if vote.origin.startswith("inspect:")
        }


@pytest.mark.slow
def test_rows_tell_votes_labels_predictions_suggestions_and_duplicates(faces: Workspace) -> None:
    with faces.catalog() as catalog, catalog.connect() as conn:
        found = [
            row
            for batch in row_batches.batches(conn, root=faces.root, classes=CLASSES, predictions=predictions(faces))
            for row in batch
        ]
        current = labels.current(conn)
    assert current is not None
    assert [row.filepath for row in found if not Path(row.filepath).is_file()] == []
    assert (found[1].duplicate_of, found[1].duplicate_group) == (found[0].uid, found[0].uid)
    assert (found[0].duplicate_of, found[0].duplicate_group) == (None, found[0].uid)
    voted, last = found[0], found[-1]
    assert sum(voted.votes.values()) == voted.n_votes == len(voted.answers) == len(ANNOTATORS)
    assert {name for name, _, _ in voted.answers} == set(ANNOTATORS)
    said = [("age", "31"), ("quality", "sharp"), ("seen", "eyes"), ("seen", "mouth")]
    assert sorted((question, text) for _, question, text in voted.extra) == said
    assert [row.extra for row in found[1:] if row.extra] == []
    assert {row.uid: row.label for row in found if row.label} == {
        uid: CLASSES[hard] for uid, hard in zip(current.samples, current.hard, strict=True)
    }
    assert all(0 <= row.entropy <= 1 and 0 <= row.margin <= 1 for row in found)
    assert [row.suggestion[0] for row in found if row.suggested] == list(range(10))
    assert (last.n_votes, last.agreement, last.label, last.round) == (0, None, None, 1)


def test_a_stamp_changes_with_any_value_and_with_nothing_else() -> None:
    pytest.importorskip("bson")
    writer = Writer(CLASSES)
    first = writer.document(rows.example(CLASSES))
    assert first == writer.document(rows.example(CLASSES))
    for change in (
        {"split": "valid"},
        {"margin": 0.1},
        {"votes": {"fear": 1}},
        {"suggested": False},
        {"label": "fear"},
    ):
        row = rows.example(CLASSES)
        for name, value in change.items():
            setattr(row, name, value)
        assert writer.document(row).stamp != first.stamp, change


@pytest.mark.fiftyone
def test_everything_is_there_and_the_saved_views_find_it(faces: Workspace, fiftyone_database: str) -> None:
    dataset = written(faces, fiftyone_database)
    assert len(dataset) == 40
    assert "uid" in dataset.list_indexes()
    first = dataset.first()
    assert Path(first.filepath).is_file()
    assert sum(first.votes[name] for name in CLASSES) == first.n_votes == 3
    assert {answer.annotator for answer in first.answers} == set(ANNOTATORS)
    assert {(one.annotator, one.question, one.answer) for one in first.extra} >= {(ANNOTATORS[0], "seen", "eyes")}
    assert dataset.last().extra is None
    assert first.label.label in CLASSES
    assert first.model_says == f"model: {first.prediction.label}", "the chip beside the label's says whose word it is"
    assert first.prediction.logits.shape == (len(CLASSES),)
    assert np.exp(first.prediction.logits).sum() == pytest.approx(1, abs=1e-3)
    assert first.distribution[first.label.label] == first.label.confidence
    assert (first.source, first.split, first.metadata.width) == ("drawn", "train", 48)
    assert dataset.list_saved_views() == ["suggested now", "annotators disagree", "model disagrees", "duplicates"]
    assert dataset.load_saved_view("suggested now").values("suggestion_rank") == list(range(10))
    shown = dataset.load_saved_view("model disagrees")
    assert len(shown) > 0
    assert all(a != b for a, b in zip(*shown.values(["label.label", "prediction.label"]), strict=True))
    entropies = dataset.load_saved_view("annotators disagree").values("vote_entropy")
    assert entropies == sorted(entropies, reverse=True)
    pairs = dataset.load_saved_view("duplicates").values(["uid", "duplicate_of"])
    assert [uid for uid, of in zip(*pairs, strict=True) if of is None] == [of for of in pairs[1] if of]


@pytest.mark.fiftyone
@pytest.mark.parametrize("path", ["direct", "public"])
def test_a_second_write_touches_only_what_changed_and_nothing_that_people_made(
    faces: Workspace, fiftyone_database: str, path: str
) -> None:
    dataset = written(faces, fiftyone_database, path=path)
    changed, kept, gone = dataset.values("uid")[0], dataset.values("uid")[5], dataset.values("uid")[-1]
    sample = by_uid(dataset, changed)
    sample.tags, sample["note"] = ["to check"], "mine"
    sample.label.tags = ["odd"]
    sample.save()
    with faces.catalog() as catalog, catalog.begin() as tx:
        samples.set_splits(tx, {changed: "test"})
        tx.execute(schema.suggestions.delete())
        tx.execute(schema.samples.delete().where(schema.samples.c.id == gone))
    report = fiftyone_view.write(faces, fiftyone_database, predictions=predictions(faces), path=path)
    tally = report.tally
    assert (tally.added, tally.changed, tally.unchanged, tally.removed, report.path) == (0, 10, 29, 1, path)
    dataset.reload()
    sample = by_uid(dataset, changed)
    assert (sample.split, sample.tags, sample["note"], sample.label.tags) == ("test", ["to check"], "mine", ["odd"])
    assert by_uid(dataset, kept).split is not None
    assert gone not in dataset.values("uid")
    again = fiftyone_view.write(faces, fiftyone_database, predictions=predictions(faces), path=path).tally
    assert (again.added, again.changed, again.unchanged, again.removed) == (0, 0, 39, 0)
    bare = fiftyone_view.write(faces, fiftyone_database, path=path).tally
    assert bare.changed == 39
    assert dataset.exists("prediction").count() == 0


@pytest.mark.fiftyone
def test_both_paths_write_the_same(faces: Workspace, fiftyone_database: str) -> None:
    def plain(dataset: Any) -> list[dict[str, Any]]:
        found = [sample.to_dict() for sample in dataset]
        for sample in found:
            for name in ("_id", "id", "_rand", "_dataset_id", "created_at", "last_modified_at"):
                sample.pop(name, None)
            if sample["prediction"]:
                sample["prediction"]["logits"] = None
        return found

    direct = written(faces, fiftyone_database)
    by_direct, logits = plain(direct), direct.values("prediction.logits")
    fiftyone_view.connect(fiftyone_database).delete_dataset(direct.name)
    public = written(faces, fiftyone_database, path="public")
    assert plain(public) == by_direct
    assert all(np.array_equal(a, b) for a, b in zip(public.values("prediction.logits"), logits, strict=True))


@pytest.mark.fiftyone
def test_where_fiftyone_stores_samples_in_another_way_the_public_path_is_taken_and_announced(
    faces: Workspace, fiftyone_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = sync.sample
    monkeypatch.setattr(
        sync, "sample", lambda fo, content: add(fo, {**content, "uid": content["uid"], "vintage": "2031"})
    )
    heard = Heard()
    report = fiftyone_view.write(faces, fiftyone_database, progress=heard)
    assert (report.path, report.samples) == ("public", 40)
    assert len(heard.notes) == 1
    assert 'in another way than emolab knows (FiftyOne also writes "vintage")' in heard.notes[0]


@pytest.mark.fiftyone
def test_tags_and_edits_come_back_once_and_can_be_taken_back(faces: Workspace, fiftyone_database: str) -> None:
    dataset = written(faces, fiftyone_database)
    uids = dataset.values("uid")
    tagged, edited, wrong = (by_uid(dataset, uids[i]) for i in (0, 1, 2))
    other = next(name for name in CLASSES if name != edited.label.label)
    tagged.tags = ["label:fear", "nice"]
    edited.label.label = other
    wrong.tags = ["label:hapiness"]
    for sample in (tagged, edited, wrong):
        sample.save()

    kept = fiftyone_view.write(faces, fiftyone_database, predictions=predictions(faces)).tally.kept
    assert kept == [uids[1]]
    pull = fiftyone_view.pull(faces, fiftyone_database, annotator="zoe")
    assert (pull.new, pull.withdrawn, pull.known) == (2, 0, 0)
    assert [uid for uid, _ in pull.problems] == [uids[2]]
    assert 'did you mean "happiness"?' in pull.problems[0][1]
    assert ledger(faces) == {("tag", "zoe", "fear"), ("edit", "zoe", other)}
    again = fiftyone_view.pull(faces, fiftyone_database, annotator="zoe")
    assert (again.new, again.withdrawn, again.known) == (0, 0, 2)

    fiftyone_view.write(faces, fiftyone_database, predictions=predictions(faces))
    dataset.reload()
    assert by_uid(dataset, uids[1]).label.label == edited_label(faces, uids[1])
    assert by_uid(dataset, uids[0]).tags == ["label:fear", "nice"]
    assert by_uid(dataset, uids[0]).votes["fear"] == 1 + votes_for(faces, uids[0], "fear")
    assert fiftyone_view.pull(faces, fiftyone_database, annotator="bob").new == 0

    tagged.reload()
    tagged.tags = ["nice"]
    tagged.save()
    back = fiftyone_view.pull(faces, fiftyone_database, annotator="zoe")
    assert (back.new, back.withdrawn) == (0, 1)
    assert ledger(faces) == {("edit", "zoe", other)}


def edited_label(workspace: Workspace, uid: str) -> str:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        current = labels.current(conn)
    assert current is not None
    return current.classes[int(current.hard[current.samples.index(uid)])]


def votes_for(workspace: Workspace, uid: str, label: str) -> int:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return sum(vote.label == label and vote.annotator in ANNOTATORS for vote in votes.iterate(conn, sample_id=uid))


@pytest.mark.fiftyone
def test_a_dropped_dataset_is_rebuilt_with_the_tags_that_are_votes(faces: Workspace, fiftyone_database: str) -> None:
    dataset = written(faces, fiftyone_database)
    sample = dataset.first()
    sample.tags = ["label:fear", "nice"]
    sample.save()
    fiftyone_view.pull(faces, fiftyone_database, annotator="zoe")
    fiftyone_view.connect(fiftyone_database).delete_dataset(dataset.name)
    with pytest.raises(EmolabError, match="There is no FiftyOne dataset"):
        fiftyone_view.pull(faces, fiftyone_database, annotator="zoe")
    assert written(faces, fiftyone_database).first().tags == ["label:fear"]
    pull = fiftyone_view.pull(faces, fiftyone_database, annotator="zoe")
    assert (pull.new, pull.withdrawn, pull.known) == (0, 0, 1)


@pytest.mark.fiftyone
def test_a_sample_that_was_removed_takes_no_vote_and_leaves_the_view(faces: Workspace, fiftyone_database: str) -> None:
    dataset = written(faces, fiftyone_database)
    n, sample = len(dataset), dataset.first()
    sample.tags = ["label:fear"]
    sample.save()
    remove(faces, ids=[sample.uid])
    assert fiftyone_view.pull(faces, fiftyone_database, annotator="zoe").new == 0
    report = fiftyone_view.write(faces, fiftyone_database, predictions=predictions(faces))
    assert (report.samples, report.tally.removed) == (n - 1, 1)
    assert sample.uid not in written(faces, fiftyone_database).values("uid")


@pytest.mark.fiftyone
def test_a_sample_whose_consent_was_withdrawn_leaves_the_view_and_comes_back_with_a_new_one(
    faces: Workspace, fiftyone_database: str
) -> None:
    dataset = written(faces, fiftyone_database)
    n, uid = len(dataset), dataset.first().uid
    end_consent(faces, ids=uid)
    assert fiftyone_view.write(faces, fiftyone_database, predictions=predictions(faces)).samples == n - 1
    assert uid not in written(faces, fiftyone_database).values("uid")
    add_consent(faces, ids=uid, text="Yes, after all.")
    assert uid in written(faces, fiftyone_database).values("uid")


@pytest.mark.fiftyone
def test_workspaces_of_one_name_keep_apart_and_class_names_may_have_blanks(
    tmp_path: Path, fiftyone_database: str
) -> None:
    names = []
    for folder in ("here", "there"):
        workspace = Workspace.init(
            tmp_path / folder, classes=("very happy", "so-so", "Größe"), name=f"twins-{tmp_path.name}"
        )
        with workspace.catalog() as catalog, catalog.begin() as tx:
            samples.add(tx, [Sample(id="ab" * 32, media="a.png", source=folder, added_at=now())])
            votes.append(tx, [Vote(sample_id="ab" * 32, annotator="ann", label="very happy", origin="test")])
        aggregate(workspace)
        dataset = fiftyone_view.connect(fiftyone_database).load_dataset(
            fiftyone_view.write(workspace, fiftyone_database).dataset
        )
        names.append(dataset.name)
        assert dataset.values("source") == [folder]
        assert dataset.first().votes["very happy"] == 1
        assert len(dataset.match(inspect_field("votes.very happy") == 1)) == 1
    assert names[0] == f"twins-{tmp_path.name}"
    assert names[1].startswith(f"twins-{tmp_path.name}-")


@pytest.mark.fiftyone
def test_an_empty_workspace_and_the_leavings_of_a_killed_run_are_no_trouble(
    workspace: Workspace, fiftyone_database: str
) -> None:
    report = fiftyone_view.write(workspace, fiftyone_database)
    assert (report.samples, report.views["duplicates"]) == (0, 0)
    dataset = fiftyone_view.connect(fiftyone_database).load_dataset(report.dataset)
    classes = workspace.config.project.classes
    sync.Direct(dataset).insert([Writer(classes).document(rows.example(classes))], {})
    assert len(dataset) == 1
    report = fiftyone_view.write(workspace, fiftyone_database)
    assert (report.samples, report.path) == (0, "direct")


@pytest.mark.fiftyone
def test_a_second_database_in_one_process_is_refused(fiftyone_database: str) -> None:
    with pytest.raises(EmolabError, match="a Python process can have one only"):
        fiftyone_view.connect("mongodb://db.example:27017")
    fiftyone_view.connect(fiftyone_database)


@pytest.mark.fiftyone
def test_a_taken_port_is_an_error_with_the_way_out(faces: Workspace, fiftyone_database: str) -> None:
    written(faces, fiftyone_database)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(EmolabError, match=f"Port {port} is taken by another program. Choose one: --port"),
            fiftyone_view.app(faces, fiftyone_database, port=port),
        ):
            pass


@pytest.mark.fiftyone
@pytest.mark.browser
def test_the_app_shows_faces_views_and_groups_in_a_real_browser(
    faces: Workspace, fiftyone_database: str, tmp_path: Path
) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on PATH")
    written(faces, fiftyone_database)
    strangers: list[str] = []

    def local_only(route: Any) -> None:
        """The App asks the net for fonts; here nothing answers from outside, and it must work all the same."""
        here = "//127.0.0.1:" in route.request.url or route.request.url.startswith(("data:", "blob:"))
        if not here:
            strangers.append(route.request.url.split("/")[2])
        route.continue_() if here else route.abort()

    with fiftyone_view.app(faces, fiftyone_database) as url, sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.route("**/*", local_only)
        page.goto(url)
        page.get_by_text("40 samples").wait_for(timeout=90_000)
        media = f"{url.split('/datasets')[0]}/media"
        page.wait_for_function(SHARP, timeout=60_000)
        promotion = page.get_by_text("Dismiss", exact=True)
        if promotion.count():
            promotion.click()
        deadline = time.monotonic() + 60
        while colours_of_the_grid(page, tmp_path / "app.png") <= 20_000:
            assert time.monotonic() < deadline, "the grid shows no pictures"
            time.sleep(0.5)
        groups = page.evaluate("[...document.querySelectorAll('input')].map(i => i.value.toLowerCase())")
        loaded = page.evaluate("url => performance.getEntriesByType('resource').filter(e => e.name.startsWith(url))"
                               ".length", media)  # fmt: skip
        page.get_by_text("Unsaved view").first.click()
        for name in ("suggested now", "annotators disagree", "model disagrees", "duplicates"):
            page.get_by_text(name, exact=True).first.wait_for(timeout=60_000)
        page.get_by_text("suggested now", exact=True).first.click()
        page.get_by_text("10 samples").wait_for(timeout=30_000)
        browser.close()
    assert loaded >= 20, "the grid asked for few pictures"
    assert {"label", "model", "round", "origin", "votes", "distribution", "probabilities", "quality"} <= set(groups)
    assert set(strangers) <= {"fonts.googleapis.com"}


@pytest.mark.fiftyone
def test_what_the_monitor_names_has_a_view_while_it_does(faces: Workspace, fiftyone_database: str) -> None:
    with faces.catalog() as catalog, catalog.connect() as conn:
        ids = [one.id for one in samples.iterate(conn)][5:9]
    home = faces.state / "monitor" / ("m" * 64)
    home.mkdir(parents=True)
    loud = [{"sample": one, "away": 3.0 - i, "said": "fear"} for i, one in enumerate([*ids, "f" * 64])]
    told = {"version": 1, "begin": "2026-11-23T00:00:00Z", "words": "darker", "loudest": loud, "beside": []}
    (home / "moved.json").write_text(json.dumps(told))
    named = inspecting.moved_to_show(faces, "champion")
    assert named == ids, "a sample that is not there is not shown"
    dataset = written(faces, fiftyone_database, moved=named)
    assert dataset.load_saved_view("what moved").values("uid") == ids
    dataset = written(faces, fiftyone_database, moved=named[::-1])
    assert dataset.load_saved_view("what moved").values("uid") == ids[::-1]
    (home / "moved.json").unlink()
    assert (
        "what moved"
        not in written(faces, fiftyone_database, moved=inspecting.moved_to_show(faces, "champion")).list_saved_views()
    )


def colours_of_the_grid(page: Any, file: Path) -> int:
    """How many colours a screenshot shows where the pictures are: a few hundred while the grid is empty."""
    page.screenshot(path=file)
    grid = np.asarray(Image.open(file).convert("RGB"))[160:860, 320:1120]
    return len(np.unique(grid.reshape(-1, 3), axis=0))


@pytest.mark.fiftyone
def test_the_command_writes_opens_the_app_ends_at_ctrl_c_and_leaves_nothing_running(
    faces: Workspace, fiftyone_database: str, run_apart: Any
) -> None:
    own = {"FIFTYONE_DATABASE_URI": ""}
    report = json.loads(run_apart("inspect", "--no-app", "--json", cwd=faces.root, check=True, env=own).stdout)
    assert (report["dataset"], report["added"], report["path"]) == ("faces", 40, "direct")
    assert report["views"]["suggested now"] == 10
    wrong = run_apart("inspect", "--pull", cwd=faces.root, env=own)
    assert (wrong.returncode, "--pull and --annotator NAME belong together" in wrong.stderr) == (2, True)
    command = [sys.executable, "-m", "emolab", "inspect"]
    with subprocess.Popen(command, cwd=faces.root, env={**os.environ, **own}, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as app:  # fmt: skip
        assert app.stderr is not None
        said = ""
        while "Ctrl-C ends it" not in said:
            line = app.stderr.readline()
            assert line, said
            said += line
        url = re.search(r"http://127\.0\.0\.1:\d+/datasets/faces", said)
        assert url is not None
        with urllib.request.urlopen(url[0]) as answer:
            assert b"FiftyOne" in answer.read()
        server = mongod.running(faces.fiftyone)
        assert server is not None
        os.killpg(app.pid, signal.SIGINT)
        rest = app.stderr.read()
    assert app.returncode == 0, rest
    assert "Traceback" not in rest
    deadline = time.monotonic() + 120
    while mongod.running(faces.fiftyone) is not None:
        assert time.monotonic() < deadline, "the database was left running"
        time.sleep(0.05)
