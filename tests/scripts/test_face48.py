"""The script that makes face48, from two zips to a packed model, on a few dozen images and one epoch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from emolab.inference import model_document
from emolab.training import checkpoint
from scripts import face48
from tests.support.learnable import png
from tests.support.paths import ROOT
from tests.support.pictures import pack

CLASSES = 8


def split(path: Path, folder: str, n: int, *, seed: int) -> Path:
    """A zip of one FER+ split: n images of 48 pixels, image i brightest in one of eight stripes, which all ten saw."""
    rng = np.random.default_rng(seed)
    files: dict[str, str | bytes] = {}
    table = ""
    for i in range(n):
        image = rng.integers(0, 90, (48, 48, 1), dtype=np.uint8)
        image[6 * (i % CLASSES) : 6 * (i % CLASSES) + 6] = 230
        votes = [10 * (j == i % CLASSES) for j in range(CLASSES)] + [0, 0]
        table += f'fer{seed}{i:05d}.png,"(0, 0, 48, 48)",{",".join(map(str, votes))}\n'
        files[f"{folder}/fer{seed}{i:05d}.png"] = png(image)
    return pack(path, {f"{folder}/label.csv": table, **files})


@pytest.mark.slow
def test_face48_is_made_by_one_command_and_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = split(tmp_path / "train.zip", "FER2013Train", 48, seed=1)
    valid = split(tmp_path / "valid.zip", "FER2013Valid", 24, seed=2)
    workspace, out = tmp_path / "ws", tmp_path / "out"

    monkeypatch.chdir(tmp_path)
    words = ["--train", str(train), "--valid", str(valid), "--epochs", "1", "--second-epochs", "2"]
    words += ["--workspace", str(workspace), "--out", str(out)]

    done = subprocess.run(
        [sys.executable, "-m", "scripts.face48", *words], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    made = model_document.describe(out)
    plans = [(one.plan, one) for one in map(model_document.describe, workspace.glob(".emolab/models/*/"))]
    told = sorted((plan["seed"], plan["weights"] == "none", bool(plan["teacher"])) for plan, _ in plans)
    assert told == [(1, False, False), (1, True, False), (2, False, True), (2, True, False)]
    (kept,) = [one for plan, one in plans if plan["teacher"]]
    (teacher,) = [one for plan, one in plans if plan["seed"] == 1 and plan["weights"] != "none"]
    assert kept.plan["teacher"] == teacher.id
    assert (made.plan, made.snapshot, made.classes) == (kept.plan, kept.snapshot, kept.classes)
    assert [way["flips"] for way in made.metrics["judged"]] == [True, False]
    assert str(tmp_path) not in json.dumps(made.plan)
    assert checkpoint.read(out)[1]["head.weight"].dtype == torch.float16

    before = {file: file.stat().st_mtime_ns for file in workspace.glob(".emolab/models/*/*")}
    face48.main(words)  # everything is there
    assert {file: file.stat().st_mtime_ns for file in workspace.glob(".emolab/models/*/*")} == before
    assert model_document.describe(out).id == made.id
    face48.main([*words, "--teacher", "3"])
    assert model_document.describe(out).id != made.id
