"""A workspace of sentences goes through the loop by the same commands as one of images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import emolab
from emolab.cli.main import cli
from emolab.modalities.own_models import own_model
from tests.support.pictures import put

WORDS = {
    "joy": ("glad", "lovely", "cheers"),
    "anger": ("furious", "damn", "rage"),
    "fear": ("scared", "panic", "dread"),
}


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def goemotions(folder: Path, n: int = 120) -> Path:
    rng = np.random.default_rng(0)

    def rows(count: int, name: str) -> str:
        lines = []
        for i in range(count):
            word = rng.choice(WORDS[("joy", "anger", "fear")[i % 3]])
            noise = " ".join(f"w{v}" for v in rng.integers(0, 30, 5))
            lines.append(f"{word} {noise} {name}{i}x\t{i % 3}\t{name}{i}")
        return "\n".join(lines) + "\n"

    return put(folder, {"labels.txt": "joy\nanger\nfear\n", "train.tsv": rows(n, "t"), "dev.tsv": rows(n // 2, "d")})


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    done = run("init", tmp_path / "ws", "--modality", "text", "--classes", "happiness,anger,fear")
    assert done.exit_code == 0, done.output
    return tmp_path / "ws"


def test_sentences_are_collected_masked_grouped_and_only_once(tmp_path: Path, workspace: Path) -> None:
    put(
        tmp_path / "in",
        {
            "a.csv": 'text,speaker\n"So glad, Sarah!",ann\ndamn,bob\n,cyd\n"So glad, Sarah!",dan\n',
            "b.txt": "one\n\ntwo\n",
            "c.jsonl": '{"text": "call 555 123 4567"}\nbad\n',
            "d.txt": "caf\u00e9".encode("latin-1"),
            "e.txt": b"\x89PNG\r\n\x1a\n\0\0",
            "f.md": "no sentences are looked for here\n",
        },
    )
    done = run("-w", workspace, "collect", tmp_path / "in", "--json")
    told = json.loads(done.stdout)
    assert (told["added"], told["existing"], told["failed"]) == (5, 1, 4)
    assert told["problems"] == {"empty": 1, "broken row": 1, "wrong encoding": 1, "not text": 1}
    assert told["ignored"] == {".md": 1}
    with emolab.open(workspace).catalog() as catalog, catalog.connect() as conn:
        from emolab.catalog import samples

        found = {(workspace / s.media).read_text(encoding="utf-8"): s for s in samples.iterate(conn)}
    assert set(found) == {"So glad, [NAME]!", "damn", "one", "two", "call [PHONE]"}
    assert [found[text].group for text in ("So glad, [NAME]!", "damn", "one")] == ["ann", "bob", None]
    assert found["two"].name is not None
    assert found["two"].name.endswith("b.txt#3")
    assert found["So glad, [NAME]!"].quality == {"letters": 16, "words": 3, "masked": 1}
    assert {s.modality for s in found.values()} == {"text"}
    again = json.loads(run("-w", workspace, "collect", tmp_path / "in", "--json").stdout)
    assert (again["added"], again["existing"] + again["skipped"]) == (0, 6)


def test_masking_can_be_left_out_and_another_column_named(tmp_path: Path, workspace: Path) -> None:
    put(tmp_path, {"a.csv": "text,said\nno,thanks Sarah\n"})
    done = run(
        "-w", workspace, "collect", tmp_path / "a.csv", "--set", "collect.masking=false",
        "--set", "collect.text_column=said", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert [file.read_text() for file in (workspace / ".emolab" / "media").rglob("*.txt")] == ["thanks Sarah"]


def test_merge_train_and_evaluate_without_a_network(tmp_path: Path, workspace: Path) -> None:
    merged = run("-w", workspace, "merge", "goemotions", goemotions(tmp_path / "data"))
    assert merged.exit_code == 0, merged.output
    trained = run("-w", workspace, "train", "--json")
    assert trained.exit_code == 0, trained.output
    told = json.loads(trained.stdout)
    assert (told["alias"], told["reason"], told["backbone"], told["n_train"]) == (
        *("champion", "the first model", "ngrams"),
        120,
    )
    assert told["valid"]["macro_f1"] > 0.9
    judged = json.loads(run("-w", workspace, "evaluate", "champion", "--on", "valid", "--json").stdout)
    assert (judged["n"], judged["macro_f1"]) == (60, told["valid"]["macro_f1"])
    outside = run("evaluate", workspace / told["path"], "--on", f"goemotions:{tmp_path / 'data'}", "--json")
    assert json.loads(outside.stdout)["macro_f1"] == judged["macro_f1"]
    assert own_model(workspace / told["path"]) is not None
    again = json.loads(run("-w", workspace, "train", "--json").stdout)
    assert (again["model"], again["reason"]) == (told["model"], "the same model as before")
    for command in (["models", "list"], ["status"]):
        assert run("-w", workspace, *command).exit_code == 0


def test_a_merged_sentence_is_one_sample_whatever_stands_in_it_and_is_masked(tmp_path: Path, workspace: Path) -> None:
    put(tmp_path / "data", {"labels.txt": "joy\nanger\n", "train.tsv": "thanks Sarah\t0\tx.csv\nmad\t1\ty\n"})
    done = run("-w", workspace, "merge", "goemotions", tmp_path / "data")
    assert done.exit_code == 0, done.output
    kept = {file.read_text() for file in (workspace / ".emolab" / "media").rglob("*.txt")}
    assert kept == {"thanks [NAME]", "mad"}


def test_a_second_model_has_to_beat_the_first_on_the_same_sentences(tmp_path: Path, workspace: Path) -> None:
    run("-w", workspace, "merge", "goemotions", goemotions(tmp_path / "data"))
    first = json.loads(run("-w", workspace, "train", "--json").stdout)
    other = json.loads(run("-w", workspace, "train", "--json", "--set", "training.seed=5").stdout)
    assert other["model"] != first["model"]
    wins = other["valid"]["macro_f1"] > first["valid"]["macro_f1"]
    assert other["alias"] == ("champion" if wins else "candidate")
    assert other["champion"] == (other if wins else first)["model"]
    assert f"by the champion {first['model'][:10]}" in other["reason"]


def test_training_without_sentences_says_what_to_do(workspace: Path) -> None:
    assert "There are no votes for any class yet" in str(run("-w", workspace, "train").exception)
    assert "There is no unfinished run" in str(run("-w", workspace, "train", "--resume").exception)
