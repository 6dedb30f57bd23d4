"""A search for settings: on training samples alone, the same by the same seed, and nothing twice after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text as sql

import emolab
from emolab.catalog import samples
from emolab.config import Config
from emolab.errors import ConfigError, DataError
from emolab.loop.model.tuning import tune as tuning
from emolab.loop.model.tuning import tune_scores, tune_search
from emolab.loop.model.tuning.tune_journal import JOURNAL, USED, TuneJournal
from emolab.loop.model.tuning.tune_material import CHOOSING, FRESH, folds, tune_material
from emolab.loop.model.tuning.tune_scores import HeldScore
from emolab.progress import SILENT
from emolab.workspace import Workspace
from tests.loop.test_text_workspace import goemotions
from tests.loop.test_text_workspace import run as call
from tests.support.heard import Heard
from tests.support.learnable import QUICK, configure, fill_workspace

CLASSES = ("happy", "sad", "neutral")
#: Samples, and combinations that are tried.
N, TRIALS = 140, 4


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of bars, a quarter of it held out for validation."""
    workspace = Workspace.init(tmp_path_factory.mktemp("tune") / "bars", classes=CLASSES)
    fill_workspace(workspace, N)
    configure(workspace, QUICK + "\ntensorboard = false\ntuning = false")
    emolab.aggregate(workspace)
    emolab.draw_splits(workspace, {"train": 0.75, "valid": 0.25})
    return workspace.root


@pytest.fixture
def workspace(bars: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(bars, tmp_path / "bars")
    return Workspace.open(tmp_path / "bars")


@pytest.fixture(scope="module")
def whole(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> tuning.TunedSettings:
    """What a search comes to that nobody stopped."""
    place = tmp_path_factory.mktemp("whole") / "bars"
    shutil.copytree(bars, place)
    return emolab.tune(Workspace.open(place), minutes=60, trials=TRIALS, seed=1)


def choice(found: tuning.TunedSettings) -> dict[str, Any]:
    """All of ``found`` but times and places."""
    told = found.to_dict()
    for key in ("seconds", "folder", "report", "budget_s", "wrote"):
        told.pop(key)
    for one in told["tried"]:
        one.pop("seconds")
    return told


def test_folds_hold_whole_groups_and_classes_alike() -> None:
    rng = np.random.default_rng(0)
    units = rng.integers(0, 60, 600)
    hard = rng.integers(0, 3, 600)
    found = folds(hard, units, seed=0)
    assert all(len(np.unique(found[units == unit])) == 1 for unit in np.unique(units))
    sizes = np.bincount(found, minlength=CHOOSING + FRESH) / 600
    assert sizes[:CHOOSING] == pytest.approx([0.7 / 3] * CHOOSING, abs=0.05)
    assert sizes[CHOOSING:] == pytest.approx([0.1] * FRESH, abs=0.05)
    shares = [np.bincount(hard[found == fold], minlength=3) / (found == fold).sum() for fold in range(6)]
    assert np.abs(np.array(shares) - np.bincount(hard) / 600).max() < 0.25
    with pytest.raises(DataError, match="are of 5 groups"):
        folds(hard[:20], np.arange(20) % 5, seed=0)


def test_no_sample_judges_afresh_that_took_part_in_the_choice(workspace: Workspace) -> None:
    material = tune_material(workspace, seed=0, progress=SILENT)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        splits = {sample.id: sample.split for sample in samples.iterate(conn)}
    assert {splits[name] for name in material.data.ids} == {"train"}
    chose = {row for fold in range(CHOOSING) for row in [*material.learned(fold), *material.held(fold)]}
    fresh = {row for fold in range(CHOOSING, CHOOSING + FRESH) for row in material.held(fold)}
    assert not chose & fresh
    assert len(chose) + len(fresh) == len(material.data.ids)
    for fold in range(CHOOSING + FRESH):
        learn, epoch = material.epoch_part(material.learned(fold))
        parts = [set(material.units[rows].tolist()) for rows in (learn, epoch, material.held(fold))]
        assert sum(map(len, parts)) == len(set.union(*parts))
    assert len(material.learned(3, 0.5)) == pytest.approx(len(material.learned(3)) / 2, abs=2)


@pytest.mark.slow
def test_a_search_says_what_it_bought_and_writes_a_page(whole: tuning.TunedSettings) -> None:
    assert whole.outcome in (tuning.BETTER, tuning.PERHAPS, tuning.NO_BETTER, tuning.KEPT)
    assert len(whole.tried) == TRIALS + 1
    assert {one["trial"] for one in whole.tried} == set(range(TRIALS + 1))
    assert whole.tried[0]["rung"] == 3
    assert sum(one["rung"] == 1 for one in whole.tried) >= 2  # given up early
    assert next(one for one in whole.tried if one["trial"] == 0)["settings"] == {}
    if whole.fresh:
        assert whole.fresh["accuracy"]["folds"] == FRESH
        assert whole.fresh["accuracy"]["n"] == whole.samples["judge_afresh"]
        for one in whole.fresh.values():
            assert one["difference"] == one["best"] - one["default"]
            assert one["low"] <= one["difference"] <= one["high"], "both are of all samples together"
    page = whole.report.read_text(encoding="utf-8")
    assert whole.reason in page
    assert "Samples of valid, test and holdout were not looked at." in page or not whole.fresh
    assert "tried" in whole._repr_html_().lower()


@pytest.mark.slow
def test_what_validation_samples_hold_changes_nothing(workspace: Workspace, whole: tuning.TunedSettings) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        held = [sample for sample in samples.iterate(tx) if sample.split == "valid"]
        for sample in held:
            workspace.locate(sample.media).write_bytes(b"poison")
        names = ", ".join(f"'{sample.id}'" for sample in held)
        changed = tx.execute(
            sql(f"update votes set label = 'sad' where sample in (select pk from samples where id in ({names}))")
        )
    assert changed.rowcount == 2 * len(held) > 50
    emolab.aggregate(workspace)
    assert choice(emolab.tune(workspace, minutes=60, trials=TRIALS, seed=1)) == choice(whole)


@pytest.mark.slow
def test_a_search_killed_again_and_again_comes_to_the_same_and_counts_its_time(
    workspace: Workspace, whole: tuning.TunedSettings
) -> None:
    words = [sys.executable, "-m", "emolab", "-w", str(workspace.root), "tune", "--minutes", "60", "--seed", "1"]
    words += ["--trials", str(TRIALS), "--json"]
    journals = workspace.state / "tunings"
    kills, rng, used = 0, np.random.default_rng(0), 0.0
    while True:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        lines = sum(len(file.read_bytes().splitlines()) for file in journals.glob(f"*/{JOURNAL}"))
        deadline = time.monotonic() + 300
        while kills < 3 and process.poll() is None and time.monotonic() < deadline:
            now = sum(len(file.read_bytes().splitlines()) for file in journals.glob(f"*/{JOURNAL}"))
            if now >= lines + 1 + kills % 3:
                time.sleep(float(rng.uniform(0, 0.2)))  # somewhere within the next training
                process.send_signal(signal.SIGKILL)
            time.sleep(0.01)
        out, _ = process.communicate(timeout=300)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
        for file in journals.glob(f"*/{USED}"):
            assert json.loads(file.read_text())["seconds"] >= used
            used = json.loads(file.read_text())["seconds"]
    assert kills == 3
    told = json.loads(out)
    assert told["seconds"] > used
    assert told["trainings"] == whole.trainings
    keep = ("outcome", "settings", "fresh", "samples")
    assert {key: told[key] for key in keep} == {key: choice(whole)[key] for key in keep}
    (folder,) = journals.iterdir()
    fits = TuneJournal.open(folder).fits
    keys = [(fit["trial"], fit["fold"], fit["share"]) for fit in fits]
    assert len(keys) == len(set(keys)) == whole.trainings


@pytest.mark.slow
def test_the_budget_holds_over_calls_and_more_of_it_goes_on(workspace: Workspace) -> None:
    none = emolab.tune(workspace, minutes=1e-9, trials=2)
    assert (none.outcome, none.trainings, none.settings) == (tuning.UNFINISHED, 0, {})
    assert "give it more minutes" in none.reason
    (none.folder / USED).write_text('{"seconds": 3600}')
    assert emolab.tune(workspace, minutes=100, trials=2).trainings == 0
    more = emolab.tune(workspace, minutes=1000, trials=2)
    assert more.folder == none.folder
    assert more.seconds >= 3600
    assert more.trainings > 0
    (more.folder / USED).write_text('{"seconds": 999999}')
    assert emolab.tune(workspace, minutes=1000, trials=2).trainings == more.trainings


@pytest.mark.slow
def test_fewer_trials_than_were_tried_before_change_nothing(whole: tuning.TunedSettings) -> None:
    again = emolab.tune(Workspace.open(whole.folder.parents[2]), minutes=60, trials=1, seed=1)
    assert choice(again) == choice(whole)


@pytest.mark.parametrize("overhead", [0.0, 0.2])
@pytest.mark.parametrize("budget", [0.5, 1, 2, 3, 5, 8, 12, 20, 40])
def test_no_training_begins_that_the_budget_has_no_time_for(
    overhead: float, budget: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole training takes 1 and the ``overhead``; a clock that only trainings move."""
    clock = SimpleNamespace(used=0.0)
    rng = np.random.default_rng(3)

    def learn(*_: object, share: float, **__: object) -> None:
        clock.used += (overhead + share) * rng.uniform(0.9, 1.1)

    def scored(*_: object) -> HeldScore:
        return HeldScore(rng.random(), {"accuracy": 0.5, "macro_f1": 0.5, "nll": 1.0}, np.ones((1, 2), np.float32))

    monkeypatch.setattr(tune_search, "try_out", learn)
    monkeypatch.setattr(tune_search, "whole_share", lambda *_: False)
    monkeypatch.setattr(tune_scores, "score", scored)
    search = tune_search.TuneSearch(
        workspace=Workspace(tmp_path, Config()), material=SimpleNamespace(learned=lambda _: range(100)),
        trials=[{}] * 200, most=200, journal=TuneJournal.open(tmp_path), clock=clock, budget=budget, progress=SILENT,
    )  # type: ignore[arg-type]  # fmt: skip
    search.choose()
    search.judge()
    unseen = 2.2 * (overhead + 1 / 9)
    assert clock.used <= max(1.15 * budget, unseen)
    assert search.winner() is not None or budget < 12


@pytest.mark.slow
def test_settings_are_not_written_beside_others_than_they_were_tried_with(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = workspace.root / "emolab.toml"
    real = tune_search.TuneSearch.judge

    def meanwhile(search: tune_search.TuneSearch) -> int | None:
        file.write_text(changed, encoding="utf-8")
        return real(search)

    monkeypatch.setattr(tune_search.TuneSearch, "judge", meanwhile)
    monkeypatch.setattr(tuning, "_outcome", lambda *_: (tuning.BETTER, "chance"))
    before = file.read_text(encoding="utf-8")
    for changed, said in (
        (before.replace('backbone = "tiny"', 'backbone = "default"'), "was changed while the search ran"),
        (before + "[training", "cannot be changed"),
        (before + "\n# by ann\n[serve]\nport = 9000\n", None),
    ):
        file.write_text(before, encoding="utf-8")
        heard = Heard()
        found = tuning.tune(workspace, minutes=60, trials=2, seed=4, write=True, progress=heard)
        assert found.report.is_file()
        if said is None:
            assert found.wrote == file
            assert "# by ann" in file.read_text(encoding="utf-8")
        else:
            assert found.wrote is None
            assert file.read_text(encoding="utf-8") == changed
            assert any(said in line for line in heard.warnings)


def test_a_torn_line_counts_as_not_written_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    journal = TuneJournal.open(tmp_path)
    journal.write({"trial": 0, "fold": 0, "share": 1.0, "loss": 0.5})
    file = tmp_path / JOURNAL
    file.write_bytes(file.read_bytes() + b'{"trial": 1, "fo')
    again = TuneJournal.open(tmp_path)
    assert len(again.fits) == 1
    again.write({"trial": 2, "fold": 0, "share": 1.0, "loss": 0.5})
    assert [fit["trial"] for fit in TuneJournal.open(tmp_path).fits] == [0, 2]
    file.write_bytes(b"oops}\n" + file.read_bytes())
    with pytest.raises(DataError, match=r"Line 1 of .* is damaged"):
        TuneJournal.open(tmp_path)


@pytest.mark.slow
def test_the_best_settings_are_written_only_where_they_proved_better(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hardly anything is learned when nearly all features are dropped, so that everything that is drawn is better."""
    slow = workspace.with_settings({"training.dropout": 0.95, "training.epochs": 9})
    found = emolab.tune(slow, minutes=60, trials=4, seed=2, write=True)
    assert found.outcome in (tuning.BETTER, tuning.PERHAPS)
    assert found.wrote == workspace.root / "emolab.toml"
    written = tomllib.loads(found.wrote.read_text(encoding="utf-8"))["training"]
    assert {f"training.{key}": value for key, value in written.items()}.items() >= found.settings.items()
    assert written["backbone"] == "tiny"
    before = found.wrote.read_text(encoding="utf-8")
    monkeypatch.setattr(tuning, "_outcome", lambda *_: (tuning.NO_BETTER, "chance"))
    assert emolab.tune(slow, minutes=60, trials=4, seed=2, write=True).wrote is None
    assert found.wrote.read_text(encoding="utf-8") == before


@pytest.mark.slow
def test_sentences_are_searched_by_what_their_models_heed(tmp_path: Path) -> None:
    call("init", tmp_path / "ws", "--modality", "text", "--classes", "happiness,anger,fear")
    call("-w", tmp_path / "ws", "merge", "goemotions", goemotions(tmp_path / "data"))
    found = emolab.tune(emolab.open(tmp_path / "ws"), minutes=60, trials=3)
    assert len(found.tried) == 4
    assert all(one["settings"].keys() == {"training.weight_decay"} for one in found.tried if one["trial"])
    with pytest.raises(ConfigError, match="need a penalty above 0"):
        emolab.train(emolab.open(tmp_path / "ws", settings={"training.weight_decay": 0}))


@pytest.mark.slow
def test_what_the_start_has_learned_judges_nothing(workspace: Workspace) -> None:
    emolab.train(workspace)
    with pytest.raises(DataError, match="learned by the network that the training starts from") as raised:
        emolab.tune(workspace.with_settings({"training.weights": "champion"}), minutes=1)
    assert "training.weights=default" in str(raised.value.hint)
    with pytest.raises(ConfigError, match="Teachers"):
        emolab.tune(workspace.with_settings({"training.teacher": "champion"}), minutes=1)


@pytest.mark.slow
def test_ctrl_c_leaves_a_search_that_goes_on(workspace: Workspace) -> None:
    words = [sys.executable, "-m", "emolab", "-w", str(workspace.root), "tune", "--trials", "2", "--json"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    deadline = time.monotonic() + 300
    while not any((workspace.state / "tunings").glob(f"*/{JOURNAL}")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "run the same command again to go on" in said
    found = emolab.tune(workspace, trials=2)
    assert len(found.tried) == 3
