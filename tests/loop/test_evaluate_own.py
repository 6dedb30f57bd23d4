"""A model of sentences is judged by the command on an open dataset, with one or several labels a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import emolab
from emolab.cli.main import cli
from emolab.datasets.several_labels import several_labels
from emolab.errors import DataError
from emolab.modalities.text.learn import TextSettings, learn
from emolab.modalities.text.ngrams import NgramConfig
from emolab.stats.floors import below
from tests.support.calling import emolab as command
from tests.support.pictures import put

CLASSES = ("anger", "happiness")
FILES = {
    "ekman/labels.txt": "anger\njoy\nsurprise\n",
    "ekman/dev.tsv": "so glad\t1\ta\nfurious\t0\tb\nglad and furious\t0,1\tc\nwow\t2\td\nwow glad\t1,2\te\n",
    "original/labels.txt": "annoyance\npride\n",
    "original/dev.tsv": "so glad\t1\ta\n",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    texts = ["glad so", "furious oh", "so glad", "oh furious", "glad and furious", "furious and glad"] * 4
    targets = np.array([[0, 1], [1, 0], [0, 1], [1, 0], [1, 1], [1, 1]] * 4, np.float32)
    learn(texts, targets, CLASSES, settings=TextSettings(ngrams=NgramConfig(bits=16), strength=5)).model.save(
        tmp_path / "model"
    )
    return tmp_path / "model"


def test_the_set_of_labels_nearest_to_the_model_is_read_and_names_are_mapped(tmp_path: Path) -> None:
    chosen = several_labels(f"goemotions:{put(tmp_path, FILES)}", CLASSES)
    assert chosen.names == ["a", "b", "c", "e"]
    assert chosen.truth.tolist() == [[False, True], [True, False], [True, True], [False, True]]
    assert dict(chosen.dropped) == {"without a class of the model": 1}
    assert chosen.splits == ("valid",)
    assert "labels ekman" in chosen.protocol
    fine = several_labels(f"goemotions:{tmp_path}", ("annoyance", "pride"))
    assert fine.truth.tolist() == [[False, True]]


def test_a_split_that_is_not_there_and_classes_that_never_occur_are_said(tmp_path: Path) -> None:
    put(tmp_path, FILES)
    with pytest.raises(DataError, match="has no train split"):
        several_labels(f"goemotions:{tmp_path}", CLASSES, split="train")
    with pytest.raises(DataError, match="None of the 5 samples"):
        several_labels(f"goemotions:{tmp_path}", ("calm", "bored"))


def test_the_command_prints_figures_as_json_and_as_a_table(tmp_path: Path, model: Path) -> None:
    spec = f"goemotions:{put(tmp_path / 'data', FILES)}"
    done = CliRunner().invoke(cli, ["evaluate", str(model), "--on", spec, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["n"], found["unreadable"], found["dropped"]) == (4, 0, {"without a class of the model": 1})
    assert found["macro_f1"] == pytest.approx((4 / 5 + 6 / 7) / 2)
    assert [row["class"] for row in found["per_class"]] == list(CLASSES)
    shown = CliRunner().invoke(cli, ["evaluate", str(model), "--on", spec])
    assert shown.exit_code == 0, shown.output
    assert "macro-F1 0.829   micro-F1 0.833   all labels right 50.0%" in shown.output


def test_sentences_that_cannot_be_read_are_counted(tmp_path: Path, model: Path) -> None:
    put(tmp_path / "data", {"labels.txt": "anger\njoy\n"})
    (tmp_path / "data" / "dev.tsv").write_bytes(b"so glad\t1\ta\n\0furious\t0\tb\n" + b"x" * 2500 + b"\t0\tc\n")
    found = emolab.evaluate(model, f"goemotions:{tmp_path / 'data'}").figures
    assert (found["n"], found["unreadable"]) == (1, 2)
    assert [line.partition(":")[0] for line in found["errors"]] == ["b", "c"]
    assert "too long: 2,500 characters" in found["errors"][1]


def test_a_split_of_a_workspace_needs_one(model: Path) -> None:
    with pytest.raises(emolab.errors.ConfigError, match="one of a workspace"):
        emolab.evaluate(model, "valid")


def test_what_only_networks_have_is_refused(tmp_path: Path, model: Path) -> None:
    spec = f"goemotions:{put(tmp_path / 'data', FILES)}"
    with pytest.raises(emolab.errors.ConfigError, match="flips is for networks"):
        emolab.evaluate(model, spec, flips=True)
    with pytest.raises(emolab.errors.ConfigError, match="protocol is for networks"):
        emolab.evaluate(model, spec, protocol="majority")


@pytest.mark.parametrize(
    ("floors", "code", "said"),
    [
        (["macro_f1=.5", "n=4"], 0, ""),
        (["macro_f1=0.999"], 3, "not good enough: macro_f1 is 0.828571, below 0.999"),
        (["n=1000", "accuracy=0"], 3, "not good enough: n is 4, below 1000"),
        (["macro_fl=.5"], 1, 'Unknown figure "macro_fl". Did you mean "macro_f1"?'),
        (["ece=.05"], 1, 'Unknown figure "ece"'),
        (["macro_f1"], 1, '"macro_f1" is not FIGURE=NUMBER.'),
        (["macro_f1=75"], 1, '"75" is no number from 0 to 1, which macro_f1 has.'),
        (["macro_f1=nan"], 1, '"nan" is no number from 0 to 1'),
    ],
)
def test_a_model_that_is_not_good_enough_ends_with_a_code_of_its_own(
    tmp_path: Path, model: Path, floors: list[str], code: int, said: str
) -> None:
    spec = f"goemotions:{put(tmp_path / 'data', FILES)}"
    options = [word for floor in floors for word in ("--fail-under", floor)]
    done = command("evaluate", model, "--on", spec, *options)
    assert done.code == code
    assert said in " ".join(done.err.split())


def test_a_figure_without_a_value_is_not_good_enough() -> None:
    assert below({"exact": None, "n": 3}, {"exact": 0.0, "n": 3}) == [
        "exact was not measured for this model, and 0 was asked for"
    ]
