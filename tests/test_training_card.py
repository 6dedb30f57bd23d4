"""Bundled models and model cards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emolab.cli.main import run
from emolab.cli.train import train_workspace
from emolab.training import bundled, checkpoint
from emolab.training.card import card
from emolab.training.predict import load
from emolab.workspace import Workspace
from tests.learnable import QUICK, configure, fill_workspace


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that is no workspace."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_card_of_a_trained_model_names_its_data_its_figures_and_its_settings(workspace: Workspace) -> None:
    fill_workspace(workspace)
    model = train_workspace(configure(workspace, QUICK + "\ntensorboard = false"))
    text = card(workspace.root / model.path)
    valid = model.metrics["valid"]
    assert text.startswith(f"# Model {model.id[:12]}\n")
    assert f"from {model.metrics['n_train']} samples (snapshot {model.snapshot[:12]})" in text
    assert f"n = {valid['n']}, accuracy {valid['accuracy']:.1%}, macro-F1 {valid['macro_f1']:.3f}" in text
    assert all(f"| {row['class']} |" in text for row in valid["per_class"])
    assert "(few)" in text
    assert "epochs 3" in text


@pytest.mark.parametrize("name", bundled.names())
def test_a_bundled_model_predicts_and_has_a_card_without_a_workspace(
    name: str, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bundled.folder(name)
    assert folder is not None
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 3_200_000
    predictor = load(folder)
    size, channels = predictor.checkpoint.size, predictor.checkpoint.preprocessing.channels
    images = np.random.default_rng(0).integers(0, 256, (3, size, size, channels), dtype=np.uint8)
    probs, features = predictor.probabilities(images)
    assert np.isfinite(features).all()
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-5)
    assert run(["models", "card", name, "--json"]) == 0
    text = json.loads(capsys.readouterr().out)["card"]
    for heading in (f"# {name}\n", "## Purpose", "## Data and licence", "## Limits", "## On FER+ valid"):
        assert heading in text
    assert list(outside.iterdir()) == []


def test_face48_is_bundled() -> None:
    assert "face48" in bundled.names()
    assert bundled.folder("champion") is None


def test_fine_tuning_starts_with_the_heads_rows_of_classes_known_by_name() -> None:
    import torch
    from torch import nn

    from emolab.training.backbones import weights_file
    from emolab.training.weights import read, start_head

    file = weights_file("face48", "default")
    assert file is not None
    stored = read(file)
    head = nn.Linear(stored["head.weight"].shape[1], 3)
    before = head.weight.detach().clone()
    assert start_head(head, ("anger", "boredom", "happiness"), file) == ("anger", "happiness")
    known = load(file.parent).checkpoint.classes
    assert torch.equal(head.weight[0], stored["head.weight"][known.index("anger")].float())
    assert torch.equal(head.bias[2], stored["head.bias"][known.index("happiness")].float())
    assert torch.equal(head.weight[1], before[1])


def test_weights_without_a_document_say_nothing_about_classes(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from torch import nn, zeros

    from emolab.training.weights import start_head

    save_file({"head.weight": zeros(2, 4), "head.bias": zeros(2)}, tmp_path / "plain.safetensors")
    head = nn.Linear(4, 2)
    before = head.weight.detach().clone()
    assert start_head(head, ("anger", "fear"), tmp_path / "plain.safetensors") == ()
    assert (head.weight == before).all()


def test_the_card_of_a_solved_head_tells_of_no_epochs_and_no_rates(workspace: Workspace) -> None:
    fill_workspace(workspace)
    settings = QUICK.replace('"tiny"', '"hog"') + '\nmode = "head"\ntensorboard = false'
    model = train_workspace(configure(workspace, settings))
    text = card(workspace.root / model.path)
    assert "backbone hog, weights default, mode head, objective accuracy" in text
    assert f"head solved with penalty {model.metrics['solved']['penalty']:.2g}" in text
    assert not [word for word in ("epoch", "optimizer", "lr ", "augmentation", "batch") if word in text]
    assert "Chosen on the same ones: temperature " in text


def test_the_card_says_that_the_epoch_was_chosen_only_where_it_was(workspace: Workspace) -> None:
    """With fewer than fifty validation samples the last epoch is kept."""
    fill_workspace(workspace)
    model = train_workspace(configure(workspace, QUICK + "\ntensorboard = false"))
    assert model.metrics["valid"]["n"] < 50
    assert "Chosen on the same ones: temperature " in card(workspace.root / model.path)
    folder = bundled.folder("face48")
    assert folder is not None
    temperature = f"temperature {checkpoint.describe(folder).temperature:.3f}"
    assert f"Chosen on the same ones: epoch, class offsets, {temperature}" in card(folder)


def test_a_misspelt_model_outside_a_workspace_names_the_bundled_ones(
    outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outside / "a.png").write_bytes(b"")
    assert run(["predict", "face49", "a.png"]) == 1
    err = capsys.readouterr().err
    assert 'Unknown model "face49". Did you mean "face48"?' in err
    assert "emolab -w DIR COMMAND" in err


def test_faces_are_looked_for_without_a_workspace_too(
    outside: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from emolab.datasets import weights
    from emolab.errors import DataError

    def missing(path: str, **options: object) -> Path:
        raise DataError(f"asked for the detector {path!r}")

    monkeypatch.setattr(weights, "detector", missing)
    (outside / "a.png").write_bytes(b"")
    assert run(["predict", "face48", "a.png", "--faces"]) == 1
    assert "asked for the detector ''" in capsys.readouterr().err
