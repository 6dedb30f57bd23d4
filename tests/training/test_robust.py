"""What goes wrong with a training: damaged files, a full disk, odd sets of labels. A clear error or a sane result."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emolab.catalog import samples, votes
from emolab.cli.main import run
from emolab.errors import DataError, EmolabError
from emolab.loop.model.train import train
from emolab.records import Sample, Vote
from emolab.taxonomy import MOST_CLASSES
from emolab.training import checkpoint
from emolab.training.fitting import fit
from emolab.training.fitting.fitted import Fitted
from emolab.training.networks import backbones, bundled
from emolab.training.networks.classifier import Classifier
from emolab.training.networks.weights import load_into
from emolab.training.predict import load
from emolab.training.runs import run_folders, runs, state
from emolab.workspace import Workspace
from tests.support.heard import Heard
from tests.support.learnable import QUICK, bars, configure, fill_workspace, png, problem, quick


class Stopped(Exception):
    pass


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with 48 labelled bar images and settings that train within seconds."""
    made = Workspace.init(tmp_path_factory.mktemp("filled") / "faces", classes=("happiness", "sadness", "neutral"))
    fill_workspace(made)
    return configure(made, QUICK + "\ntensorboard = false").root


@pytest.fixture(scope="module")
def stopped_before(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an unfinished run, of two epochs."""
    root = Path(shutil.copytree(filled, tmp_path_factory.mktemp("unfinished") / "faces"))
    stopped_run(Workspace.open(root))
    return root


@pytest.fixture(scope="module")
def trained_before(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a champion."""
    root = Path(shutil.copytree(filled, tmp_path_factory.mktemp("trained") / "faces"))
    train(Workspace.open(root))
    return root


@pytest.fixture
def ready(filled: Path, tmp_path: Path) -> Workspace:
    """A copy for one test."""
    return copied(filled, tmp_path)


def copied(root: Path, folder: Path) -> Workspace:
    """A workspace like the one in ``root`` for one test."""
    return Workspace.open(Path(shutil.copytree(root, folder / "faces")))


@pytest.fixture(scope="module")
def after_three_epochs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of four epochs that was stopped after the third."""

    def stop(row: dict[str, object]) -> None:
        if row["epoch"] == 3:
            raise Stopped

    folder = tmp_path_factory.mktemp("stopped") / "run"
    pixels, data = problem()
    with pytest.raises(Stopped):
        fit.fit(pixels, data, quick(epochs=4), folder, watch=stop)
    return folder


@pytest.fixture
def halfway(after_three_epochs: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(after_three_epochs, tmp_path / "run"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """What the same run gives when nobody stops it."""
    pixels, data = problem()
    return fit.fit(pixels, data, quick(epochs=4), tmp_path_factory.mktemp("whole"))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    """Change one bit in the last quarter: of a tensor, or of a number in a document."""
    content = bytearray(file.read_bytes())
    content[-len(content) // 4] ^= 1
    file.write_bytes(bytes(content))


def empty(file: Path) -> None:
    file.write_bytes(b"")


def remove(file: Path) -> None:
    file.unlink()


DAMAGES = (cut, flip, empty, remove)


@pytest.mark.slow
@pytest.mark.parametrize("name", [state.STATE, state.TENSORS])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_state_falls_back_to_the_one_before_and_ends_the_same(
    halfway: Path, whole: Fitted, name: str, damage: Callable[[Path], None]
) -> None:
    pixels, data = problem()
    older, newer = sorted(halfway.glob("at-*"))
    damage(newer / name)
    heard = Heard()
    found = fit.fit(pixels, data, quick(epochs=4), halfway, progress=heard)
    assert [line for line in heard.lines if f"The state {newer.name} is damaged" in line]
    assert "goes on from the one before" in heard.lines[0]
    assert (halfway / f"damaged-{newer.name}").is_dir()
    assert state.peek(older).epoch == 2 if older.exists() else True
    assert same(found.weights, whole.weights)
    assert [row["epoch"] for row in found.history] == [1, 2, 3, 4]


@pytest.mark.slow
def test_the_best_weights_of_a_state_are_checked_too(tmp_path: Path) -> None:
    pixels, data = problem(n=100, valid=60)  # enough to judge epochs by
    fit.fit(pixels, data, quick(n_train=40, epochs=2), tmp_path)
    place = state.newest(tmp_path)
    assert place is not None
    assert (place / state.BEST).is_file()
    flip(place / state.BEST)
    assert state.damage(place) == "best.safetensors is cut off or was changed"


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_with_all_states_damaged_training_never_restarts_in_silence(
    halfway: Path, damage: Callable[[Path], None]
) -> None:
    for place in halfway.glob("at-*"):
        damage(place / state.TENSORS)
    pixels, data = problem()
    with pytest.raises(
        DataError, match=r"The run cannot go on: .*at-\d+-00003 is damaged \(state\.safetensors "
    ) as caught:
        fit.fit(pixels, data, quick(epochs=4), halfway)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith(f"delete it to train from the start: rm -r {halfway}")


@pytest.mark.slow
def test_a_state_of_another_network_is_a_clear_error(halfway: Path) -> None:
    pixels, data = problem()
    with pytest.raises(DataError, match=r"The state .* does not fit the network as built here"):
        fit.fit(pixels, data, quick(backbone="hog", epochs=4), halfway)


@pytest.mark.slow
def test_what_killed_processes_left_half_written_is_cleared_away(halfway: Path) -> None:
    (halfway / ".part-1").mkdir()
    (halfway / ".part-1" / state.TENSORS).write_bytes(b"half")
    pixels, data = problem()
    fit.fit(pixels, data, quick(epochs=4), halfway)
    assert not list(halfway.glob(".part-*"))
    assert len(list(halfway.glob("at-*"))) == state.KEPT


def stopped_run(ready: Workspace) -> runs.Run:
    """An unfinished run in the workspace, with two states."""
    run_of = train_run_until(ready, 2)
    found = runs.unfinished(ready)
    assert found is not None
    assert found.epochs_done() == run_of == 2
    return found


def train_run_until(workspace: Workspace, epochs: int) -> int:
    real = state.save
    count = 0

    def save(folder: Path, *args: object, **options: object) -> None:
        nonlocal count
        real(folder, *args, **options)  # type: ignore[arg-type]
        count += 1
        if count == epochs:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(state, "save", save)
        train(workspace)
    return count


@pytest.mark.slow
def test_the_command_says_that_a_state_was_damaged_and_goes_on(
    ready: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = state.newest(stopped_run(ready).folder)
    assert newest is not None
    cut(newest / state.TENSORS)
    assert run(["-w", str(ready.root), "train"]) == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "Going on after epoch 1 of 3." in err
    assert f"The state {newest.name} is damaged (state.safetensors is cut off or was changed)" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (name, damage)
        for name in (run_folders.PLAN, "data.json", "data.safetensors")
        for damage in (cut, empty, remove)
        if (name, damage) != (run_folders.PLAN, remove)  # a folder without a plan is no run
    ],
)
def test_a_damaged_run_stands_in_nobodys_way_but_is_not_resumed(
    stopped_before: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    ready = copied(stopped_before, tmp_path)
    stopped = runs.unfinished(ready)
    assert stopped is not None
    damage(stopped.folder / name)
    with pytest.raises(DataError, match=r"The unfinished run in .* cannot be read .* To forget it: rm -r "):
        train(ready, resume=True)
    heard = Heard()
    other = Workspace.find(ready.root, overrides=["training.seed=5", "training.epochs=1"])
    trained = train(other, progress=heard)
    assert trained.alias == "champion"
    assert any(
        line.startswith("An earlier run is of no use and left alone: The unfinished run") for line in heard.lines
    )


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_a_damaged_model_is_a_clear_error_in_every_command(
    trained_before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    ready = copied(trained_before, tmp_path)
    (weights,) = ready.models.glob(f"*/{checkpoint.WEIGHTS}")
    damage(weights)
    for words in (["evaluate", "champion", "--on", "valid"], ["predict", "champion", str(ready.media)]):
        capsys.readouterr()
        assert run(["-w", str(ready.root), *words]) == 1
        assert "model.safetensors" in capsys.readouterr().err
    again = train(Workspace.find(ready.root, overrides=["training.seed=5", "training.epochs=1"]))
    assert again.alias == "candidate"
    assert again.reason.startswith("the champion could not be judged")


@pytest.mark.slow
def test_a_pickle_under_the_name_of_a_model_is_refused_and_never_run(ready: Workspace, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "trap"),)

    folder = ready.root / train(ready).model.path
    stopped = stopped_run(Workspace.find(ready.root, overrides=["training.seed=5"]))
    files = [
        folder / checkpoint.WEIGHTS,
        *stopped.folder.glob(f"at-*/{state.TENSORS}"),
        stopped.folder / run_folders.PLAN,
    ]
    for file in files:
        torch.save({"state_dict": Trap()}, file)
    with pytest.raises(DataError, match="is damaged"):
        load(folder)
    with pytest.raises(DataError, match="is damaged"):
        state.newest(stopped.folder)
    with pytest.raises(DataError, match="cannot be read"):
        runs.unfinished(ready)
    assert len(files) == 4
    assert not (tmp_path / "trap").exists()


def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path) -> None:
    module = torch.nn.Linear(3, 2)
    tensors = {"weight": torch.full((2, 3), float("nan")), "bias": torch.zeros(2)}
    with pytest.raises(DataError, match=r"file holds numbers that are not finite, in weight"):
        load_into(module, tensors, source="file")


def test_a_rate_far_too_high_ends_with_the_step_and_leaves_a_whole_state(tmp_path: Path) -> None:
    pixels, data = problem()
    plan = quick(epochs=30, optimizer="sgd", lr=100.0, weight_decay=10.0, average=0.0)
    with pytest.raises(
        EmolabError,
        match=r"The (loss|gradient|validation loss) became (nan|inf) in epoch \d+, step \d+\. Lower the rate",
    ):
        fit.fit(pixels, data, plan, tmp_path)
    place = state.newest(tmp_path)
    if place is not None:
        assert all(torch.isfinite(value).all() for value in load_file(place / state.TENSORS).values())


def cast(workspace: Workspace, labels: list[str]) -> None:
    """One drawn image and one vote for each of ``labels``."""
    images, _ = bars(len(labels), 2, seed=11)
    found, said = [], []
    workspace.media.mkdir(parents=True, exist_ok=True)
    for image, label in zip(images, labels, strict=True):
        content = png(image)
        name = hashlib.sha256(content).hexdigest()
        (workspace.media / f"{name}.png").write_bytes(content)
        found.append(Sample(id=name, media=f".emolab/media/{name}.png"))
        said.append(Vote(sample_id=name, annotator="ann", label=label, origin=f"test:{name}"))
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, found)
        votes.append(tx, said)


def test_a_class_with_a_single_sample_is_trained_on(workspace: Workspace) -> None:
    cast(workspace, ["happiness"] * 12 + ["sadness"] * 12 + ["neutral"])
    trained = train(configure(workspace, QUICK + "\ntensorboard = false"))
    assert trained.model.classes == ("happiness", "sadness", "neutral")
    assert np.isfinite(trained.checkpoint.metrics["valid"]["nll"])


def test_ten_samples_give_a_model(workspace: Workspace) -> None:
    cast(workspace, ["happiness"] * 5 + ["sadness"] * 5)
    trained = train(configure(workspace, QUICK + "\ntensorboard = false"))
    assert trained.checkpoint.metrics["n_train"] + trained.checkpoint.metrics["valid"]["n"] == 10


def test_one_class_only_is_an_error_with_a_hint(workspace: Workspace) -> None:
    cast(workspace, ["happiness"] * 12)
    with pytest.raises(DataError, match=r"All \d+ samples to train on are of one class, happiness\.") as caught:
        train(configure(workspace, QUICK))
    assert caught.value.hint is not None
    assert 'Label others with "emolab label push"' in caught.value.hint


@pytest.mark.slow
def test_as_many_classes_as_a_project_holds_are_trained_judged_and_reported(tmp_path: Path) -> None:
    names = tuple(f"class{i}" for i in range(MOST_CLASSES))
    workspace = Workspace.init(tmp_path / "many", classes=names)
    cast(workspace, [name for name in names for _ in range(3)])
    trained = train(configure(workspace, QUICK + "\ntensorboard = false"))
    assert len(trained.model.classes) == MOST_CLASSES
    assert trained.checkpoint.metrics["valid"]["n"] > 0
    assert trained.report.stat().st_size > 1000
    assert run(["-w", str(workspace.root), "predict", "champion", str(workspace.media), "--csv"]) == 0


@pytest.mark.slow
def test_other_classes_make_a_candidate_and_leave_the_champion_usable(ready: Workspace) -> None:
    first = train(ready).model
    file = ready.root / "emolab.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"neutral"]', '"neutral", "fear"]'), encoding="utf-8")
    changed = Workspace.open(ready.root)
    assert changed.config.project.classes == ("happiness", "sadness", "neutral", "fear")
    second = train(changed)
    assert (second.alias, second.reason) == ("candidate", "the champion has other classes")
    assert second.model.classes == ("happiness", "sadness", "neutral", "fear")
    assert load(ready.root / first.path).checkpoint.classes == ("happiness", "sadness", "neutral")


@pytest.mark.slow
def test_a_run_is_resumed_with_the_classes_it_began_with(ready: Workspace) -> None:
    began = stopped_run(ready)
    file = ready.root / "emolab.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('"neutral"]', '"neutral", "fear"]'), encoding="utf-8")
    assert train(Workspace.open(ready.root), resume=True).model.classes == began.data.classes


def test_weights_of_another_architecture_are_refused_before_training(ready: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "squeeze.safetensors"
    save_file(backbones.build("squeezenet1_1", "none", size=32).module.state_dict(), file)
    with pytest.raises(DataError, match=r"does not fit this backbone: 0 of \d+ tensors match") as caught:
        train(Workspace.find(ready.root, overrides=[f"training.weights={file}"]))
    assert caught.value.hint is not None
    assert "--set training.backbone=NAME" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_1", "vgg11", "timm:resnet10t"])
def test_a_network_for_three_channels_sees_gray_images_as_three_equal_ones(name: str) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    model = Classifier(backbones.build(name, "none", size=32), 3, dropout=0.0).eval()
    gray = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32), dtype=np.uint8))
    with torch.inference_mode():
        assert torch.allclose(model(gray), model(gray.repeat(1, 3, 1, 1)), atol=1e-5)


@pytest.mark.slow
def test_gray_photos_train_a_network_for_three_channels(ready: Workspace) -> None:
    wanted = ["backbone=squeezenet1_1", "weights=none", "size=32", "epochs=1"]
    trained = train(Workspace.find(ready.root, overrides=[f"training.{text}" for text in wanted]))
    assert (trained.checkpoint.color, trained.checkpoint.backbone) == ("gray", "squeezenet1_1")


class Disk:
    """A folder that is a small disk of its own, until it is let go."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def resize(self, kilobytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", self.place], check=True, capture_output=True)

    def used(self) -> int:
        usage = shutil.disk_usage(self.place)
        return usage.used // 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield Disk(place)
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.slow
def test_a_disk_that_is_full_when_a_state_is_saved_keeps_the_one_before(
    disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace.init(disk.place / "faces", classes=("happiness", "sadness", "neutral"))
    fill_workspace(workspace)
    configure(workspace, QUICK + "\ntensorboard = false")
    real = state.save

    def save(*args: object, **options: object) -> None:
        real(*args, **options)  # type: ignore[arg-type]
        disk.resize(disk.used() + 500)  # a state of this network takes more

    command = ["-w", str(workspace.root), "train"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "save", save)
        assert run(command) == 1
    err = " ".join(capsys.readouterr().err.split())
    assert "The disk is full: " in err
    assert "Free some space and run the same command again; it goes on." in err
    stopped = runs.unfinished(workspace)
    assert stopped is not None
    assert stopped.epochs_done() == 1
    assert not list(stopped.folder.glob(".part-*"))
    disk.resize(64_000)
    assert run(command) == 0
    assert "Going on after epoch 1 of 3." in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of TensorBoard's writer
@pytest.mark.parametrize("what", ["cache", "model", "report", "tensorboard"])
def test_a_disk_that_is_full_anywhere_else_is_explained_and_the_run_ends_later(
    disk: Disk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    workspace = Workspace.init(disk.place / "faces", classes=("happiness", "sadness", "neutral"))
    fill_workspace(workspace)
    configure(workspace, QUICK)
    from emolab.training.fitting import tensorboard
    from emolab.training.inputs import pixel_cache
    from emolab.training.judging import report

    module, name = {
        "cache": (pixel_cache, "fill_to_train"), "model": (checkpoint, "write"), "report": (report, "write"),
        "tensorboard": (tensorboard, "writer"),
    }[what]  # fmt: skip
    real = getattr(module, name)

    def fill_up(*args: object, **options: object) -> object:
        disk.resize(max(4, disk.used()))
        return real(*args, **options)

    command = ["-w", str(workspace.root), "train"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, fill_up)
        assert run(command) == 1
    assert "The disk is full: " in capsys.readouterr().err
    disk.resize(64_000)
    assert run(command) == 0
    with workspace.catalog() as catalog:
        assert catalog.problems() == []


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_is_explained_too(ready: Workspace) -> None:
    limited = subprocess.run(
        [sys.executable, "-m", "emolab", "-w", str(ready.root), "train", "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000)),
    )
    assert limited.returncode == 1, limited.stderr
    assert "Traceback" not in limited.stderr
    assert "The disk is full: " in limited.stderr
    assert limited.stdout == ""
    assert train(ready).alias == "champion"


@pytest.mark.slow
def test_two_trainings_at_once_do_not_collide(ready: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """The second says who is at work and what to do, and leaves no run, snapshot or split behind."""
    program = (
        "import sys, emolab.workspace as w\n"
        "with w.Workspace.find(w.Path(sys.argv[1])).lock('train'):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(ready.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        assert run(["-w", str(ready.root), "train"]) == 1
        err = " ".join(capsys.readouterr().err.split())
        assert f'Another emolab process (pid {other.pid}) is busy with "train" in' in err
        assert "Wait until it ends, or stop it, and run this again." in err
        assert runs.unfinished(ready) is None
        assert not ready.snapshots.exists() or not list(ready.snapshots.iterdir())
        other.stdin.close()
        other.wait(timeout=30)
    assert run(["-w", str(ready.root), "train"]) == 0


@pytest.mark.slow
def test_any_number_of_stops_at_random_steps_gives_the_same_weights(tmp_path: Path) -> None:
    """Three runs, each stopped at random between two writes or in the middle of one, end bit for bit alike."""
    pixels, data = problem(n=44, valid=8)
    plan = quick(n_train=36, epochs=3, batch=8)
    whole = fit.fit(pixels, data, plan, tmp_path / "whole")
    real = state._write
    for seed in range(3):
        rng = random.Random(seed)
        for _ in range(200):
            left = rng.randrange(1, 8)

            def write(file: Path, tensors: dict[str, torch.Tensor]) -> None:
                nonlocal left
                left -= 1
                real(file, tensors)
                if left == 0:
                    cut(file)
                    raise Stopped

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(state, "_write", write)
                patch.setattr(state, "SAVE_EVERY", -1.0 if rng.random() < 0.8 else 60.0)
                try:
                    found = fit.fit(pixels, data, plan, tmp_path / str(seed))
                except Stopped:
                    continue
            break
        assert same(found.weights, whole.weights), seed
        assert json.dumps([r["train_loss"] for r in found.history]) == json.dumps(
            [r["train_loss"] for r in whole.history]
        )


def test_the_bundled_models_hold_no_pickle() -> None:
    root = Path(bundled.__file__).parent / "pretrained"
    kinds = {".json", ".safetensors", ".md", ".onnx", ".light"}
    assert {file.suffix for file in root.rglob("*") if file.is_file()} <= kinds
    for file in root.rglob("*.light"):
        with ZipFile(file) as archive:
            assert sorted(archive.namelist()) == ["graph.onnx", "tensors.json"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [("backbone=resnet19", 'Unknown backbone "resnet19". Did you mean "resnet18"?'),
     ("augmentation=warps", 'Unknown augmentation "warps". Did you mean "warp"?')],
)  # fmt: skip
def test_a_misspelt_name_is_said_before_an_image_is_decoded_for_it(ready: Workspace, setting: str, said: str) -> None:
    with pytest.raises(EmolabError) as caught:
        train(Workspace.find(ready.root, overrides=[f"training.{setting}"]))
    assert caught.value.message.startswith(said)
    assert not list(ready.cache.glob("pixels-*"))
    assert runs.unfinished(ready) is None


@pytest.mark.slow
def test_a_run_that_failed_before_its_first_state_is_not_what_resume_finds(ready: Workspace, tmp_path: Path) -> None:
    began = stopped_run(ready).folder
    file = tmp_path / "other.safetensors"
    save_file({"nothing": torch.zeros(3)}, file)
    with pytest.raises(DataError, match="does not fit this backbone"):
        train(Workspace.find(ready.root, overrides=[f"training.weights={file}"]))
    found = runs.unfinished(ready)
    assert found is not None
    assert found.folder == began
    assert list(run_folders.root(ready).iterdir()) == [began]
