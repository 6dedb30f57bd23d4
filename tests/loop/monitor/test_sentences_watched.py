"""A workspace of sentences has its drift watch: log, looks, page, rounds, audits, and what forgetting asks of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import emolab
from emolab.catalog import samples
from emolab.cli.main import run
from emolab.errors import DataError
from emolab.loop.look.monitor_view import monitor_view
from emolab.loop.operate import served_columns
from emolab.loop.operate.logged_models import LoggedOwn
from emolab.loop.operate.monitor import look_record, reference_samples, watch_reference
from emolab.loop.operate.monitor.audit_round import audit
from emolab.loop.operate.monitor.drift_round import suggest_from_drift
from emolab.loop.operate.monitor.run_monitor import ALARM, PAGE, QUIET
from emolab.loop.operate.serve import open_service
from emolab.modalities.own_models import own_model
from emolab.modalities.text.sentence_quality import QUALITY
from emolab.monitoring import served_log
from emolab.stats import multilabel
from emolab.workspace import Workspace
from tests.loop.monitor.test_audit_round import proposed, vote
from tests.support.encoders import put_encoder
from tests.support.said import (
    CLASSES,
    EACH,
    OTHER,
    USUAL,
    WORDS,
    Clock,
    SaidSite,
    came_in,
    said,
    workspace_of_sentences,
)

Made = Callable[..., SaidSite]
pytestmark = pytest.mark.slow
VOCABULARY = [*USUAL, *OTHER, *(word for words in WORDS.values() for word in words)]


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workspace_of_sentences(tmp_path_factory.mktemp("said") / "w").root


@pytest.fixture(scope="module")
def trained(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A workspace with a champion of that kind: ngrams, or an encoder that is frozen (head) or fine-tuned (full)."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            root = tmp_path_factory.mktemp(kind) / "w"
            shutil.copytree(merged, root)
            settings = []
            if kind != "ngrams":
                pytest.importorskip("transformers")
                folder = put_encoder(root.parent / "encoder", VOCABULARY)
                settings = [f"training.weights={folder}", f"training.mode={kind}", "training.epochs=2"]
            emolab.train(Workspace.open(root, overrides=settings))
            made[kind] = root
        return made[kind]

    return make


@pytest.fixture
def site(trained: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """Makes a copy of a trained workspace that was asked for some usual weeks."""
    clock = Clock()
    monkeypatch.setattr(served_columns, "time", clock)

    def make(weeks: int = 2, kind: str = "ngrams") -> SaidSite:
        root = tmp_path / "w"
        shutil.copytree(trained(kind), root)
        here = SaidSite(Workspace.open(root), clock)
        for _ in range(weeks):
            here.ask()
        return here

    yield make


def log_of(here: SaidSite) -> Path:
    return here.workspace.state / served_columns.FOLDER / here.model


@pytest.mark.parametrize("kind", ["ngrams", "head", "full"])
def test_quiet_weeks_are_quiet_and_a_change_is_an_alarm_whatever_the_model(site: Made, kind: str) -> None:
    here = site(3, kind)
    done = here.look()
    assert (done.outcome, done.new) == (QUIET, 3)
    assert {test.detector for test in done.looks[0].tests} == {
        "class_mix", "confidence", "embedding_mmd", "domain_classifier", "input_quality",
    }  # fmt: skip
    here.ask(said(EACH, 7, about=OTHER))
    changed = here.look()
    assert changed.outcome == ALARM
    assert {"embedding_mmd", "domain_classifier", "input_quality"} <= {
        alarm.key.split(":")[-1] for alarm in changed.alarms
    }
    quality = next(alarm for alarm in changed.alarms if alarm.key.endswith("input_quality"))
    assert "share unknown other than 0 0.0% -> " in quality.words


@pytest.mark.parametrize(
    ("change", "detector", "words"),
    [
        (lambda: said(EACH, 8, mix=(1, 8, 1)), "class_mix", "anger 4"),
        (lambda: [text.upper() for text in said(EACH, 9)], "input_quality", "share of capitals median 0.0"),
        (lambda: [f"{text} [NAME] [NAME]" for text in said(EACH, 10)], "input_quality", "share masked other than 0"),
    ],
)
def test_a_planted_change_is_named_by_what_sees_it(
    site: Made, change: Callable[[], Sequence[str]], detector: str, words: str
) -> None:
    here = site(1)
    assert here.look().outcome == QUIET
    here.ask(change())
    done = here.look()
    assert done.outcome == ALARM
    alarm = next(alarm for alarm in done.alarms if alarm.key == f"drift:{here.model}:{detector}")
    assert words in alarm.words


@pytest.mark.parametrize("kind", ["ngrams", "full"])
def test_the_log_has_what_was_answered_with_all_labels_and_no_warming_up(site: Made, kind: str) -> None:
    here = site(0, kind)
    texts = [*said(40, 3), "Sarah was so glad!"]
    answers = here.ask(texts)
    found = served_log.read(log_of(here))
    model = own_model(here.workspace.root / "models" / here.model[:12]) or own_model(
        next(folder.parent for folder in here.workspace.models.glob("*/model.json"))
    )
    assert model is not None
    assert found.shape.quality == QUALITY
    assert found.shape.thresholds == tuple(model.thresholds.tolist())
    told = {tuple(np.round(one.faces[0].probs, 4).tolist()): one.faces[0] for one in answers}
    assert len(found.at) == len(texts)
    labels = multilabel.labels(found.probs, np.array(found.shape.thresholds))
    for row, said_of in zip(found.probs, labels, strict=True):
        names = told[tuple(np.round(row, 4).tolist())].labels
        assert names == tuple(name for name, yes in zip(CLASSES, said_of.tolist(), strict=True) if yes)
    masked = [f"{one.faces[0].sample}".encode() for one in answers]
    probs, features, _ = model.embedded(masked)
    order, logged = np.lexsort(probs.T), np.lexsort(found.probs.T)
    assert np.allclose(found.embeddings[logged], features[order], atol=2e-3)
    assert np.allclose(found.quality[logged], model.quality(masked)[order])
    assert found.quality[:, QUALITY.index("share masked")].max() == pytest.approx(0.25), "[NAME] was so glad!"


def test_what_is_said_of_samples_for_the_labelling_server_is_not_logged(site: Made) -> None:
    here = site(0)
    log = here.workspace.with_settings({"serve.log": True})
    service = open_service(log, "champion", config=log.config)
    reader = service.host.version.predictor.as_samples()
    assert next(reader.predict([("a.txt", b"so glad")])).faces[0].labels == ("happiness",)
    assert service.host.submit([("a.txt", b"\xff\xfe\x00")]).result(timeout=60).answers[0].error
    service.close()
    assert served_log.logged(here.workspace.state / served_columns.FOLDER) == []


def test_a_sample_is_shown_to_the_model_as_it_is_kept_and_one_that_cannot_be_read_is_not(
    site: Made, tmp_path: Path
) -> None:
    here = site(0)
    model = own_model(next(folder.parent for folder in here.workspace.models.glob("*/model.json")))
    assert model is not None
    shown = [b"Sarah was so glad!", b"\xff\xfe\x00", b"", b"glad " * 100_000]
    for number, data in enumerate(shown):
        (tmp_path / f"{number}.txt").write_bytes(data)
    seen = [LoggedOwn(model).seen(tmp_path / f"{number}.txt", max_pixels=1) for number in range(5)]
    assert seen[0] is not None
    assert seen[0].tobytes() == shown[0], "kept without masks, where the settings say so"
    assert seen[1:] == [None] * 4


def test_labels_are_counted_each_by_itself_and_the_accuracy_is_that_of_the_likeliest(site: Made) -> None:
    here = site(1)
    done = here.look()
    assert done.newest is not None
    seen = done.newest.seen
    assert seen["labels"] == pytest.approx(sum(seen["classes"].values()), abs=1e-3)
    assert seen["labels"] > 1.1
    reference = watch_reference.kept(here.workspace, here.model)
    assert reference is not None
    assert reference.judged is not None
    assert reference.truth.shape == (len(reference.judged), 3)
    assert (reference.truth.sum(axis=1) > 1).mean() == pytest.approx(0.25, abs=0.08)
    best = reference.judged.probs.argmax(axis=1)
    assert done.judged == float((reference.truth[np.arange(len(best)), best] == 1).mean())
    assert "accuracy is how often the likeliest class is one of the labels of a sample" in done.notes
    assert done.newest.estimate is not None
    assert abs(done.newest.estimate.accuracy - done.judged) < 0.05
    page = Path(str(done.report)).read_text(encoding="utf-8")
    assert "Share of the samples that have each label" in page
    assert "Share of capitals" in page


def test_neither_log_nor_looks_nor_reference_hold_a_word_of_a_sentence(site: Made) -> None:
    here = site(1)
    here.ask(said(EACH, 7, about=OTHER))
    assert here.look().outcome == ALARM
    kept = [
        file
        for folder in (here.workspace.state / "served", here.workspace.state / "monitor")
        for file in folder.rglob("*")
        if file.is_file()
    ]
    assert len(kept) > 15
    for file in kept:
        data = file.read_bytes().lower()
        assert [word for word in VOCABULARY if word.encode() in data] == [], file
    assert not any(file.stat().st_mode & 0o077 for file in log_of(here).rglob("*.bin"))
    assert not log_of(here).stat().st_mode & 0o077


def test_the_page_shows_sentences_that_came_in_as_small_drawings_and_forgetting_one_takes_it_away(site: Made) -> None:
    here = site(1)
    here.look()
    here.ask(said(EACH, 7, about=OTHER))
    new = came_in(here.workspace, said(30, 70, about=OTHER), 1)
    done = here.look()
    page = Path(str(done.report))
    assert "data:image/svg+xml;base64," in page.read_text(encoding="utf-8")
    shown = json.loads((page.parent / f"{PAGE}.samples.json").read_text())
    assert set(shown) & set(new)
    view = monitor_view(here.workspace, serving=here.model, logging=True)
    assert view.state == "looks"
    assert view.moved is not None
    assert {one["sample"] for one in view.moved["loudest"]} <= set(new)
    emolab.forget(here.workspace, ids=[view.moved["loudest"][0]["sample"]])
    assert not page.exists()


def test_the_rows_of_the_forgotten_go_and_who_may_not_judge_is_not_compared_with(site: Made) -> None:
    here = site(1)
    with here.workspace.catalog() as catalog, catalog.connect() as conn:
        valid = [one.id for one in samples.iterate(conn, split="valid")]
    emolab.end_consent(here.workspace, ids=valid[:4])
    here.look()
    before = watch_reference.kept(here.workspace, here.model)
    assert before is not None
    assert set(before.ids) == set(valid[4:])
    gone = [*before.ids[:5]]
    done = emolab.forget(here.workspace, ids=gone)
    assert done.holders["references of the monitor"] == (10, "10 rows")
    after = watch_reference.kept(here.workspace, here.model)
    assert after is not None
    assert after.ids == before.ids[5:]
    assert np.array_equal(after.seen.embeddings, before.seen.embeddings[5:])
    assert after.seen.thresholds == before.seen.thresholds
    assert after.truth.shape == (len(after.judged_ids), 3)
    assert np.array_equal(after.truth, before.truth[5:])
    here.ask()
    assert here.look().new == 1
    assert reference_samples.count(look_record.home(here.workspace, here.model), gone) == 0


@pytest.mark.parametrize("kind", ["ngrams", "head"])
def test_a_round_from_drift_has_sentences_that_look_like_what_moved(site: Made, kind: str) -> None:
    here = site(1, kind)
    here.look()
    here.ask(said(EACH, 7, about=OTHER))
    assert here.look().outcome == ALARM
    like = came_in(here.workspace, said(20, 71, about=OTHER), 1)
    came_in(here.workspace, said(40, 72), 1)
    made = suggest_from_drift(here.workspace, n=12)
    chosen = [one.sample_id for one in made.suggestions]
    assert len(chosen) == 12
    assert sum(one in like for one in chosen) >= 11


@pytest.mark.parametrize("wrong", [False, True])
def test_an_audit_counts_an_answer_right_where_it_is_one_of_several_labels(site: Made, *, wrong: bool) -> None:
    here = site(1)
    team = {"cycle.push": False, "labeling.votes": "1", "labeling.aggregator": "soft"}
    workspace = here.workspace = here.workspace.with_settings(team)
    texts = list(dict.fromkeys(said(80, 73)))
    ids = came_in(workspace, texts, 0)
    here.look()
    asked = proposed(workspace, audit(workspace, n=40).round)
    model = own_model(next(folder.parent for folder in workspace.models.glob("*/model.json")))
    assert model is not None
    by_id = dict(zip(ids, model.answers([text.encode() for text in texts])[0].argmax(axis=1).tolist(), strict=True))
    likeliest = {one: CLASSES[by_id[one]] for one in asked}
    other = {one: CLASSES[(by_id[one] + 1) % 3] for one in asked}
    vote(workspace, other, "ann")
    vote(workspace, other if wrong else likeliest, "bob")
    done = here.look()
    assert done.newest is not None
    found = done.newest.audit
    assert found is not None
    assert (found.n, found.accuracy) == (40, 0.0 if wrong else 1.0)
    assert done.outcome == (ALARM if wrong else QUIET)


def test_rows_that_a_crash_cut_off_or_left_empty_are_not_counted(site: Made) -> None:
    here = site(2)
    day = sorted(path for path in log_of(here).iterdir() if path.is_dir())[-1]
    embeddings, probs = next(day.glob("*.embeddings.bin")), next(day.glob("*.probs.bin"))
    row = embeddings.stat().st_size // EACH
    embeddings.write_bytes(embeddings.read_bytes()[: -3 * row - 1])
    data = probs.read_bytes()
    probs.write_bytes(bytes(len(data) // EACH * 5) + data[len(data) // EACH * 5 :])
    done = here.look()
    assert done.outcome == QUIET
    assert "4 answers of the log lack a column (a crash, or a damaged file)" in done.notes
    assert done.newest is not None
    assert any("5 answers of the log hold values that are none: not counted" in note for note in done.newest.notes)
    assert done.newest.tests[0].n == EACH - 4 - 5


def test_a_log_with_other_columns_ends_with_one_line_and_a_reference_without_them_asks_for_a_new_watch(
    site: Made,
) -> None:
    here = site(1)
    here.look()
    about = log_of(here) / "about.json"
    told = json.loads(about.read_text())
    about.write_text(json.dumps({**told, "quality": told["quality"][:-1]}))
    warned: list[str] = []

    class Told(emolab.progress.Progress):
        def warn(self, message: str) -> None:
            warned.append(message)

    log = here.workspace.with_settings({"serve.log": True})
    service = open_service(log, "champion", config=log.config, progress=Told())
    assert service.host.submit([("a.txt", b"so glad")]).result(timeout=60).answers[0].faces
    service.close()
    assert warned[0].startswith("The log of what is served ends here: The log ")
    assert "has other columns than this model gives. Move it away: mv " in warned[0]
    home = look_record.home(here.workspace, here.model)
    kept = json.loads((home / watch_reference.FILE).read_text())
    assert kept.pop("thresholds")
    (home / watch_reference.FILE).write_text(json.dumps(kept))
    about.write_text(json.dumps(told))
    here.ask()
    with pytest.raises(DataError, match="not of the reference's model: other classes or columns"):
        here.look()


def test_the_commands_go_through_and_say_what_is_missing(site: Made, capsys: pytest.CaptureFixture[str]) -> None:
    here = site(0)
    root = str(here.workspace.root)
    assert run(["-w", root, "monitor"]) == 1
    said_of = " ".join(capsys.readouterr().err.split())
    assert "has been logged. fix: Switch the log on in emolab.toml ([serve], log = true)" in said_of
    here.ask()
    here.ask([text.upper() for text in said(EACH, 9)])
    assert run(["-w", root, "monitor"]) == 3
    assert "share of capitals median" in " ".join(capsys.readouterr().err.split())
    came_in(here.workspace, said(30, 74), 1)
    assert run(["-w", root, "suggest", "--from-drift", "-n", "5", "--json"]) in (0, 1)
    capsys.readouterr()
    assert run(["-w", root, "monitor", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["looks"][-1]["seen"]["labels"] > 1
