"""The recipe in docs/text.md, as printed, says what a model of n-grams says, with NumPy alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from emolab.cli.main import cli
from emolab.modalities.text.learn import TextSettings, learn
from emolab.modalities.text.ngrams import NgramConfig
from emolab.modalities.text.text_model import TextModel
from tests.support.paths import ROOT

TEXTS = [
    "so glad, isn't it",
    "how glaaaad I am!!",
    "furious oh",
    "oh so furious 😡",
    "glad and furious",
    "café, furious",
] * 60
TARGETS = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [0, 1]] * 60, np.float32)
TARGETS[::7] = TARGETS[::7, ::-1]  # not all agree, so that there is a temperature to find


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[TextModel, Path]:
    model = learn(
        TEXTS, TARGETS, ("joy", "anger"), settings=TextSettings(ngrams=NgramConfig(bits=20), strength=5)
    ).model
    assert model.temperature not in (None, 1.0)
    folder = tmp_path_factory.mktemp("models") / "m"
    model.save(folder)
    return model, folder


@pytest.mark.parametrize("text", ["So glaaaaaad, isn't it?!", "café 😡 furious... and glad", "nothing known", "glad"])
def test_the_recipe_says_what_the_model_says(kept: tuple[TextModel, Path], tmp_path: Path, text: str) -> None:
    page = (ROOT / "docs" / "text.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- recipe: sentences -->\n```python\n(.*?)```", page, flags=re.S)
    assert found
    assert "emolab" not in found[1]
    (tmp_path / "recipe.py").write_text(found[1], encoding="utf-8")
    model, folder = kept
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "recipe.py", folder, text], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    probs = model.probabilities([text])[0]
    assert list(told["probs"]) == ["joy", "anger"]
    assert list(told["probs"].values()) == pytest.approx(probs.tolist(), abs=1e-5)
    assert told["labels"] == [
        name for name, p, t in zip(model.classes, probs, model.thresholds, strict=True) if p >= t < 1
    ]


def test_an_export_says_that_the_folder_is_it(kept: tuple[TextModel, Path]) -> None:
    done = CliRunner().invoke(cli, ["export", str(kept[1]), "--to", "onnx"])
    assert f"This model is no network, and its folder is its own export: {kept[1]}" in str(done.exception)
