"""Settings: defaults, the file, overrides, and errors that say what to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from emolab import config
from emolab.config import Config, ProjectConfig
from emolab.errors import ConfigError, UnknownName


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "emolab.toml"
    path.write_text(config.render(ProjectConfig(name="faces", classes=("joy", "grief"))))
    return path


def test_a_rendered_file_reads_back(file: Path) -> None:
    assert config.load(file).project == ProjectConfig(name="faces", classes=("joy", "grief"))


def test_defaults_then_file_then_set(file: Path) -> None:
    file.write_text(file.read_text() + "\n[training]\nepochs = 7\nseed = 3\n")
    found = config.load(file, ["training.epochs=9"])
    assert (found.training.epochs, found.training.seed) == (9, 3)
    assert found.labeling == Config().labeling


def test_set_reads_values_as_the_type_of_the_key() -> None:
    made = config.apply(
        Config(),
        ["collect.min_score=1", "labeling.show_predictions=true", "project.classes=a, b", "training.weights=none"],
    )
    assert made.collect.min_score == 1.0
    assert made.labeling.show_predictions is True
    assert made.project.classes == ("a", "b")
    assert made.training.weights == "none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.epochs", "is not SECTION.KEY=VALUE"),
        ("epochs=3", "is not SECTION.KEY=VALUE"),
        ("training.epochs=three", "expected a whole number"),
        ("labeling.show_predictions=yes", "expected true or false"),
    ],
)
def test_a_bad_override_is_explained(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.apply(Config(), [text])


@pytest.mark.parametrize(
    ("text", "guess"), [("training.epoch=3", "training.epochs"), ("trainning.epochs=3", '"training"')]
)
def test_an_unknown_key_names_the_nearest(text: str, guess: str) -> None:
    with pytest.raises(UnknownName, match=f"Did you mean .*{guess}"):
        config.apply(Config(), [text])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[training]\nepochs = 'many'", "training.epochs is 'many'; expected a whole number"),
        ("[training]\nepochs = true", "expected a whole number"),
        ("[project]\nclasses = 'a,b'", "expected a list"),
        ("name = 1", "stands outside of a section"),
        ("[training", "is not valid TOML"),
    ],
)
def test_a_bad_file_is_explained_with_its_name(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "emolab.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        config.load(path)
    assert "emolab.toml" in str(caught.value)


def test_an_unknown_key_in_the_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "emolab.toml"
    path.write_text("[training]\nepoch = 3")
    with pytest.raises(UnknownName, match=r'emolab\.toml: Unknown setting "training\.epoch"'):
        config.load(path)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="emolab init"):
        config.load(tmp_path / "emolab.toml")
