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
    assert (again["added"], again["existing"], again["skipped"]) == (0, 6, 3)  # three files are not read again


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


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of sentences that was learnt from made-up ones."""
    from emolab.modalities.text.learn import TextSettings, learn
    from emolab.modalities.text.ngrams import NgramConfig

    texts = ["so glad", "how glad", "furious oh", "oh so furious", "glad and furious", "furious and glad"] * 5
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [1, 1]] * 5, np.float32)
    folder = tmp_path_factory.mktemp("models") / "m"
    learn(texts, targets, ("joy", "anger"), settings=TextSettings(ngrams=NgramConfig(bits=16), strength=5)).model.save(
        folder
    )
    return folder


def test_each_sentence_of_the_files_is_answered_and_what_cannot_be_read_has_a_row(tmp_path: Path, model: Path) -> None:
    put(tmp_path, {"a.txt": "so glad, Sarah\n\nfurious\n", "b.csv": "text\nglad\n", "c.txt": b"\xe9\n", "d.md": "no"})
    done = run("predict", model, tmp_path, "--json")
    assert "1 of 3" in str(done.exception)
    told = json.loads(done.stdout)
    rows = {Path(row["file"]).name: row for row in told["predictions"]}
    assert [(name, row.get("label"), row.get("sample")) for name, row in sorted(rows.items())] == [
        ("a.txt#1", "joy", "so glad, [NAME]"),
        ("a.txt#3", "anger", "furious"),
        ("b.csv#1", "joy", "glad"),
        ("c.txt", None, None),
    ]
    assert rows["c.txt"]["error"].startswith("wrong encoding: line 1")
    assert (told["files"], told["failed"]) == (3, 1)
    assert set(rows["a.txt#1"]["labels"]) >= {"joy"}
    lines = run("predict", model, tmp_path / "a.txt", "--csv").stdout.splitlines()
    assert lines[0] == "file,label,confidence,joy,anger,error,note"
    assert len(lines) == 3


def test_people_see_the_sentence_and_all_that_is_said_of_it(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    long = "so glad and furious, Sarah, " + "long " * 12
    put(tmp_path, {"a.txt": f"{long}\nso [glad]\n", "c.txt": b"\xe9\n"})
    done = run("predict", model, tmp_path)
    table = done.stderr.splitlines()
    assert "sentence" in table[1] and "face" not in table[1]
    first, second, third = (next(line for line in table if name in line) for name in ("a.txt#1", "a.txt#2", "c.txt"))
    shown = json.loads(run("predict", model, tmp_path, "--json").stdout)["predictions"]
    both = max(shown, key=lambda row: len(row.get("labels", ())))
    assert len(both["labels"]) == 2 and both["file"].endswith("a.txt#1")
    order = sorted(both["labels"], key=lambda one: -both["probs"][one])
    assert "so glad and furious, [NAME], long long…" in first and ", ".join(order) in first
    assert "so [glad]" in second and "no answer" in third and "wrong encoding" in third


def test_what_only_networks_have_is_refused_and_nothing_to_read_is_said(tmp_path: Path, model: Path) -> None:
    put(tmp_path, {"a.txt": "glad\n", "empty/x.md": "no"})
    assert "faces is for networks" in str(run("predict", model, tmp_path / "a.txt", "--faces", "off").exception)
    assert "nothing in these paths" in str(run("predict", model, tmp_path / "empty").exception)


def test_python_answers_bytes_too(model: Path) -> None:
    found = emolab.predict(model, [b"so glad", b"furious"])
    assert [row["label"] for row in found.predictions] == ["joy", "anger"]


def test_lines_of_json_come_one_for_each_sentence(tmp_path: Path, model: Path) -> None:
    put(tmp_path, {"a.txt": "so glad\n\nfurious\n", "c.txt": b"\xe9\n"})
    done = run("predict", model, tmp_path, "--jsonl")
    assert "1 of 2" in str(done.exception)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row.get("label") for row in sorted(rows, key=lambda row: row["file"])] == ["joy", "anger", None]
    assert "faces is for networks" in str(run("predict", model, tmp_path, "--jsonl", "--faces", "off").exception)


def test_rounds_are_chosen_among_sentences_and_advice_is_given(tmp_path: Path, workspace: Path) -> None:
    merged = run("-w", workspace, "merge", "goemotions", goemotions(tmp_path / "data", n=240))
    assert merged.exit_code == 0, merged.output
    trained = json.loads(run("-w", workspace, "train", "--json").stdout)
    new = "".join(f"{word} w{i} new{i}\n" for i, word in enumerate(["glad", "furious", "scared", "w1"] * 12))
    put(tmp_path, {"new.txt": new + "glad furious w2 both\n"})
    assert run("-w", workspace, "collect", tmp_path / "new.txt").exit_code == 0
    for strategy in ("auto", "margin", "typiclust", "badge", "uherding"):
        done = run("-w", workspace, "suggest", "-n", "6", "--strategy", strategy, "--revotes", "0", "--json")
        assert done.exit_code == 0, (strategy, done.output, done.exception)
        told = json.loads(done.stdout)
        assert (told["model"], told["n"]) == (trained["model"], 6)
        assert sum(told["composition"].values()) == pytest.approx(6, abs=0.2)
    with emolab.open(workspace).catalog() as catalog, catalog.connect() as conn:
        from emolab.catalog import samples

        n = samples.count(conn)
    from emolab.inference import prediction_store

    kept = prediction_store.read(emolab.open(workspace).predictions_folder / trained["model"])
    assert len(kept.samples) == n
    assert np.allclose(kept.probs.sum(axis=1), 1, atol=1e-3)
    assert np.isfinite(kept.embeddings).all()
    advised = run("-w", workspace, "suggest", "--advise", "--json")
    assert advised.exit_code == 0, (advised.output, advised.exception)
    assert json.loads(advised.stdout)["judge"] in ("random", "valid")


def test_features_of_ngrams_keep_what_sentences_share(model: Path) -> None:
    own = own_model(model)
    assert own is not None
    found = own.unlearned([b"so glad", b"so glad oh", b"furious", b"furious and"])
    length = np.linalg.norm(found, axis=1, keepdims=True)
    alike = (found / length) @ (found / length).T
    assert min(alike[0, 1], alike[2, 3]) > max(alike[0, 2], alike[1, 3], alike[0, 3])
    assert np.array_equal(found, own.unlearned([b"so glad", b"so glad oh", b"furious", b"furious and"]))


def test_sentences_that_a_model_has_learned_are_known_where_it_is_judged(tmp_path: Path, workspace: Path) -> None:
    pytest.importorskip("safetensors")
    data = goemotions(tmp_path / "data")
    run("-w", workspace, "merge", "goemotions", data)
    told = json.loads(run("-w", workspace, "train", "--json").stdout)
    place = workspace / told["path"]

    def learned(split: str) -> dict[str, object]:
        done = run("evaluate", place, "--on", f"goemotions:{data}", "--split", split, "--json")
        found: dict[str, object] = json.loads(done.stdout)["learned"]
        return found

    assert (learned("train")["n"], learned("train")["left"], learned("train")["without"]) == (120, 0, None)
    assert (learned("valid")["n"], learned("valid")["left"], learned("valid")["recorded"]) == (0, 60, 120)
    lines = (data / "dev.tsv").read_text().splitlines()
    mixed = [line.upper().replace(" ", "  ") for line in (data / "train.tsv").read_text().splitlines()[:10]]
    put(tmp_path / "other", {"labels.txt": "joy\nanger\nfear\n", "dev.tsv": "\n".join([*lines, *mixed]) + "\n"})
    done = run("evaluate", place, "--on", f"goemotions:{tmp_path / 'other'}", "--split", "valid", "--json")
    found = json.loads(done.stdout)
    assert (found["n"], found["learned"]["n"], found["learned"]["without"]["n"]) == (70, 10, 60)
    said = run("evaluate", place, "--on", f"goemotions:{tmp_path / 'other'}", "--split", "valid")
    assert "10 of 70 samples were learned by this model: macro-F1" in " ".join(said.output.split())
    (place / "learned.safetensors").unlink()
    done = run("evaluate", place, "--on", f"goemotions:{data}", "--split", "valid", "--json")
    assert "no record of what it learned from" in json.loads(done.stdout)["learned"]["unknown"][0]


def test_a_model_of_sentences_has_a_card(tmp_path: Path, workspace: Path) -> None:
    run("-w", workspace, "merge", "goemotions", goemotions(tmp_path / "data"))
    told = json.loads(run("-w", workspace, "train", "--json").stdout)
    said = run("-w", workspace, "models", "card", "champion")
    assert said.exit_code == 0, said.output
    assert f"# Model of sentences {told['model'][:12]}" in said.output
    assert "Learned from 120 labelled sentences" in said.output
    for name in ("happiness", "anger", "fear"):
        assert f"| {name} | 0." in said.output
