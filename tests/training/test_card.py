"""Bundled models and model cards."""

from __future__ import annotations

import doctest
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from emolab.catalog import samples
from emolab.catalog.storage import schema
from emolab.cli.main import run
from emolab.errors import DataError
from emolab.inference import model_document
from emolab.loop.model.train import train
from emolab.provenance import told_texts
from emolab.training.judging.card import card
from emolab.training.networks import bundled
from emolab.training.predict import load
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that is no workspace."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_card_of_a_trained_model_names_its_data_its_figures_and_its_settings(workspace: Workspace) -> None:
    fill_workspace(workspace)
    model = train(configure(workspace, QUICK + "\ntensorboard = false")).model
    text = card(workspace.root / model.path)
    valid = model.metrics["valid"]
    assert text.startswith(f"# Model {model.id[:12]}\n")
    assert f"from {model.metrics['n_train']} samples (snapshot {model.snapshot[:12]})" in text
    assert f"n = {valid['n']}, accuracy {valid['accuracy']:.1%}, macro-F1 {valid['macro_f1']:.3f}" in text
    assert all(f"| {row['class']} |" in text for row in valid["per_class"])
    assert "(few)" in text
    assert "epochs 3" in text


#: Bytes of a bundled model, and what its card says of how it was judged.
LARGEST = {"face48": 3_200_000, "voice16": 3_000_000}
JUDGED = {"face48": "## On FER+ valid", "voice16": "by one of five models"}


@pytest.mark.parametrize("name", bundled.names())
def test_a_bundled_model_predicts_and_has_a_card_without_a_workspace(
    name: str, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bundled.folder(name)
    assert folder is not None
    sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
    assert sizes.pop(bundled.SERVED, 0) <= 6_000_000  # the same weights in single precision
    assert sum(sizes.values()) <= LARGEST[name]
    predictor = load(folder)
    images = np.random.default_rng(0).integers(0, 256, (3, *predictor.checkpoint.preprocessing.shape), dtype=np.uint8)
    probs, features = predictor.probabilities(images)
    assert np.isfinite(features).all()
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-5)
    assert run(["models", "card", name, "--json"]) == 0
    text = json.loads(capsys.readouterr().out)["card"]
    for heading in (f"# {name}\n", "## Purpose", "## Data and licence", "## Limits", JUDGED[name]):
        assert heading in text
    assert "is not recorded" not in text
    assert list(outside.iterdir()) == []


def test_face48_is_bundled() -> None:
    assert "face48" in bundled.names()
    assert bundled.folder("champion") is None


def test_fine_tuning_starts_with_the_heads_rows_of_classes_known_by_name() -> None:
    import torch
    from torch import nn

    from emolab.training.networks.backbones import weights_file
    from emolab.training.networks.weights import read, start_head

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

    from emolab.training.networks.weights import start_head

    save_file({"head.weight": zeros(2, 4), "head.bias": zeros(2)}, tmp_path / "plain.safetensors")
    head = nn.Linear(4, 2)
    before = head.weight.detach().clone()
    assert start_head(head, ("anger", "fear"), tmp_path / "plain.safetensors") == ()
    assert (head.weight == before).all()


def test_the_card_of_a_solved_head_tells_of_no_epochs_and_no_rates(workspace: Workspace) -> None:
    fill_workspace(workspace)
    settings = QUICK.replace('"tiny"', '"hog"') + '\nmode = "head"\ntensorboard = false'
    model = train(configure(workspace, settings)).model
    text = card(workspace.root / model.path)
    assert "backbone hog, weights default, mode head, objective accuracy" in text
    assert f"head solved with penalty {model.metrics['solved']['penalty']:.2g}" in text
    assert not [word for word in ("epoch", "optimizer", "lr ", "augmentation", "batch") if word in text]
    assert "Chosen on the same ones: temperature " in text


@pytest.mark.slow
def test_the_card_says_that_the_epoch_was_chosen_only_where_it_was(workspace: Workspace) -> None:
    """With fewer than fifty validation samples the last epoch is kept."""
    fill_workspace(workspace)
    model = train(configure(workspace, QUICK + "\ntensorboard = false")).model
    assert model.metrics["valid"]["n"] < 50
    assert "Chosen on the same ones: temperature " in card(workspace.root / model.path)
    folder = bundled.folder("face48")
    assert folder is not None
    temperature = f"temperature {model_document.describe(folder).temperature:.3f}"
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
    from emolab.errors import DataError
    from emolab.modalities.image import detector_weights as weights

    def missing(path: str, **options: object) -> Path:
        raise DataError(f"asked for the detector {path!r}")

    monkeypatch.setattr(weights, "detector", missing)
    Image.new("RGB", (300, 200), "gray").save(outside / "a.png")
    assert run(["predict", "face48", "a.png", "--faces", "all"]) == 1
    assert "asked for the detector ''" in capsys.readouterr().err


# --- where a trained model comes from -------------------------------------------------------------------------------


def documented(workspace: Workspace, *, setup: str = QUICK) -> Workspace:
    """60 images: photos of three people with a consent, a merged source with a licence, a person's own text."""
    fill_workspace(workspace, 60)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.set_source(tx, "open_faces", supported=None, licence="CC BY 4.0, see /data/open/LICENSE.txt")
        for number, sample in enumerate(list(samples.iterate(tx))):
            person = ("anna", "boris", "chen")[number % 3]
            values: dict[str, str | None]
            if number % 2:
                consent = f"{person} signed at home" if number < 6 else "agreed to research use, forms at lab@uni.org"
                values = {"group": person, "consent": consent, "name": f"{person}/IMG_{number}.png", "source": "photos"}
            else:
                values = {"source": "open_faces", "name": f"web_{number}.jpg"}
            tx.execute(update(schema.samples).where(schema.samples.c.id == sample.id).values(**values))
    return configure(workspace, setup.replace("epochs = 3", "epochs = 1") + "\ntensorboard = false")


def test_the_card_of_a_trained_model_tells_purpose_sources_consent_classes_start_and_limits(
    workspace: Workspace, tmp_path: Path
) -> None:
    model = train(documented(workspace)).model
    folder = shutil.copytree(workspace.root / model.path, tmp_path / "elsewhere")
    shutil.rmtree(workspace.state)
    text = card(folder)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[1:6] == ["## Purpose", "## Data and licence", "## What it started from", "## Limits", "## Figures"]
    plain = " ".join(text.split())
    for words in (
        "images like those of the project “faces”",
        "Not for decisions about people",
        "**photos**",
        "**open_faces**",
        "Licence: “CC BY 4.0, see [...]” (30 samples)",
        "Consent: “agreed to research use, forms at [...]” (27 samples); 3 other texts, not repeated here",
        "nothing on record for 30 samples",
        "Labels were made by hybrid, min. votes 1; 2 people voted.",
        "Training started from random weights.",
        "Few samples to learn from: happiness (",
        "3 people, videos or sessions; none is both trained and validated on, but for 30 samples it is not known",
        "No test samples were kept apart",
    ):
        assert words in plain, text
    rows = model_document.describe(folder).about["classes"]
    assert sum(row["train"] + row["valid"] for row in rows) == 60
    assert sum(row["votes_train"] + row["votes_valid"] for row in rows) == 120
    for row in rows:
        assert (
            f"| {row['class']} | {row['train']} | {row['votes_train']} | {row['valid']} | {row['votes_valid']} |"
            in text
        )


def test_the_card_and_its_facts_name_no_person_no_file_and_no_pseudonym(workspace: Workspace) -> None:
    model = train(documented(workspace)).model
    folder = workspace.root / model.path
    told = card(folder) + json.dumps(model_document.describe(folder).about)
    for private in (
        "anna",
        "boris",
        "chen",
        "IMG_",
        "web_",
        "lab@uni.org",
        "/data/open",
        "ann ",
        "bob",
        "signed at home",
    ):
        assert private not in told, private


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ('backbone = "hog"', "Training started from features that are computed, not learned."),
        ('backbone = "tiny"\nweights = "none"', "Training started from random weights."),
        ('backbone = "face48"\nmode = "head"\nsize = 48', "* face48: Trained on the FER+ training split"),
    ],
)
def test_the_card_says_what_a_training_started_from(workspace: Workspace, settings: str, expected: str) -> None:
    setup = QUICK.replace('backbone = "tiny"\n', "").replace("size = 16\n", "")
    model = train(documented(workspace, setup=f"{settings}\n{setup}")).model
    assert expected in card(workspace.root / model.path)


@pytest.mark.slow
def test_a_licence_caveat_is_handed_down_from_model_to_model_and_from_teachers(workspace: Workspace) -> None:
    setup = QUICK.replace('"tiny"', '"face48"').replace("size = 16\n", "") + '\nmode = "head"'
    first = train(documented(workspace, setup=setup)).model
    caveat = "treat face48 as research use"
    assert caveat in card(workspace.root / first.path)
    weights = workspace.root / first.path / "model.safetensors"

    def trained(*overrides: str) -> str:
        return card(workspace.root / train(Workspace.open(workspace.root, overrides=overrides)).model.path)

    text = trained(f"training.weights={weights}", "training.seed=3")
    assert f"Training started from model {first.id[:10]}, which began with face48." in text
    assert caveat in text
    text = trained(
        "training.backbone=tiny", "training.mode=full", "training.size=16", f"training.teacher={first.id[:12]}"
    )
    assert f"Training started from random weights. It also learned from the answers of model {first.id[:10]}." in text
    assert caveat in text


def test_a_model_of_an_earlier_emolab_still_has_a_card_that_says_what_is_not_known(workspace: Workspace) -> None:
    model = train(documented(workspace)).model
    file = workspace.root / model.path / model_document.DOCUMENT
    document = json.loads(file.read_text(encoding="utf-8"))
    del document["about"]
    for backbone, weights, words in (
        ("tiny", "none", "Training started from random weights."),
        ("face48", "default", "treat face48 as research use"),
        ("mobilenet_v2", "default", "Training started from the published weights of mobilenet_v2."),
        ("tiny", "model.safetensors sha256:00", "Training started from weights that are not on record."),
    ):
        document["plan"] |= {"backbone": backbone, "weights": weights}
        file.write_text(json.dumps(document), encoding="utf-8")
        text = card(file.parent)
        assert "Sources, licences, consent and votes were not kept when this model was made" in text
        assert words in " ".join(text.split())
        assert "Not for decisions about people" in text and "## Limits" in text


@pytest.mark.slow
@pytest.mark.parametrize("about", ["[]", '"x"', "1"])
def test_facts_of_the_wrong_kind_are_a_damaged_document(workspace: Workspace, about: str) -> None:
    model = train(documented(workspace)).model
    file = workspace.root / model.path / model_document.DOCUMENT
    document = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**document, "about": json.loads(about)}), encoding="utf-8")
    with pytest.raises(DataError, match="is damaged: about is of the wrong kind"):
        card(file.parent)


def test_private_words_are_blotted_out() -> None:
    assert doctest.testmod(told_texts).failed == 0
    assert told_texts.clean("x" * 400).endswith("…")
    assert told_texts.clean("Anna Berg", ["Anna"]) == "[name] Berg"
    assert told_texts.clean("C:\\faces\\ann\\1.png of MIT licence") == "[...] of MIT licence"
    assert told_texts.clean("annotated by hand", ["ann"]) == "annotated by hand"
