"""Where figures would rest on learned images: merge, evaluate and simulate say so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emolab.catalog import samples
from emolab.cli.main import run
from emolab.demonstration.drawn_faces import draw_faces
from emolab.inference import model_document
from emolab.training import checkpoint
from emolab.training.learned import fingerprints, learned_images
from emolab.training.learned.learned_images import Learned
from emolab.training.networks import bundled
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace

Command = Callable[..., Any]


@pytest.fixture
def emolab(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command; its JSON, or (exit code, what was said) with ``raw=True``."""

    def call(*arguments: str | Path, raw: bool = False) -> Any:
        capsys.readouterr()
        code = run([*map(str, arguments), *(() if raw else ("--json",))])
        out, err = capsys.readouterr()
        if raw:
            return code, " ".join(err.split())
        assert code == 0, err
        return json.loads(out)

    return call


def folder_of_faces(root: Path, n: int, *, seed: int = 0) -> Path:
    """Drawn faces in two folders."""
    for i, face in enumerate(draw_faces(n, np.random.default_rng(seed))):
        place = root / ("happiness", "sadness")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{seed}-{i}.png").write_bytes(face.png)
    return root


@pytest.fixture
def knowing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 40 faces, 30 of which the bundled face48 has learned for the time of a test."""
    faces = folder_of_faces(tmp_path / "open_faces", 40)
    known = sorted(faces.rglob("*.png"))[:30]
    root = tmp_path / "pretrained" / "face48"
    root.mkdir(parents=True)
    for file in (bundled.ROOT / "face48").iterdir():
        (root / file.name).write_bytes(file.read_bytes())
    learned_images.write(
        root / learned_images.FILE, Learned().with_images(fingerprints.of_media(list(known)), "thirty faces")
    )
    monkeypatch.setattr(bundled, "ROOT", root.parent)
    return faces


@pytest.mark.slow
def test_merge_says_how_many_images_the_start_network_has_learned(
    knowing: Path, tmp_path: Path, emolab: Command
) -> None:
    Workspace.init(tmp_path / "w", classes=("happiness", "sadness"))
    words = ("-w", tmp_path / "w", "merge", "image_folder", knowing)
    told = emolab(*words, "--dry-run")["learned"]
    assert (told["by"], told["n"], told["of"]) == ("face48", 30, 40)
    first = emolab(*words)["learned"]
    assert (first["n"], first["of"], first["unknown"]) == (30, 40, [])
    assert emolab(*words)["learned"] == first  # again: all of them known already
    code, said = emolab(*words, "--name", "twice", raw=True)
    assert code == 0
    assert "face48 has learned 30 of these 40 images: figures on them" in said
    assert "flatter" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    ["training.backbone=tiny", "training.backbone=hog", "training.weights=none", "training.backbone=resnet18"],
)
def test_merge_says_nothing_where_the_start_network_has_learned_nothing(
    knowing: Path, tmp_path: Path, emolab: Command, setting: str
) -> None:
    Workspace.init(tmp_path / "w", classes=("happiness", "sadness"))
    assert emolab("-w", tmp_path / "w", "merge", "image_folder", knowing, "--set", setting)["learned"] is None


@pytest.mark.slow
def test_merge_of_other_faces_says_nothing_and_a_damaged_record_is_said(
    knowing: Path, tmp_path: Path, emolab: Command
) -> None:
    Workspace.init(tmp_path / "w", classes=("happiness", "sadness"))
    others = folder_of_faces(tmp_path / "others", 40, seed=9)
    assert "has learned" not in emolab("-w", tmp_path / "w", "merge", "image_folder", others, raw=True)[1]
    (bundled.ROOT / "face48" / learned_images.FILE).write_bytes(b"?")
    _, said = emolab("-w", tmp_path / "w", "merge", "image_folder", knowing, raw=True)
    assert "Unknown: the record of what face48 learned from is damaged" in said


@pytest.mark.slow
def test_evaluate_on_a_dataset_gives_the_figures_again_without_learned_images(knowing: Path, emolab: Command) -> None:
    more = folder_of_faces(knowing, 60, seed=8)
    found = emolab("evaluate", "face48", "--on", f"image_folder:{more}")
    n = found["learned"]["n"]
    assert 30 <= n <= 32  # drawn faces resemble one another
    assert found["learned"]["without"]["n"] == found["learned"]["left"] == 100 - n
    _, said = emolab("evaluate", "face48", "--on", f"image_folder:{more}", raw=True)
    assert f"{n} of 100 samples were learned by this model: accuracy" in said


@pytest.mark.slow
def test_evaluate_with_few_images_left_says_so_instead_of_figures(knowing: Path, emolab: Command) -> None:
    found = emolab("evaluate", "face48", "--on", f"image_folder:{knowing}")
    assert (found["learned"]["n"], found["learned"]["left"], found["learned"]["without"]) == (30, 10, None)
    _, said = emolab("evaluate", "face48", "--on", f"image_folder:{knowing}", raw=True)
    assert "30 of 40 samples were learned by this model, which flatters it; 10 others are too few for figures." in said


@pytest.mark.slow
def test_evaluate_on_splits_marks_what_was_trained_on(workspace: Workspace, emolab: Command) -> None:
    fill_workspace(workspace, 48)
    configure(workspace, QUICK + "\ntensorboard = false")
    where = ("-w", workspace.root)
    made = emolab(*where, "train")
    assert emolab(*where, "evaluate", "champion", "--on", "train")["learned"]["n"] == made["n_train"]
    assert emolab(*where, "evaluate", "champion", "--on", "valid")["learned"]["n"] == 0
    _, said = emolab(*where, "evaluate", "champion", "--on", "train", raw=True)
    assert f"{made['n_train']} of {made['n_train']} samples were learned by this model" in said
    with workspace.catalog() as catalog, catalog.begin() as tx:
        moved = [sample.id for sample in samples.iterate(tx, split="train")][:7]
        samples.set_splits(tx, dict.fromkeys(moved, "test"))
    assert emolab(*where, "evaluate", "champion", "--on", "test")["learned"]["n"] == 7
    (workspace.root / made["path"] / learned_images.FILE).unlink()
    found = emolab(*where, "evaluate", "champion", "--on", "test")["learned"]
    assert (found["n"], len(found["unknown"])) == (0, 1)
    assert (
        "has no record of what it learned from" in emolab(*where, "evaluate", "champion", "--on", "test", raw=True)[1]
    )


@pytest.mark.slow
def test_evaluate_recognises_a_copy_in_another_size(workspace: Workspace, emolab: Command, tmp_path: Path) -> None:
    from PIL import Image

    fill_workspace(workspace, 48)
    configure(workspace, QUICK + "\ntensorboard = false")
    emolab("-w", workspace.root, "train")
    with workspace.catalog() as catalog, catalog.connect() as conn:
        train = [workspace.root / sample.media for sample in samples.iterate(conn, split="train")]
    place = tmp_path / "copies" / "happiness"
    place.mkdir(parents=True)
    for i, file in enumerate(train):
        Image.open(file).resize((96, 96), Image.Resampling.BICUBIC).save(place / f"{i}.jpg", quality=95)
    found = emolab("-w", workspace.root, "evaluate", "champion", "--on", f"image_folder:{tmp_path / 'copies'}")
    assert found["learned"]["n"] >= 0.9 * len(train)


@pytest.mark.slow
def test_simulate_refuses_learned_images_whatever_they_are_called(
    knowing: Path, emolab: Command, tmp_path: Path
) -> None:
    code, said = emolab("simulate", f"image_folder:{knowing}", "--out", tmp_path / "sim", raw=True)
    assert code == 1
    assert "face48 has learned 30 of these 40 images, so a campaign on them would know the answers" in said
    assert "training.backbone=mobilenet_v2" in said


@pytest.mark.slow
def test_a_pretraining_hands_its_images_on(workspace: Workspace, emolab: Command) -> None:
    fill_workspace(workspace, 48)
    configure(workspace, QUICK + "\ntensorboard = false")
    where = ("-w", workspace.root)
    emolab(*where, "train")  # fills the splits
    emolab(*where, "pretrain", "--epochs", "1")
    with workspace.catalog() as catalog, catalog.begin() as tx:
        train = [sample.id for sample in samples.iterate(tx, split="train")]
        held = [sample.id for sample in samples.iterate(tx, split="valid")]
        samples.set_splits(tx, {**dict.fromkeys(held, "train"), **dict.fromkeys(train[:10], "valid")})
    made = emolab(*where, "train", "--set", "training.weights=pretrained")
    assert made["learned"]["n"] == 10
    assert len(learned_images.read(workspace.root / made["path"] / learned_images.FILE, of="it").layers) == 2
    weights = next((workspace.state / "pretrained").glob("*.safetensors"))
    assert model_document.DOCUMENT not in {file.name for file in weights.parent.iterdir()}


@pytest.mark.slow
def test_a_teacher_hands_on_what_it_has_learned(workspace: Workspace, emolab: Command) -> None:
    fill_workspace(workspace, 48)
    configure(workspace, QUICK + "\ntensorboard = false")
    where = ("-w", workspace.root)
    emolab(*where, "train")
    with workspace.catalog() as catalog, catalog.begin() as tx:
        train = [sample.id for sample in samples.iterate(tx, split="train")]
        held = [sample.id for sample in samples.iterate(tx, split="valid")]
        samples.set_splits(tx, {**dict.fromkeys(held, "train"), **dict.fromkeys(train[:10], "valid")})
    made = emolab(*where, "train", "--set", "training.teacher=champion")
    assert made["learned"]["n"] == 10
    strange = emolab(*where, "train", "--set", f"training.weights={weights_without_record(workspace)}")
    assert any("weights file loose.safetensors" in line for line in strange["learned"]["unknown"])


def weights_without_record(workspace: Workspace) -> Path:
    """The weights of the champion as a file of their own, with nothing beside them."""
    folder = next(file.parent for file in workspace.models.glob(f"*/{checkpoint.WEIGHTS}"))
    loose = workspace.root / "loose.safetensors"
    loose.write_bytes((folder / checkpoint.WEIGHTS).read_bytes())
    return loose
