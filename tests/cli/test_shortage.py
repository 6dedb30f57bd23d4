"""Whoever merges or trains with too little to learn from is told so, by class, with what to do about it."""

from __future__ import annotations

import doctest
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emolab.loop.model import shortage
from emolab.loop.model.shortage import before_training
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure
from tests.support.pictures import png, put
from tests.support.sounds import sound_file, voice

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]
WIDE = {"COLUMNS": "250"}


def dataset(folder: Path, *, first: int = 0, **counts: int) -> str:
    """An image folder with so many different pictures per class."""
    seeds = iter(range(first, first + sum(counts.values())))
    files = {f"{name}/{seed}.png": png(seed) for name, n in counts.items() for seed in [next(seeds) for _ in range(n)]}
    return str(put(folder, files))


def test_a_merge_of_sentences_and_clips_speaks_of_them(tmp_path: Path, run_cli: RunCli) -> None:
    for modality, suffix, noun, files in (
        ("text", "txt", "sentence", [b"So glad.", b"Oh no."]),
        ("audio", "wav", "clip", [sound_file(voice(2, seed=n)) for n in range(2)]),
    ):
        workspace = Workspace.init(tmp_path / modality, classes=("happiness", "sadness"), modality=modality)
        rows = ["path,label"]
        for name, data in zip(("happiness", "sadness"), files, strict=True):
            (tmp_path / f"{name}.{suffix}").write_bytes(data)
            rows.append(f"{name}.{suffix},{name}")
        (tmp_path / f"{modality}.csv").write_text("\n".join(rows))
        done = run_cli("merge", "csv", str(tmp_path / f"{modality}.csv"), cwd=workspace.root, env=WIDE)
        assert done.returncode == 0, done.stderr
        assert f"{noun}s in the dataset" in done.stderr and "2" in done.stderr
        assert "image" not in done.stderr


def test_the_examples_hold() -> None:
    assert doctest.testmod(shortage).failed == 0


def test_classes_without_or_with_few_training_samples_are_named() -> None:
    rows = [("happy", 400, 90), ("sad", 3, 1), ("fear", 0, 0), ("anger", 0, 4)]
    said = before_training([{"class": name, "train": train, "valid": valid} for name, train, valid in rows])
    assert said == [
        "No training samples of fear, anger (4 held out): the model cannot learn them.",
        "Fewer than 10 training samples of sad (3, 1 held out): the model will hardly learn it.",
    ]
    assert before_training(
        [{"class": "happy", "train": 12, "valid": 60}, {"class": "sad", "train": 10, "valid": 9}]
    ) == ["Only 22 samples to train on, and 69 are held out to judge the model."]
    assert before_training([{"class": name, "train": 10, "valid": 2} for name in ("happy", "sad")]) == []


@pytest.mark.slow
def test_a_validation_set_merged_alone_is_never_trained_on_and_says_so(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    held = dataset(tmp_path / "held", happy=3, sad=2)
    command = ["merge", "image_folder", held, "--split", "valid"]
    dry = run_cli(*command, "--dry-run", cwd=workspace.root, env=WIDE, check=True).stderr
    nothing = "! Nothing of held is left to train on: all 5 images are held out (happiness 3, sadness 2)."
    assert nothing in dry
    assert "Merge its training set too, or use --split train.\n" in dry
    assert "next: the same without --dry-run" in dry
    done = run_cli(*command, cwd=workspace.root, env=WIDE, check=True).stderr
    assert nothing in done
    assert "Merge its training set too, or use --split train in a new workspace: samples keep the split they" in done
    assert "next: emolab merge image_folder PATH, with the training set" in done
    pytest.importorskip("torch", reason="emolab train needs torch")
    refused = run_cli("train", cwd=workspace.root, env=WIDE)
    assert refused.returncode == 1
    assert (
        "error: None of 5 labelled samples left to train on; at least 2 are needed. "
        "Held out: happiness 3, sadness 2.\n"
        "  fix: Merge a training set too (in a new workspace, emolab merge --split train takes all of a dataset), "
        'or label more samples with "emolab label push".'
    ) in refused.stderr

    train = dataset(tmp_path / "train", first=50, happy=12, sad=12)
    run_cli("merge", "image_folder", train, "--split", "train", cwd=workspace.root, check=True)
    again = run_cli(*command, cwd=workspace.root, env=WIDE, check=True).stderr
    assert "! " not in again
    assert "next: emolab label aggregate" in again


@pytest.mark.slow
def test_classes_of_which_little_is_left_are_named_at_the_merge_and_before_training(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    path = dataset(tmp_path / "few", happy=40, sad=2)
    done = run_cli("merge", "image_folder", path, "--split", "train", cwd=workspace.root, env=WIDE, check=True)
    assert "! Little or nothing of few to train on for sadness (2)." in done.stderr
    told = run_cli("merge", "image_folder", path, "--split", "train", "--json", cwd=workspace.root, check=True)
    found = json.loads(told.stdout)
    assert found["left"] == {"happiness": {"train": 40, "held_out": 0}, "sadness": {"train": 2, "held_out": 0}}
    assert found["train_elsewhere"] == 0
    pytest.importorskip("torch", reason="emolab train needs torch")
    configure(workspace, QUICK + "\ntensorboard = false")
    trained = run_cli("train", cwd=workspace.root, env={**WIDE, "OMP_NUM_THREADS": "1"}, check=True).stderr
    assert "! No training samples of neutral: the model cannot learn it." in trained
    assert "! Fewer than 10 training samples of sadness (" in trained


def test_one_class_alone_is_nothing_to_learn(workspace: Workspace, tmp_path: Path, run_cli: RunCli) -> None:
    pytest.importorskip("torch", reason="emolab train needs torch")
    run_cli("merge", "image_folder", dataset(tmp_path / "one", happy=6), cwd=workspace.root, check=True)
    refused = run_cli("train", cwd=workspace.root, env=WIDE)
    assert refused.returncode == 1
    assert "samples to train on are of one class, happiness" in refused.stderr
    assert 'fix: Label others with "emolab label push", or merge a training set that has them' in refused.stderr
