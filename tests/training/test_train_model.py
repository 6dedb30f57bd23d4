"""From votes to a model through the commands: train, go on, compare, evaluate, predict, promote."""

from __future__ import annotations

import csv
import doctest
import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emolab.catalog import models, samples, votes
from emolab.cli.main import run
from emolab.datasets.merge.merge import merge
from emolab.errors import DataError, EmolabError
from emolab.inference import model_document
from emolab.loop.model.train import train
from emolab.progress import Progress, Task
from emolab.records import Vote
from emolab.taxonomy import PRESETS
from emolab.training import checkpoint
from emolab.training.judging import report
from emolab.training.predict import load, predict_pool
from emolab.training.runs import runs
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, bars, configure, fill_workspace, png

Command = Callable[..., Any]


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """A workspace with 48 labelled bar images and settings that train within seconds."""
    fill_workspace(workspace)
    return configure(workspace, QUICK + "\ntensorboard = false")


@pytest.fixture
def emolab(ready: Workspace, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in ``ready``; its JSON, or (exit code, stdout, stderr) with ``raw=True``."""

    def call(*arguments: str, raw: bool = False) -> Any:
        capsys.readouterr()
        code = run(["-w", str(ready.root), *arguments, *(() if raw else ("--json",))])
        out, err = capsys.readouterr()
        if raw:
            return code, out, err
        assert code == 0, err
        return json.loads(out)

    return call


class StopAfter(Progress):
    """Interrupts training after so many steps, as Ctrl-C does."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def task(self, description: str, total: int | None = None, *, unit: str = "") -> Task:
        outer = self

        class Counting(Task):
            def advance(self, n: int = 1) -> None:
                if description == "Training":
                    outer.left -= n
                    if outer.left < 0:
                        raise KeyboardInterrupt

        return Counting()


@pytest.mark.slow
def test_train_gives_a_champion_with_metrics_splits_snapshot_and_report(ready: Workspace, emolab: Command) -> None:
    found = emolab("train", "--set", "training.epochs=8")
    assert (found["alias"], found["reason"]) == ("champion", "the first model")
    assert found["valid"]["accuracy"] >= 0.9
    assert {"n", "macro_f1", "nll", "ece", "brier", "per_class"} <= found["valid"].keys()
    assert found["n_train"] + found["valid"]["n"] == 48
    with ready.catalog() as catalog, catalog.connect() as conn:
        assert samples.count_by(conn, "split") == {"train": found["n_train"], "valid": found["valid"]["n"]}
        model = models.get(conn, "champion")
    assert model.id == found["model"]
    assert (ready.snapshots / model.snapshot[:16]).is_dir()
    assert runs.unfinished(ready) is None
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "How it learned" in page
    assert "Rows are the answer of the team, columns the model" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in page


@pytest.mark.slow
def test_the_report_of_a_model_on_a_dataset_names_the_dataset_and_not_a_team(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "w", classes=("happiness", "sadness"))
    images, truth = bars(40, 2, seed=4)
    for i, (image, label) in enumerate(zip(images, truth.tolist(), strict=True)):
        place = tmp_path / "open_faces" / ("happy", "sad")[label]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.png").write_bytes(png(image))
    merge(workspace, "image_folder", tmp_path / "open_faces")
    page = train(configure(workspace, QUICK + "\ntensorboard = false")).report.read_text(encoding="utf-8")
    assert "Rows are the answer of open_faces, columns the model" in page
    assert "the team" not in page
    assert doctest.testmod(report).failed == 0


@pytest.mark.slow
def test_the_same_labels_and_settings_give_the_same_model(ready: Workspace) -> None:
    first, second = train(ready).model, train(ready).model
    assert first.id == second.id
    with ready.catalog() as catalog, catalog.connect() as conn:
        assert len(models.list_all(conn)) == 1


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_goes_on_to_the_same_model(ready: Workspace, tmp_path: Path) -> None:
    whole = Workspace.init(tmp_path / "whole", classes=ready.config.project.classes)
    fill_workspace(whole)
    expected = train(configure(whole, QUICK + "\ntensorboard = false")).model
    with pytest.raises(KeyboardInterrupt):
        train(ready, progress=StopAfter(6))
    stopped = runs.unfinished(ready)
    assert stopped is not None
    assert stopped.epochs_done() == 1
    trained = train(ready, resume=True)
    assert trained.resumed_at == 1
    assert trained.model.id == expected.id


@pytest.mark.slow
def test_resume_uses_the_data_it_began_with(ready: Workspace) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(ready, progress=StopAfter(6))
    began = runs.unfinished(ready)
    fill_workspace(ready, 12, seed=9)
    trained = train(ready, resume=True)
    assert began is not None
    assert trained.model.snapshot == began.data.snapshot


def test_resume_without_an_unfinished_run_says_so(ready: Workspace) -> None:
    with pytest.raises(DataError, match=r"There is no unfinished run to go on with\. Start one with: emolab train"):
        train(ready, resume=True)


def test_two_trainings_at_once_do_not_collide(ready: Workspace) -> None:
    with ready.lock("train"), pytest.raises(EmolabError, match=r'Another emolab process .* is busy with "train"'):
        train(ready)


@pytest.mark.slow
def test_a_better_model_becomes_champion_and_a_worse_one_candidate(ready: Workspace, emolab: Command) -> None:
    bad = emolab("train", "--set", "training.epochs=1", "--set", "training.lr=1e-9", "--set", "training.average=0")
    good = emolab("train", "--set", "training.epochs=10")
    assert (bad["alias"], good["alias"]) == ("champion", "champion")
    assert re.match(r"macro-F1 \d\.\d+ against \d\.\d+ of \w{10} on the same \d+ samples", good["reason"])
    worse = emolab("train", "--set", "training.epochs=1", "--set", "training.lr=2e-9", "--set", "training.average=0")
    assert worse["alias"] == "candidate"
    listed = {row["id"]: row["aliases"] for row in emolab("models", "list")}
    assert listed[good["model"]] == ["champion"]
    assert listed[worse["model"]] == ["candidate"]
    assert emolab("models", "promote", worse["model"][:8])["before"] == good["model"]
    assert emolab("models", "show", "champion")["id"] == worse["model"]


@pytest.mark.slow
def test_a_model_promoted_while_another_is_judged_stays_champion(
    ready: Workspace, emolab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("--set", "training.epochs=1", "--set", "training.average=0", "--set")
    first = emolab("train", *settings, "training.lr=1e-9")
    second = emolab("train", *settings, "training.lr=2e-9")
    assert second["alias"] == "candidate"
    real = report.write

    def write(*arguments: Any, **options: Any) -> None:
        with ready.catalog() as catalog, catalog.begin() as tx:
            models.set_alias(tx, "champion", second["model"])
        real(*arguments, **options)

    monkeypatch.setattr(report, "write", write)
    better = emolab("train", "--set", "training.epochs=10")
    assert better["alias"] == "candidate"
    assert better["reason"].startswith(f"{second['model'][:10]} was made champion meanwhile, and stays; macro-F1")
    assert first["model"][:10] in better["reason"]
    assert emolab("models", "show", "champion")["id"] == second["model"]


def test_without_votes_the_error_says_what_to_do(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-w", str(workspace.root), "train"]) == 1
    assert 'Run "emolab label pull"' in capsys.readouterr().err


def test_lost_media_is_named(ready: Workspace) -> None:
    next(ready.media.iterdir()).unlink()
    with pytest.raises(DataError, match=r"1 of 48 media files is damaged:\n  .*\.png: is missing"):
        train(ready)


@pytest.mark.slow
def test_evaluate_on_a_split_agrees_with_training(emolab: Command) -> None:
    trained = emolab("train", "--set", "training.epochs=6")
    found = emolab("evaluate", "champion", "--on", "valid")
    for key in ("n", "accuracy", "macro_f1"):
        assert found[key] == pytest.approx(trained["valid"][key])
    assert found["nll"] == pytest.approx(trained["valid"]["nll"], rel=1e-3)
    assert found["protocol"].startswith("valid samples of this workspace")
    assert emolab("evaluate", trained["path"] and trained["model"][:10], "--on", "train")["n"] == trained["n_train"]


@pytest.mark.slow
def test_evaluate_takes_a_folder_of_classes_and_a_checkpoint_folder(
    ready: Workspace, emolab: Command, tmp_path: Path
) -> None:
    trained = emolab("train", "--set", "training.epochs=8")
    classes = ready.config.project.classes
    images, truth = bars(12, 3, seed=5)
    for i, (image, label) in enumerate(zip(images, truth, strict=True)):
        folder = tmp_path / "set" / classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.png").write_bytes(png(image))
    (tmp_path / "set" / classes[0] / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    found = emolab("evaluate", str(ready.root / trained["path"]), "--on", f"image_folder:{tmp_path / 'set'}")
    assert found["accuracy"] >= 0.9
    assert found["n"] + found["unreadable"] == found["n"] + 1 == 13
    assert "broken.png" in found["errors"][0]


def test_evaluate_explains_an_unknown_place(emolab: Command) -> None:
    code, _, err = emolab("evaluate", "champion", "--on", "validation", raw=True)
    assert code == 1
    assert 'Unknown split or dataset "validation". Did you mean "valid"?' in err


@pytest.mark.slow
def test_predict_answers_for_files_and_folders_and_names_the_broken_one(emolab: Command, tmp_path: Path) -> None:
    emolab("train", "--set", "training.epochs=8")
    tmp_path = tmp_path / "in"
    tmp_path.mkdir()
    images, truth = bars(6, 3, seed=7)
    for i, image in enumerate(images):
        (tmp_path / f"{i}.png").write_bytes(png(image))
    rows = emolab("predict", "champion", str(tmp_path))["predictions"]
    names = ("happiness", "sadness", "neutral")
    assert [row["label"] for row in rows] == [names[label] for label in truth]
    assert all(sum(row["probs"].values()) == pytest.approx(1.0, abs=1e-4) for row in rows)
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    code, out, err = emolab("predict", "champion", str(tmp_path), "--csv", raw=True)
    table = list(csv.DictReader(io.StringIO(out)))
    assert code == 1
    assert len(table) == 7
    assert [row["error"] != "" for row in table if row["file"].endswith("bad.jpg")] == [True]
    assert "1 of 7 files could not be classified" in err


@pytest.mark.slow
@pytest.mark.parametrize(("name", "near"), [("photo.png", 1e-5), ("photo.jpg", 0.01)])
def test_predict_prepares_a_photo_as_collect_and_training_do(
    name: str, near: float, ready: Workspace, emolab: Command, tmp_path: Path
) -> None:
    """A turned photo is stored upright by collect; predicting the file sees the same pixels.

    Collect has to encode a turned JPEG again, predict does not.
    """
    from emolab.modalities.image import media
    from emolab.modalities.image.decode import decode

    trained = emolab("train", "--set", "training.epochs=2")
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / name, exif=exif)
    predictor = load(ready.root / trained["path"])
    stored = media.read((tmp_path / name).read_bytes(), max_pixels=10**8).data
    expected = predictor.probabilities(decode(stored, predictor.checkpoint.preprocessing)[None])[0][0]
    row = emolab("predict", "champion", str(tmp_path / name))["predictions"][0]
    assert list(row["probs"].values()) == pytest.approx(expected.tolist(), abs=near)


@pytest.mark.slow
def test_predict_pool_computes_only_what_is_new(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from emolab.training import predict

    model = train(ready).model
    first = predict_pool(ready, model)
    assert (len(first.samples), first.probs.shape[1], first.embeddings.shape[1]) == (48, 3, 128)
    assert np.allclose(first.probs.sum(axis=1), 1, atol=1e-5)
    monkeypatch.setattr(predict, "load", lambda *a, **k: pytest.fail("nothing is new"))
    assert (predict_pool(ready, model).probs == first.probs).all()
    monkeypatch.undo()
    fill_workspace(ready, 9, seed=3)
    grown = predict_pool(ready, model)
    assert (len(grown.samples), len(set(grown.samples))) == (57, 57)
    assert (grown.probs[:48] == first.probs).all()


@pytest.mark.slow
def test_a_damaged_or_foreign_checkpoint_is_a_clear_error(ready: Workspace, tmp_path: Path) -> None:
    model = train(ready).model
    folder = ready.root / model.path
    weights = folder / checkpoint.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"model\.safetensors (is damaged|cannot be read)"):
        load(folder)
    (folder / model_document.DOCUMENT).write_text('{"format": "other"}', encoding="utf-8")
    with pytest.raises(DataError, match="is not a model this emolab knows"):
        load(folder)
    with pytest.raises(DataError, match=r"There is no model in .*no model\.json"):
        load(tmp_path)


@pytest.mark.slow
def test_one_subject_cannot_be_split_so_the_model_is_kept_uncalibrated(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_workspace(workspace, 20, group="one person")
    model = train(configure(workspace, QUICK + "\ntensorboard = false")).model
    assert model.metrics["valid"]["n"] == 0
    assert model_document.describe(workspace.root / model.path).temperature == 1.0
    assert run(["-w", str(workspace.root), "train"]) == 0
    assert "No validation samples, so nothing is measured" in capsys.readouterr().err
    assert run(["-w", str(workspace.root), "models"]) == 0


@pytest.mark.slow
def test_tensorboard_gets_the_curves(ready: Workspace) -> None:
    train(Workspace.find(ready.root, overrides=["training.tensorboard=true"]))
    assert list((ready.logs / "tensorboard").rglob("events.out.tfevents.*"))


@pytest.mark.slow
def test_kill_9_of_the_command_leaves_a_healthy_workspace_that_goes_on(ready: Workspace, emolab: Command) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "emolab", "-w", str(ready.root), "train", "--set", "training.epochs=200",
         "--set", "training.patience=0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        while process.poll() is None:
            unfinished = runs.unfinished(ready)
            if unfinished is not None and unfinished.epochs_done() >= 2:
                break
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    stopped = runs.unfinished(ready)
    assert stopped is not None
    assert 2 <= stopped.epochs_done() < 200
    assert emolab("status", raw=True)[0] == 0
    with ready.catalog() as catalog:
        assert catalog.problems() == []
    found = emolab("train", "--set", "training.epochs=3")
    assert found["alias"] == "champion"


@pytest.mark.slow
@pytest.mark.shared
def test_ferplus_is_judged_by_the_official_majority_protocol(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace.init(tmp_path / "eight", classes=PRESETS["ferplus8"])
    fill_workspace(workspace, 64)
    train(configure(workspace, QUICK + "\ntensorboard = false"))
    capsys.readouterr()
    spec = f"ferplus:{shared_data / 'ferplus_valid.zip'}"
    assert run(["-w", str(workspace.root), "evaluate", "champion", "--on", spec, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 3191
    assert found["protocol"].startswith("FER+ majority")
    assert {"accuracy", "macro_f1", "nll", "ece", "per_class", "protocol"} <= found.keys()
    assert [row["support"] for row in found["per_class"]] == [1180, 862, 411, 348, 289, 25, 60, 16]


@pytest.mark.parametrize(
    ("minutes", "words"), [(0.0, "1 second"), (0.03, "2 seconds"), (1.4, "84 seconds"), (82.94, "82.9 minutes")]
)
def test_the_report_tells_a_short_training_in_seconds(minutes: float, words: str) -> None:
    from emolab.training.judging import report

    assert report._lasted(minutes) == words


@pytest.mark.slow
def test_names_with_brackets_are_printed_as_they_are(ready: Workspace, emolab: Command, tmp_path: Path) -> None:
    """They are no markup: neither a style to swallow nor one that was never opened."""
    train(ready)
    folder = tmp_path / "in" / "d["
    folder.mkdir(parents=True)
    image = bars(1, 3)[0][0]
    for name in ("x].png", "a[red].png"):
        (folder / name).write_bytes(png(image))
    (tmp_path / "in" / "b[dim].jpg").write_bytes(b"no image")
    code, _, err = emolab("predict", "champion", str(tmp_path / "in"), raw=True)
    assert code == 1
    for name in ("d[/x].png", "d[/a[red].png", "b[dim].jpg"):
        assert name in err
    assert f"in {tmp_path / 'in'}/" in err.replace("\n", "")


@pytest.mark.slow
def test_a_long_path_is_not_cut_where_the_names_differ(ready: Workspace, emolab: Command, tmp_path: Path) -> None:
    train(ready)
    folder = tmp_path / ("deep" * 20)
    folder.mkdir()
    for i in range(2):
        (folder / f"picture-number-{i}.png").write_bytes(png(bars(2, 3)[0][i]))
    _, _, err = emolab("predict", "champion", str(folder), raw=True)
    assert "picture-number-0.png" in err
    assert "picture-number-1.png" in err


def test_the_shared_folder_of_names() -> None:
    from emolab.cli.ui import predict_table

    found = doctest.testmod(predict_table)
    assert (found.failed, found.attempted > 0) == (0, True)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("evaluate", "champion", "--on", "valid"), ("predict", "champion", ".emolab/media")])
def test_judging_computes_where_the_settings_say(ready: Workspace, emolab: Command, words: tuple[str, ...]) -> None:
    train(ready)
    file = ready.root / "emolab.toml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("[training]", '[training]\ndevice = "mps"'), encoding="utf-8"
    )
    words = tuple(str(ready.media) if word == ".emolab/media" else word for word in words)
    code, _, err = emolab(*words, raw=True)
    assert code == 1
    assert "The device is mps, but torch finds no Apple GPU." in err
    assert emolab(*words, "--device", "cpu", raw=True)[0] == 0


@pytest.mark.slow
def test_predict_takes_images_as_large_as_collect_does(ready: Workspace, emolab: Command) -> None:
    train(ready)
    file = next(ready.media.glob("*.png"))
    assert emolab("predict", "champion", str(file), raw=True)[0] == 0
    code, _, err = emolab("predict", "champion", str(file), "--set", "collect.max_pixels=100", raw=True)
    assert code == 1
    assert "1 of 1 files could not be classified" in err


@pytest.mark.slow
def test_evaluate_counts_the_samples_of_classes_the_model_does_not_know(ready: Workspace, emolab: Command) -> None:
    train(ready)
    before = emolab("evaluate", "champion", "--on", "valid")
    assert before["dropped"] == {}
    file = ready.root / "emolab.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('"neutral"]', '"neutral", "fear"]'), encoding="utf-8")
    with ready.catalog() as catalog, catalog.begin() as tx:
        held = [sample.id for sample in samples.iterate(tx, split="valid")]
        votes.append(tx, [
            Vote(sample_id=held[0], annotator=f"late{i}", label="fear", origin=f"test:late:{i}") for i in range(9)
        ])  # fmt: skip
    emolab("label", "aggregate")
    after = emolab("evaluate", "champion", "--on", "valid")
    assert after["dropped"] == {"unknown class fear": 1}
    assert after["n"] == before["n"] - 1
    _, _, err = emolab("evaluate", "champion", "--on", "valid", raw=True)
    assert "Left out: 1 of fear, which the model does not know." in " ".join(err.split())


@pytest.mark.slow
def test_evaluate_says_so_when_the_model_knows_none_of_todays_classes(ready: Workspace, emolab: Command) -> None:
    train(ready)
    file = ready.root / "emolab.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"happiness", "sadness", "neutral"', '"fear", "anger"'), encoding="utf-8")
    with ready.catalog() as catalog, catalog.begin() as tx:
        held = [sample.id for sample in samples.iterate(tx, split="valid")]
        votes.append(tx, [
            Vote(sample_id=sample, annotator="late", label="fear", origin=f"test:late:{sample}") for sample in held
        ])  # fmt: skip
    emolab("label", "aggregate")
    code, _, err = emolab("evaluate", "champion", "--on", "valid", raw=True)
    assert code == 1
    assert f"All {len(held)} samples of valid are of classes the model does not know: {len(held)} of fear." in err


@pytest.mark.slow
def test_a_full_disk_while_predicting_is_one_line(
    ready: Workspace, emolab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emolab.training import predict

    def full(*args: object, **options: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device", "pixels.u8")

    train(ready)
    monkeypatch.setattr(predict, "load", full)
    code, _, err = emolab("predict", "champion", str(ready.media), raw=True)
    assert code == 1
    assert err.startswith("error: The disk is full: pixels.u8 could not be written (No space left on device).")


def test_resume_refuses_settings_that_would_not_hold(emolab: Command) -> None:
    code, _, err = emolab("train", "--resume", "--set", "training.epochs=50", raw=True)
    assert code == 1
    assert "--set training.epochs=50 would change nothing." in err
    code, _, err = emolab("train", "--resume", "--set", "training.tensorboard=false", raw=True)
    assert "There is no unfinished run to go on with." in err
