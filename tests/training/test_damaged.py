"""Damaged media: all of them named at once with what to type, or left out and counted; never trained on silently."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emolab.catalog import samples, votes
from emolab.cli.main import run
from emolab.config import TrainingConfig
from emolab.errors import ConfigError, DamagedMedia, DataError
from emolab.loop.model.train import train
from emolab.modalities.preparing import Preprocessing
from emolab.records import Sample, Vote
from emolab.training.inputs import media_check, pixel_cache
from emolab.training.runs import run_folders
from emolab.training.simulation_trainer import preprocessing
from emolab.workspace import Workspace
from tests.support.heard import Heard
from tests.support.learnable import QUICK, bars, configure, fill_workspace, png

SETTINGS = QUICK.replace("epochs = 3", "epochs = 1") + "\ntensorboard = false"
OTHER = png(bars(1, 3, seed=123)[0][0])


def folder_in_its_place(file: Path) -> None:
    file.unlink()
    file.mkdir()


KINDS: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda f: f.write_bytes(f.read_bytes()[:100]), "cannot be read as an image: "),
    "cut off by one byte": (lambda f: f.write_bytes(f.read_bytes()[:-1]), ""),
    "empty": (lambda f: f.write_bytes(b""), "is empty"),
    "text": (lambda f: f.write_text("not a picture"), "cannot be read as an image"),
    "missing": (lambda f: f.unlink(), "is missing"),
    "a folder": (folder_in_its_place, "is a folder"),
    "another image": (lambda f: f.write_bytes(OTHER), "holds another image than was collected"),
    "bytes behind": (lambda f: f.write_bytes(f.read_bytes() + b"x"), "holds another image than was collected"),
}


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    fill_workspace(workspace)
    return configure(workspace, SETTINGS)


def files(workspace: Workspace) -> list[Path]:
    return sorted(workspace.media.glob("*.png"))


def emolab(workspace: Workspace, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["-w", str(workspace.root), *arguments])
    return code, *capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_damage_is_found_before_training_and_named_with_the_fix(ready: Workspace, name: str) -> None:
    harm, reason = KINDS[name]
    victim = files(ready)[5]
    harm(victim)
    with pytest.raises(DamagedMedia) as error:
        train(ready)
    assert error.value.message.startswith(f"1 of 48 media files is damaged:\n  {victim}: {reason}")
    assert error.value.hint is not None
    assert "emolab collect PATH" in error.value.hint and "--set training.damaged=leave_out" in error.value.hint
    assert not list(run_folders.root(ready).glob("*")), "no run was begun"


def test_all_of_them_are_named_at_once_and_the_others_are_decoded_only_once(
    ready: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for file, (harm, _) in zip(files(ready), KINDS.values(), strict=False):
        harm(file)
    for file in files(ready)[-6:]:
        file.write_bytes(b"")
    code, out, err = emolab(ready, capsys, "train", "--json")
    assert code == 1
    assert "14 of 48 media files are damaged:" in err and "and 4 more; --json lists all of them." in err
    assert len([line for line in err.splitlines() if line.startswith("  /")]) == 10
    told = json.loads(out)["damaged"]
    assert len(told) == 14 and {"sample", "file", "problem"} == told[0].keys()
    decoded: list[str] = []
    whole = media_check.pixels

    def counted(sample: str, *rest: Any) -> Any:
        decoded.append(sample)
        return whole(sample, *rest)

    monkeypatch.setattr(media_check, "pixels", counted)
    code, _, err = emolab(ready, capsys, "train", "--set", "training.damaged=leave_out")
    assert code == 0, err
    assert sorted(decoded) == sorted(row["sample"] for row in told), "of the rest the pixels were kept"


def test_left_out_is_said_and_counted_and_nothing_of_them_is_learned(ready: Workspace) -> None:
    gone = files(ready)[:5]
    for file in gone:
        file.write_bytes(b"x")
    heard = Heard()
    trained = train(Workspace.open(ready.root, overrides=["training.damaged=leave_out"]), progress=heard)
    assert trained.checkpoint.metrics["n_train"] + trained.checkpoint.metrics["valid"]["n"] == 43
    (line,) = [line for line in heard.warnings if "damaged" in line]
    assert line.startswith("Left out, because their files are damaged: 5 of 48 samples. The first is ")
    assert "cannot be read as an image" in line


def test_without_enough_whole_files_there_is_nothing_to_train_on(ready: Workspace) -> None:
    for file in files(ready)[1:]:
        file.write_bytes(b"")
    with pytest.raises(DataError, match="Without 47 samples fewer than 2 are left to train on"):
        train(Workspace.open(ready.root, overrides=["training.damaged=leave_out"]))


def test_a_word_that_is_no_setting_is_refused(ready: Workspace) -> None:
    with pytest.raises(ConfigError, match=r'training\.damaged is "skip"; expected one of stop, leave_out'):
        train(Workspace.open(ready.root, overrides=["training.damaged=skip"]))


def test_a_jpeg_broken_inside_is_not_filled_with_gray_in_silence(ready: Workspace) -> None:
    """Its ends are as they should be, and decoders that are kind to it make something up."""
    rng = np.random.default_rng(0)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(out, "JPEG", quality=90)
    data = bytearray(out.getvalue())
    name = hashlib.sha256(data).hexdigest()
    file = ready.media / f"{name}.jpg"
    half = len(data) // 2
    data[half : half + 400] = bytes(400)
    file.write_bytes(data)
    with ready.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=name, media=file.relative_to(ready.root).as_posix())])
        votes.append(tx, [Vote(sample_id=name, annotator="ann", label="neutral", origin="o")])
    with pytest.raises(DamagedMedia, match="1 of 49 media files is damaged"):
        train(ready)


def test_a_file_that_may_not_be_read_says_so(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    locked, whole = files(ready)[3], Path.read_bytes

    def refused(self: Path) -> bytes:
        if self == locked:
            raise PermissionError(13, "Permission denied", str(self))
        return whole(self)

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(DamagedMedia, match=r"may not be read \(permission denied\)"):
        train(ready)


@pytest.fixture
def trained(ready: Workspace) -> Workspace:
    train(ready)
    return ready


def add_pool(workspace: Workspace, n: int = 6) -> list[Path]:
    """Unlabelled images of which the first and the third are damaged."""
    made = []
    with workspace.catalog() as catalog, catalog.begin() as tx:
        for image in bars(n, 3, seed=77)[0]:
            data = png(image)
            name = hashlib.sha256(data).hexdigest()
            file = workspace.media / f"{name}.png"
            file.write_bytes(data)
            samples.add(tx, [Sample(id=name, media=file.relative_to(workspace.root).as_posix())])
            made.append(file)
    made[0].write_bytes(made[0].read_bytes()[:60])
    made[2].write_bytes(OTHER)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["margin", "coreset", "badge", "typiclust", "uherding", "auto"])
def test_suggest_names_all_damaged_files_or_proposes_none_of_them(
    trained: Workspace, capsys: pytest.CaptureFixture[str], strategy: str
) -> None:
    pool = add_pool(trained)
    code, _, err = emolab(trained, capsys, "suggest", "-n", "3", "--strategy", strategy)
    assert code == 1
    assert "2 of 54 media files are damaged:" in err
    assert str(pool[0]) in err and str(pool[2]) in err
    leave = ("--set", "training.damaged=leave_out")
    code, out, err = emolab(trained, capsys, "suggest", "-n", "3", "--strategy", strategy, *leave, "--json")
    assert code == 0, err
    assert "2 of 2 samples" in err, "what was predicted before the stop is kept"
    proposed = {row["sample"] for row in json.loads(out)["suggestions"]}
    assert proposed <= {file.stem for file in pool} - {pool[0].stem, pool[2].stem}


def test_evaluate_counts_what_it_cannot_read(trained: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    harmed = files(trained)[::4]
    for number, file in enumerate(harmed):
        file.write_bytes(OTHER if number % 2 else b"")
    left = 0
    for split in ("train", "valid"):
        code, out, err = emolab(trained, capsys, "evaluate", "champion", "--on", split, "--json")
        assert code == 0, err
        found = json.loads(out)
        left += found["unreadable"]
        assert all(
            ": is empty" in line or ": holds another image than was collected" in line for line in found["errors"]
        )
    assert left == len(harmed)


def test_pretraining_stops_or_leaves_out(ready: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    for file in files(ready)[:3]:
        file.write_bytes(b"broken")
    command = ["pretrain", "--epochs", "1", "--set", "training.backbone=tiny"]
    code, _, err = emolab(ready, capsys, *command)
    assert code == 1 and "3 of 48 media files are damaged:" in err
    code, out, err = emolab(ready, capsys, *command, "--set", "training.damaged=leave_out", "--json")
    assert code == 0, err
    assert json.loads(out)["images"] == 45


@pytest.mark.slow
@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_export_stops_or_calibrates_and_is_checked_on_the_rest(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], precision: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    fill_workspace(workspace, 320)
    here = configure(workspace, SETTINGS.replace("epochs = 1", "epochs = 4"))
    train(here)
    for store in here.cache.glob("pixels-*/*"):
        store.unlink()
    with here.catalog() as catalog, catalog.connect() as conn:
        chosen = [next(iter(samples.iterate(conn, split=split))) for split in ("train", "valid")]
        valid = len(list(samples.iterate(conn, split="valid")))
    for sample in chosen:
        here.locate(sample.media).write_bytes(b"")
    command = ["export", "champion", "--to", "onnx", "--precision", precision, "--out", str(tmp_path / "model.onnx")]
    code, _, err = emolab(here, capsys, *command)
    assert code == 1 and f"2 of {valid + 256:,} media files are damaged:" in err
    code, out, err = emolab(here, capsys, *command, "--set", "training.damaged=leave_out", "--json")
    assert code == 0, err
    assert json.loads(out)["parity"]["n"] == valid - 1


@pytest.mark.slow
def test_advice_stops_with_a_fix_of_its_own(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    fill_workspace(workspace, 400)
    here = configure(workspace, SETTINGS.replace('"tiny"', '"hog"') + '\nmode = "head"')
    train(here)
    for store in here.cache.glob("*/*"):
        store.unlink()
    files(here)[0].write_bytes(b"")
    code, _, err = emolab(here, capsys, "suggest", "--advise")
    assert code == 1
    assert "1 of 400 media files is damaged:" in err and "Advice leaves no labelled sample out." in err
    assert "leave_out" not in err


@pytest.mark.slow
@pytest.mark.parametrize("name", [kind for kind in KINDS if kind != "a folder"])
def test_collecting_the_originals_again_repairs_them(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    """The second collect knows these inputs by date and size, and must read them all the same."""
    originals = tmp_path / "originals"
    originals.mkdir()
    images, truth = bars(24, 3)
    for number, image in enumerate(images):
        (originals / f"{number}.png").write_bytes(png(image))
    here = configure(workspace, SETTINGS)
    collect = ["collect", str(originals), "--faces", "off"]
    assert emolab(here, capsys, *collect)[0] == 0
    with here.catalog() as catalog, catalog.begin() as tx:
        classes = here.config.project.classes
        votes.append(
            tx,
            [
                Vote(sample_id=s.id, annotator="ann", label=classes[truth[int(Path(s.name or "").stem)]], origin=s.id)
                for s in samples.iterate(tx)
            ],
        )
        media = [here.locate(sample.media) for sample in samples.iterate(tx)]
    before = {file: file.read_bytes() for file in media}
    KINDS[name][0](media[4])
    assert emolab(here, capsys, "train")[0] == 1
    assert here.damaged.is_file()
    assert emolab(here, capsys, *collect)[0] == 0
    assert {file: file.read_bytes() for file in media} == before
    code, _, err = emolab(here, capsys, "train")
    assert code == 0, err
    assert here.damaged.read_text() == ""


def test_what_was_decoded_before_needs_its_file_but_not_again_its_content(ready: Workspace) -> None:
    media = {file.stem: file for file in files(ready)}
    wanted, ids = Preprocessing(16, "gray"), list(media)
    assert pixel_cache.find_damaged(ready.cache, ids, media.__getitem__, wanted) == {}
    media[ids[0]].unlink()
    assert pixel_cache.find_damaged(ready.cache, ids, media.__getitem__, wanted) == {ids[0]: "is missing"}


def test_a_damaged_image_of_a_data_set_is_named_too(tmp_path: Path) -> None:
    ids = [f"{number:064x}" for number in range(4)]
    media = dict(zip(ids, (OTHER, b"broken", OTHER, b""), strict=True))
    assert preprocessing(list(media.values()), TrainingConfig(backbone="tiny")).color == "gray"
    with pytest.raises(DamagedMedia, match=f"2 of 4 media files are damaged:\n  sample {ids[1][:10]}: cannot be read"):
        pixel_cache.fill(tmp_path, ids, media.__getitem__, Preprocessing(16, "gray"))
