"""What a first model has to beat, and what becomes of a start network that was not beaten."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emolab.catalog import models, samples, votes
from emolab.cli.main import run
from emolab.demonstration.drawn_faces import draw_faces
from emolab.inference import model_document
from emolab.labeling.labels.current_labels import current_labels
from emolab.loop.data.inspect import predictions_to_show
from emolab.loop.label.advise_material import Material, gather
from emolab.progress import SILENT
from emolab.records import Sample, Vote
from emolab.training import checkpoint
from emolab.training.learned import learned_images
from emolab.training.networks.bundled import ROOT
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace

#: What the tests share takes longer to make than most tests take.
pytestmark = pytest.mark.slow

Command = Callable[..., Any]
#: face48's classes, in another order than its own.
TURNED = ("contempt", "fear", "disgust", "anger", "sadness", "surprise", "happiness", "neutral")
FACE48 = 'epochs = 1\nthreads = 1\nprecision = "float32"\nlr = 1e-9\ntensorboard = false'


@pytest.fixture
def make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[Workspace, Command]]:
    """A workspace with bar images and settings, and a way to run commands in it (see ``emolab`` of other tests)."""

    def made(classes: tuple[str, ...], settings: str, *, n: int = 48, name: str = "w") -> tuple[Workspace, Command]:
        workspace = Workspace.init(tmp_path / name, classes=classes)
        if n:
            fill_workspace(workspace, n)
        workspace = configure(workspace, settings)

        def call(*arguments: str, raw: bool = False) -> Any:
            capsys.readouterr()
            code = run(["-w", str(workspace.root), *arguments, *(() if raw else ("--json",))])
            out, err = capsys.readouterr()
            if raw:
                return code, out, " ".join(err.split())
            assert code == 0, err
            return json.loads(out)

        return workspace, call

    return made


def labelled_by_face48(workspace: Workspace, n: int, *, seed: int = 0) -> None:
    """Put drawn faces into ``workspace``, each with two votes for what face48 sees in it."""
    from emolab.training.predict import load, predict_media

    drawn = [face.png for face in draw_faces(n, np.random.default_rng(seed))]
    judge = load(ROOT / "face48")
    answers = predict_media(judge, [(str(i), data) for i, data in enumerate(drawn)])
    workspace.media.mkdir(parents=True, exist_ok=True)
    found, cast = [], []
    for data, answer in zip(drawn, answers, strict=True):
        assert answer.probs is not None
        name, label = hashlib.sha256(data).hexdigest(), judge.checkpoint.classes[int(answer.probs.argmax())]
        file = workspace.media / f"{name}.png"
        file.write_bytes(data)
        found.append(Sample(id=name, media=file.relative_to(workspace.root).as_posix()))
        cast += [Vote(sample_id=name, annotator=who, label=label, origin=f"t:{who}:{name}") for who in ("ann", "bob")]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, found)
        votes.append(tx, cast)


def test_a_start_network_that_knows_the_classes_stays_champion_and_is_a_model_like_any_other(
    make: Any, tmp_path: Path
) -> None:
    workspace, emolab = make(TURNED, FACE48, n=0)
    labelled_by_face48(workspace, 48)
    made = emolab("train")
    assert made["alias"] == "candidate"
    assert made["compared"]["against"] == "face48"
    face48 = model_document.describe(ROOT / "face48").id
    assert made["champion"] == face48
    listed = {row["id"]: row["aliases"] for row in emolab("models", "list")}
    assert listed == {face48: ["champion"], made["model"]: ["candidate"]}
    shown = emolab("models", "show", "champion")
    assert (shown["id"], shown["report"], shown["metrics"]["brought"]) == (face48, None, "face48")
    assert shown["n"] == made["valid"]["n"]
    _, _, said = emolab("models", "show", raw=True)
    assert "not trained here: it is face48" in said
    assert "Not for decisions about people" in emolab("models", "card", "champion")["card"]
    assert emolab("status")["champion"]["id"] == face48
    assert emolab("evaluate", "champion", "--on", "valid")["accuracy"] == pytest.approx(shown["accuracy"])
    media = str(next(workspace.media.glob("*.png")))
    answer, bundled = (emolab("predict", name, media)["predictions"][0]["probs"] for name in ("champion", "face48"))
    assert answer == bundled
    assert emolab("export", "champion", "--to", "torchscript", "--out", str(tmp_path / "c.pt"))["model"] == face48
    fill_workspace(workspace, 16, seed=5)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.withdraw(tx, [f"test:{who}:{s.id}" for s in samples.iterate(tx) for who in ("ann", "bob")], "for suggest")
    assert emolab("suggest", "-n", "5", "--strategy", "entropy")["model"] == face48
    again = emolab("train", "--set", "training.seed=1")
    assert (again["compared"]["against"], again["compared"]["reigning"]) == ("face48", True)
    champion = emolab("train", "--set", "training.weights=champion", "--set", "training.seed=2")
    assert champion["compared"]["against"] == "face48"
    _, _, said = emolab("train", "--set", "training.seed=3", raw=True)
    assert f"the champion is {face48[:10]}" in said


@pytest.mark.parametrize(
    ("classes", "name"),
    [
        (("happiness", "sadness", "neutral"), "the head solved on face48"),  # some of its classes
        (("bored", "alert"), "the head solved on face48"),  # none of them
        ((*TURNED, "bored"), "the head solved on face48"),  # all, and one more
        (TURNED, "face48"),
    ],
)
def test_a_start_network_stands_as_it_is_only_where_it_knows_the_very_classes(
    make: Any, classes: tuple[str, ...], name: str
) -> None:
    workspace, emolab = make(classes, FACE48)
    made = emolab("train")
    assert made["compared"]["against"] == name
    if made["alias"] == "candidate":
        with workspace.catalog() as catalog, catalog.connect() as conn:
            champion = models.get(conn, "champion")
        assert champion.classes == classes or name == "face48"
        if name != "face48":
            assert champion.config["mode"] == "head"
            assert emolab("evaluate", "champion", "--on", "valid")["n"] == made["valid"]["n"]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (QUICK, "tiny began at random"),
        (FACE48 + '\nweights = "none"', "face48 began at random"),
        (FACE48 + '\nmode = "head"', "it is itself the head solved on face48"),
        (QUICK.replace("tiny", "hog") + '\nmode = "head"', "it is itself the head solved on hog"),
    ],
)
def test_where_nothing_stands_the_first_model_is_champion_and_it_is_said(make: Any, settings: str, why: str) -> None:
    _, emolab = make(("happiness", "sadness", "neutral"), settings)
    made = emolab("train")
    assert (made["alias"], made["reason"], made["compared"]["against"]) == ("champion", "the first model", None)
    assert why in made["compared"]["why"]
    assert why in emolab("models", "show", raw=True)[2]


def test_hog_has_its_solved_head_to_beat_and_a_head_on_face48_has_face48(make: Any) -> None:
    _, emolab = make(("happiness", "sadness", "neutral"), QUICK.replace("tiny", "hog"))
    assert emolab("train")["compared"]["against"] == "the head solved on hog"
    _, emolab = make(TURNED, FACE48 + '\nmode = "head"', name="head")
    assert emolab("train")["compared"]["against"] == "face48"


def test_many_samples_give_a_table_of_both_with_the_interval(make: Any) -> None:
    _, emolab = make(("happiness", "sadness", "neutral"), QUICK.replace("tiny", "hog"), n=1100)
    code, _, said = emolab("train", raw=True)
    assert code == 0
    assert "Beside the head solved on hog, on the same 2" in said
    for word in ("accuracy", "macro-F1", "log loss", "95 % interval"):
        assert word in said
    assert "fewer than 200" not in said


def test_a_model_of_another_workspace_as_start_is_brought_along(make: Any) -> None:
    other, train_there = make(("happiness", "sadness", "neutral"), QUICK)
    there = train_there("train", "--set", "training.epochs=8")
    weights = other.root / there["path"] / checkpoint.WEIGHTS
    _, emolab = make(("neutral", "happiness", "sadness"), QUICK, name="here", n=60)
    made = emolab("train", "--set", f"training.weights={weights}", "--set", "training.lr=1e-9")
    assert made["compared"]["against"] == there["model"][:10]
    assert made["alias"] == "candidate"
    assert made["champion"] == there["model"]
    shutil.rmtree(other.root)
    assert emolab("evaluate", "champion", "--on", "valid")["n"] == made["valid"]["n"]
    # its samples are the same bars: what both have is marked
    assert made["learned"]["n"] + made["learned"]["left"] == made["valid"]["n"]


def moved(workspace: Workspace, *, share: float) -> int:
    """Let samples that were trained on validate from now on, and the former ones train; how many."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        train = [sample.id for sample in samples.iterate(tx, split="train")]
        held = [sample.id for sample in samples.iterate(tx, split="valid")]
        chosen = train[: round(share * len(train))]
        samples.set_splits(tx, {**dict.fromkeys(held, "train"), **dict.fromkeys(chosen, "valid")})
    return len(chosen)


def test_samples_that_the_parent_has_learned_are_marked_and_do_not_count(make: Any) -> None:
    workspace, emolab = make(("happiness", "sadness", "neutral"), QUICK)
    emolab("train")
    n = moved(workspace, share=0.5)
    made = emolab("train", "--set", "training.weights=champion", "--set", "training.seed=1")
    assert (made["learned"]["n"], made["learned"]["left"], made["learned"]["without"]) == (n, 0, None)
    assert made["compared"]["learned"] == n
    assert made["alias"] == "candidate"
    _, _, said = emolab("models", "show", made["model"][:10], raw=True)
    assert f"{n} of {n} samples were learned by this model, which flatters it; none is left" in said
    fresh = emolab("train", "--set", "training.seed=2")  # from random weights: only the champion has learned them
    assert (fresh["learned"]["n"], fresh["compared"]["learned"]) == (0, n)


def test_figures_are_given_again_without_the_learned_samples(make: Any) -> None:
    workspace, emolab = make(("happiness", "sadness", "neutral"), QUICK, n=300)
    emolab("train")
    with workspace.catalog() as catalog, catalog.begin() as tx:
        train = [sample.id for sample in samples.iterate(tx, split="train")][:30]
        samples.set_splits(tx, dict.fromkeys(train, "valid"))
    made = emolab("train", "--set", "training.weights=champion")
    assert made["learned"]["n"] == 30
    assert made["learned"]["without"]["n"] == made["valid"]["n"] - 30
    page = Path(made["report"]).read_text(encoding="utf-8")
    for text in (page, emolab("models", "card", made["model"][:10])["card"]):
        assert f"30 of {made['valid']['n']} samples were learned by this model: accuracy" in text
        assert "without them" in text


@pytest.mark.parametrize("damage", ["gone", "no weights", "record missing", "record damaged"])
def test_a_champion_that_cannot_be_judged_or_has_no_record_is_said(make: Any, damage: str) -> None:
    workspace, emolab = make(("happiness", "sadness", "neutral"), QUICK)
    first = emolab("train")
    folder = workspace.root / first["path"]
    if damage == "gone":
        shutil.rmtree(folder)
    elif damage == "no weights":
        (folder / checkpoint.WEIGHTS).unlink()
    elif damage == "record missing":
        (folder / learned_images.FILE).unlink()
    else:
        (folder / learned_images.FILE).write_bytes(b"?" * 40)
    made = emolab("train", "--set", "training.seed=1", "--set", "training.epochs=1")
    if damage in ("gone", "no weights"):
        assert made["alias"] == "candidate"
        assert made["reason"].startswith("the champion could not be judged (")
    else:
        (unknown,) = made["compared"]["unknown"]
        assert ("has no record" if damage == "record missing" else "is damaged") in unknown
        assert made["learned"]["unknown"] == []
        assert "Unknown:" in emolab("train", "--set", "training.seed=2", "--set", "training.epochs=1", raw=True)[2]
    if damage == "record missing":
        child = emolab("train", "--set", "training.weights=champion", "--set", "training.epochs=1")
        assert "has no record" in child["learned"]["unknown"][0]


def test_a_champion_of_other_classes_stays_and_one_in_another_order_is_compared(make: Any) -> None:
    workspace, emolab = make(("happiness", "sadness", "neutral"), QUICK)
    emolab("train")
    file = workspace.root / "emolab.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace('"happiness", "sadness", "neutral"', '"neutral", "happiness", "sadness"'), encoding="utf-8"
    )
    assert "against" in emolab("train")["reason"]
    file.write_text(text.replace('"neutral"]', '"neutral", "fear"]'), encoding="utf-8")
    made = emolab("train")
    assert (made["alias"], made["reason"]) == ("candidate", "the champion has other classes")


def test_a_pretraining_before_the_first_votes_leaves_samples_to_compare_on(make: Any) -> None:
    _, emolab = make(("happiness", "sadness", "neutral"), QUICK, n=120)
    emolab("pretrain", "--epochs", "1")  # nothing is held out yet, so it sees all images
    made = emolab("train", "--set", "training.weights=pretrained")
    n = made["valid"]["n"]
    assert made["compared"]["against"] == "the head solved on tiny"
    assert (made["compared"]["n"], made["compared"]["learned"], "difference" in made["compared"]) == (n, 0, True)
    assert (made["learned"]["n"], made["learned"]["left"]) == (n, 0)  # figures are marked all the same
    later = emolab("train", "--set", "training.seed=1", "--set", "training.epochs=1")
    assert (later["compared"]["n"], later["learned"]["n"]) == (n, 0)


@pytest.mark.parametrize("objective", ["accuracy", "balanced"])
def test_a_solved_head_is_compared_as_it_would_be_kept(make: Any, objective: str) -> None:
    workspace, emolab = make(("bar", "baz", "qux"), f'{FACE48}\nobjective = "{objective}"', n=90)
    with workspace.catalog() as catalog, catalog.begin() as tx:  # one class is frequent, so offsets matter
        often = [sample.id for sample in samples.iterate(tx)][:45]
        votes.append(tx, [Vote(sample_id=one, annotator=who, label="bar", origin=f"m:{who}:{one}") for one in often
                          for who in ("cho", "dan", "eve")])  # fmt: skip
    made = emolab("train")
    assert made["alias"] == "candidate", "nothing but the head can have been learned"
    kept = emolab("models", "show")["metrics"]["valid"]
    for key in ("macro_f1", "accuracy", "nll"):
        assert made["compared"]["old"][key] == pytest.approx(kept[key], rel=1e-6)


def test_a_champion_with_the_classes_in_another_order_serves_inspect_and_advice(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, emolab = make(TURNED, FACE48, n=0)
    labelled_by_face48(workspace, 48)
    assert emolab("train")["compared"]["against"] == "face48"  # which stays: nothing was learned
    with workspace.catalog() as catalog, catalog.connect() as conn:
        model = models.get(conn, "champion")
    assert model.classes == TURNED[::-1]
    labels = current_labels(workspace)
    told = dict(zip(labels.samples, labels.hard.tolist(), strict=True))
    for _ in range(2):  # computed, then read
        found = predictions_to_show(workspace, "champion", SILENT)
        assert found is not None and found.classes == TURNED
        assert found.probs.argmax(axis=1).tolist() == [told[sample] for sample in found.samples]
    monkeypatch.setattr("emolab.active_learning.advice.advice.FEWEST", 5)
    material = gather(workspace, model, labels, SILENT)
    assert isinstance(material, Material) and material.data.known is not None
    weight, bias = material.data.known
    guess = (material.data.features @ weight.T + bias).argmax(axis=1)
    assert (guess == material.data.hard).mean() > 0.9, "rows of the head stand in the order of the labels"
