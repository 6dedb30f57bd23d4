"""The script that makes voice16, from a zip to a packed model, on two hundred made voices and one epoch."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import voice16 as folds
from emolab import files
from emolab.demonstration.voices.made_voices import make_voices
from emolab.inference import model_document
from emolab.loop.model.open_model import open_model
from emolab.training import checkpoint
from emolab.training.judging.card import card
from emolab.training.learned import learned_images
from emolab.training.networks import bundled
from emolab.training.predict import load
from scripts import voice16

pytest.importorskip("soundfile")
pytest.importorskip("onnx")
ACTORS, EMOTIONS = 20, 8


def ravdess(path: Path) -> Path:
    """A zip laid out as RAVDESS: every actor shows every emotion once."""
    clips = make_voices(ACTORS * EMOTIONS, np.random.default_rng(1))
    with zipfile.ZipFile(path, "w") as archive:
        for number, clip in enumerate(clips):
            actor, emotion = divmod(number, EMOTIONS)
            name = f"03-01-{emotion + 1:02d}-01-01-01-{actor + 1:02d}.flac"
            archive.writestr(f"Actor_{actor + 1:02d}/{name}", clip.data)
    return path


def answers_without_pytorch(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened without a process that exports it, and says what the network says."""
    monkeypatch.setattr(files, "user_cache", lambda: cache)
    monkeypatch.setattr(subprocess, "run", None)
    opened = open_model(None, folder)
    predictor = load(folder, device="cpu")
    pixels = np.random.default_rng(2).integers(0, 255, (5, 64, 256, 1), dtype=np.uint8)
    assert np.abs(opened.probabilities(pixels) - predictor.probabilities(pixels)[0]).max() < 1e-5
    assert len(list(cache.rglob("*.onnx"))) == 1
    monkeypatch.undo()


@pytest.mark.slow
def test_voice16_is_made_by_one_command_and_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, work, out = ravdess(tmp_path / "r.zip"), tmp_path / "work", tmp_path / "out"
    words = ["--data", str(data), "--work", str(work), "--epochs", "1", "--out", str(out)]
    voice16.main(words)
    made = model_document.describe(out)
    n = made.metrics["n_train"]  # near copies of one made clip may be the same bytes
    assert ACTORS * EMOTIONS - 15 <= n <= ACTORS * EMOTIONS
    assert (made.backbone, made.color, made.classes, made.flips) == ("voice16", "sound", folds.CLASSES, False)
    assert (made.metrics["valid"]["n"], made.metrics["folds"]["n"]) == (n, 5)
    named = [row["name"] for row in made.metrics["folds"]["conditions"]]
    assert named == ["all", "women", "men", *(f"noise at {level} dB" for level in (20, 10, 5, 0))]
    women, men = (row["n"] for row in made.metrics["folds"]["conditions"][1:3])
    assert women + men == n
    assert made.temperature > 0
    assert checkpoint.read(out)[1]["head.weight"].dtype == torch.float16
    # of made clips, some sound the same within what is kept of a voice
    assert n - 15 <= learned_images.read(out / learned_images.FILE, of="voice16").n <= n
    assert str(tmp_path) not in (out / model_document.DOCUMENT).read_text()
    answers_without_pytorch(out, tmp_path / "cache", monkeypatch)
    said = card(out)
    assert "without its speaker and three others" in said
    assert "| noise at 0 dB |" in said
    assert "North American English" in said
    assert sum(file.stat().st_size for file in out.iterdir()) <= 3_000_000

    before = {file: file.stat().st_mtime_ns for file in work.rglob("*.*")}
    voice16.main(words)  # everything is there
    assert {file: file.stat().st_mtime_ns for file in work.rglob("*.*")} == before
    assert model_document.describe(out).id == made.id


def test_noise_is_as_much_quieter_as_was_asked() -> None:
    rng = np.random.default_rng(0)
    tone = np.sin(np.arange(16_000) / 5).astype(np.float32)
    samples = np.concatenate([np.zeros(8000, np.float32), tone, np.zeros(8000, np.float32)])
    for level in (20, 0):
        added = folds.with_noise(samples, level, rng) - samples
        assert 10 * np.log10(np.mean(tone**2) / np.mean(added**2)) == pytest.approx(level, abs=0.2)


def test_the_bundled_voice16_is_small_and_says_where_it_is_from() -> None:
    folder = bundled.folder("voice16")
    if folder is None:
        pytest.skip("this package was built without the weights of voice16")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 3_000_000
    said = card(folder)
    for words in ("North American English", "CC BY-NC-SA", "| women |", "| men |", "| noise at 5 dB |", "macro-F1"):
        assert words in said
    made = model_document.describe(folder)
    assert made.metrics["n_train"] == 1199
    assert made.metrics["valid"]["n"] == 1199
