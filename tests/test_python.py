"""The Python interface: what a step gives in Python is what its command prints with --json."""

from __future__ import annotations

import ast
import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image

import emolab
from emolab.cli.main import cli
from emolab.inference import prediction_store
from emolab.notebook.command_names import COMMANDS, OPTIONS, OPTIONS_OF, in_python
from emolab.results import Result
from emolab.workspace import Workspace
from tests.support.calling import emolab as command
from tests.support.learnable import QUICK, bars, configure, fill_workspace, png
from tests.support.servers import LabelStudioServer

#: What the tests share takes longer to make than most tests take.
pytestmark = pytest.mark.slow

CLASSES = ("happiness", "sadness", "neutral")
#: What two runs of the same step may differ in; a TorchScript archive holds its own name.
TIMES = {"bytes", "seconds", "minutes", "created_at", "log", "pid", "last", "select_s"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with 48 labelled samples, a champion and 12 samples nobody voted on; and a folder to merge."""
    root = tmp_path_factory.mktemp("python")
    workspace = Workspace.init(root / "faces", classes=CLASSES)
    fill_workspace(workspace)
    emolab.train(configure(workspace, QUICK + "\ntensorboard = false"))
    images, truth = bars(24, 3, seed=5)
    for number, (image, label) in enumerate(zip(images, truth.tolist(), strict=True)):
        folder = root / "open_faces" / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(png(image))
    (root / "new").mkdir()
    for number, image in enumerate(np.random.default_rng(9).integers(0, 255, (12, 40, 40, 1), dtype=np.uint8)):
        (root / "new" / f"{number}.png").write_bytes(png(image))
    emolab.collect(workspace, root / "new", faces="off")
    emolab.backup(workspace, root / "kept.zip", leave_out="media")
    emolab.export_votes(workspace, root / "kept.csv")
    return root


@pytest.fixture
def twins(made: Path, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two copies of ``made``: one for the command, one for Python."""
    for name in ("by_command", "by_python"):
        shutil.copytree(made, tmp_path / name)
    yield tmp_path / "by_command", tmp_path / "by_python"


@dataclass(frozen=True)
class Step:
    """The words of a command, and the same in Python: ``call(workspace, folder)``."""

    words: tuple[str, ...]
    call: Callable[[Workspace, Path], Any]


def sample_of(workspace: Workspace) -> str:
    return sorted(workspace.samples().index)[0]


STEPS = {
    "status": Step(("status",), lambda ws, _: emolab.status(ws)),
    "collect": Step(
        ("collect", "{folder}/open_faces", "--faces", "off", "--name", "web", "--group-by", "folder"),
        lambda ws, at: emolab.collect(ws, at / "open_faces", faces="off", name="web", group_by="folder"),
    ),
    "collect, dry run": Step(
        ("collect", "{folder}/open_faces", "--faces", "off", "--dry-run"),
        lambda ws, at: emolab.collect(ws, [at / "open_faces"], faces="off", dry_run=True),
    ),
    "merge": Step(
        ("merge", "image_folder", "{folder}/open_faces", "--split", "train", "--repair"),
        lambda ws, at: emolab.merge(ws, "image_folder", at / "open_faces", split="train", repair=True),
    ),
    "splits": Step(("split", "list"), lambda ws, _: emolab.splits(ws)),
    "split set": Step(
        ("split", "set", "train", "--source", "collected", "--yes"),
        lambda ws, _: emolab.set_split(ws, "train", sources=["collected"]),
    ),
    "split draw": Step(
        ("split", "draw", "--train", ".5", "--valid", ".3", "--test", ".2", "--seed", "3"),
        lambda ws, _: emolab.draw_splits(ws, {"train": 0.5, "valid": 0.3, "test": 0.2}, seed=3),
    ),
    "split repair": Step(("split", "repair"), lambda ws, _: emolab.repair_splits(ws)),
    "remove": Step(
        ("remove", "--source", "collected", "--yes"), lambda ws, _: emolab.remove(ws, sources=["collected"])
    ),
    "undo": Step(("undo", "--yes"), lambda ws, _: emolab.undo(ws)),
    "aggregate": Step(
        ("label", "aggregate", "--method", "majority"), lambda ws, _: emolab.aggregate(ws, method="majority")
    ),
    "label status": Step(("label", "status"), lambda ws, _: emolab.label_status(ws)),
    "label name": Step(("label", "name", "ann", "Ann B."), lambda ws, _: emolab.nickname(ws, "ann", "Ann B.")),
    "suggest": Step(
        ("suggest", "-n", "6", "--strategy", "margin", "--seed", "2"),
        lambda ws, _: emolab.suggest(ws, n=6, strategy="margin", seed=2),
    ),
    "suggest --advise": Step(("suggest", "--advise"), lambda ws, _: emolab.advise(ws)),
    "train": Step(("train", "--device", "cpu"), lambda ws, _: emolab.train(ws, device="cpu")),
    "pretrain": Step(
        ("pretrain", "--epochs", "1", "--set", "training.backbone=tiny"),
        lambda ws, _: emolab.pretrain(ws.with_settings({"training.backbone": "tiny"}), epochs=1),
    ),
    "serve people": Step(("serve", "people", "list"), lambda ws, _: emolab.serve_people(ws)),
    "serve keys": Step(("serve", "keys", "list"), lambda ws, _: emolab.serve_keys(ws)),
    "evaluate": Step(
        ("evaluate", "champion", "--on", "valid"),
        lambda ws, _: emolab.evaluate("champion", "valid", workspace=ws),
    ),
    "predict": Step(
        ("predict", "champion", "{folder}/new", "--faces", "off"),
        lambda ws, at: emolab.predict("champion", at / "new", workspace=ws, faces="off"),
    ),
    "export": Step(
        ("export", "champion", "--to", "torchscript", "--out", "{folder}/champion.pt"),
        lambda ws, at: emolab.export("champion", at / "champion.pt", to="torchscript", workspace=ws),
    ),
    "models promote": Step(
        ("models", "promote", "champion", "--alias", "best"),
        lambda ws, _: emolab.promote(ws, "champion", alias="best"),
    ),
    "models rollback": Step(
        ("models", "rollback", "--to", "champion"), lambda ws, _: emolab.rollback(ws, to="champion")
    ),
    "models gc": Step(("models", "gc", "--dry-run"), lambda ws, _: emolab.clean_models(ws, dry_run=True)),
    "holdout add": Step(
        ("holdout", "add", "-n", "4", "--seed", "2", "--yes"), lambda ws, _: emolab.holdout_add(ws, n=4, seed=2)
    ),
    "holdout list": Step(("holdout", "list"), lambda ws, _: emolab.holdout_list(ws)),
    "models list": Step(("models", "list"), lambda ws, _: emolab.models(ws).to_dict()["models"]),
    "models show": Step(("models", "show"), lambda ws, _: emolab.model(ws)),
    "models card": Step(("models", "card", "face48"), lambda _, __: emolab.card("face48")),
    "label export": Step(
        ("label", "export", "{folder}/votes.csv"), lambda ws, at: emolab.export_votes(ws, at / "votes.csv")
    ),
    "label import": Step(
        ("label", "import", "{folder}/kept.csv"), lambda ws, at: emolab.import_votes(ws, at / "kept.csv")
    ),
    "restore": Step(
        ("restore", "{folder}/kept.zip", "{folder}/again"),
        lambda _, at: emolab.restore(at / "kept.zip", str(at / "again")),
    ),
    "restore, dry run": Step(
        ("restore", "{folder}/kept.zip", "--dry-run"), lambda _, at: emolab.check_backup(at / "kept.zip")
    ),
    "status --check": Step(("status", "--check"), lambda ws, _: emolab.status(ws, check=True)),
    "simulate": Step(
        (
            "simulate",
            "image_folder:{folder}/open_faces",
            "--set",
            "project.classes=happiness,sadness,neutral",
            "--set",
            "training.backbone=tiny",
            "--mode",
            "finetune",
            "--set",
            "training.size=16",
            "--set",
            "training.epochs=1",
            "--seeds",
            "1",
            "--start",
            "6",
            "--budget",
            "12",
            "--rounds",
            "1",
            "--strategies",
            "random",
            "--out",
            "{folder}/simulation",
        ),
        lambda ws, at: emolab.simulate(
            emolab.SimulationRequest(
                dataset=f"image_folder:{at}/open_faces",
                mode="finetune",
                seeds=1,
                start=6,
                budget=12,
                rounds=1,
                strategies=["random"],
                out=at / "simulation",
            ),
            config=ws.with_settings({"training.backbone": "tiny", "training.size": 16, "training.epochs": 1}).config,
        ),
    ),
    "backup": Step(("backup", "{folder}/faces.zip"), lambda ws, at: emolab.backup(ws, at / "faces.zip")),
}


def masked(value: Any, root: Path) -> Any:
    """``value`` as JSON without what differs between two runs: moments, durations and the folder."""
    if isinstance(value, dict):
        return {key: masked(one, root) for key, one in value.items() if key not in TIMES}
    if isinstance(value, list):
        return [masked(one, root) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value.replace(str(root), "ROOT") if isinstance(value, str) else value


def by_command(root: Path, words: tuple[str, ...]) -> Any:
    said = command("-w", root / "faces", *(word.format(folder=root) for word in words), "--json")
    assert said.code == 0, said.err
    return masked(json.loads(said.out), root)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_gives_in_python_what_its_command_prints(name: str, twins: tuple[Path, Path]) -> None:
    step = STEPS[name]
    printed = by_command(twins[0], step.words)
    found = step.call(emolab.open(twins[1] / "faces"), twins[1])
    told = found if isinstance(found, list) else found.to_dict()
    given = masked(json.loads(json.dumps(told)), twins[1])
    assert given == printed


@pytest.mark.labelstudio
def test_push_and_pull_give_in_python_what_their_commands_print(
    made: Path, tmp_path: Path, label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)
    monkeypatch.setenv("EMOLAB_STUDIO_TOKEN", label_studio.token)
    shutil.copytree(made, tmp_path / "one")
    workspace = emolab.open(tmp_path / "one" / "faces", settings={"project.name": f"python {tmp_path.name}"})
    dry = emolab.push(workspace, n=4, dry_run=True)
    words = ("label", "push", "-n", "4", "--dry-run", "--set", f"project.name=python {tmp_path.name}")
    assert by_command(tmp_path / "one", words) == masked(json.loads(json.dumps(dry.to_dict())), tmp_path / "one")
    assert dry.created == 4
    assert emolab.push(workspace, n=4).created == 4
    pulled = emolab.pull(workspace)
    assert (pulled.new, pulled.changed) == (0, False)


@pytest.mark.labelstudio
def test_the_embedded_server_is_the_same_from_both_sides(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "one")
    workspace = emolab.open(tmp_path / "one" / "faces")
    started = emolab.start_studio(workspace)
    try:
        assert started.password and not started.already_up
        for words, step in {
            ("studio", "url"): emolab.studio_url,
            ("studio", "up"): emolab.start_studio,
            ("studio", "invite"): emolab.invite,
        }.items():
            printed = by_command(tmp_path / "one", words)
            assert printed.items() <= masked(step(workspace).to_dict(), tmp_path / "one").items(), words
        assert by_command(tmp_path / "one", ("studio", "down")) == {"stopped": True}
    finally:
        assert emolab.stop_studio(workspace).to_dict() == {"stopped": False}


@pytest.mark.fiftyone
def test_inspect_gives_in_python_what_its_command_prints(twins: tuple[Path, Path]) -> None:
    """Each in a process of its own, for one can use FiftyOne with a single database only."""
    in_python = ("-c", "import emolab, json; print(json.dumps(emolab.inspect(emolab.open()).to_dict()))")
    told = []
    for home, call in zip(twins, (("-m", "emolab", "inspect", "--no-app", "--json"), in_python), strict=True):
        done = subprocess.run(
            [sys.executable, *call], cwd=home / "faces", capture_output=True, text=True, check=True, timeout=300
        )
        told.append(masked(json.loads(done.stdout[done.stdout.index("{") :]), home))
    printed, given = told
    names = printed.pop("dataset"), given.pop("dataset")  # each workspace has its own
    assert given == printed and all(name.startswith("faces") for name in names)


#: What every command has, and what it is in Python.
EVERYWHERE = {"json": "a result has to_dict()", "set": "workspace.with_settings()"}
#: Command -> the options its step does not have, and why.
ONLY_COMMAND = {
    "init": {"directory": "the step's path"},
    "studio up": {"foreground": "a notebook has a foreground of its own"},
    "label pull --watch": {"watch": "is the step", **dict.fromkeys(("reconcile", "accept_withdrawn"), "not with it")},
    "label pull": {"watch": "the step watch", "every": "the step watch"},
    "label name": {"nickname": "the step's name"},
    "split set": {"yes": "nobody asks"},
    "split draw": {"yes": "nobody asks", **dict.fromkeys(("train", "valid", "test"), "the step's shares")},
    "remove": {"yes": "nobody asks"},
    "undo": {"yes": "nobody asks"},
    "snapshot restore": {"yes": "nobody asks"},
    "holdout add": {"yes": "nobody asks"},
    "models gc": {"yes": "nobody asks"},
    "inspect --pull": {"pull": "is the step", **dict.fromkeys(("model", "no_app", "port"), "of the App")},
    "inspect": {"no_app": "no App", "port": "no App", **dict.fromkeys(("pull", "annotator"), "the step pull_edits")},
    "suggest --advise": {"advise": "is the step", **dict.fromkeys(
        ("n", "minutes", "strategy", "per_group", "balance", "revotes", "seed", "push", "from_drift"),
        "not with --advise")},
    "suggest --from-drift": {"from_drift": "is the step", "push": "emolab.push(suggestions=True)", **dict.fromkeys(
        ("minutes", "strategy", "per_group", "balance", "revotes", "seed", "advise"), "not with it")},
    "suggest": {"advise": "the step advise", "push": "emolab.push(suggestions=True)",
                "from_drift": "the step suggest_from_drift"},
    "monitor": {"n": "the step audit", "test_alert": "the step try_channels"},
    "monitor --audit": dict.fromkeys(("reference", "every", "report", "test_alert"), "not with it"),
    "monitor --test-alert": {"test_alert": "is the step", **dict.fromkeys(
        ("model", "reference", "every", "report", "n"), "not with it")},
    "predict": {"paths": "the step's images", "csv": "pandas.DataFrame(result.predictions)", "jsonl": "out",
                **dict.fromkeys(("timeline", "report"), "loop.model.predict_video, of a video"),
                **dict.fromkeys(("face", "voice", "words", "transcript", "weights"), "the step predict_film")},
    "predict --words": {"model": "the step's video", "paths": "a video alone", **dict.fromkeys(
        ("csv", "jsonl", "out", "timeline"), "result.turns"), **dict.fromkeys(
        ("faces", "draw_to", "explain_to", "unsure", "coverage", "flips", "group_by", "submission", "class_order"),
        "not with it")},
    "evaluate": {"fail_under": "result.figures"},
    "models show": {"model": "the step's name"},
    "models promote": {"model": "the step's name"},
    "models retire": {"model": "the step's name"},
    "consent add": {"file": "text=Path(...).read_text()"},
    "forget": {"yes": "nobody asks"},
    "serve run --check-studio": {"check_studio": "is the step", **dict.fromkeys(
        ("model", "host", "port", "device", "allow_host", "shadow", "studio", "app", "behind_iam", "keys"),
        "not with it")},
    "live": {"browser": "no source", "headless": 'source="0"', "yes": "nobody asks"},
    "status --repair": {"check": "status", "repair": "is the step"},
    "status": {"repair": "the step repair_counts"},
    "restore --dry-run": dict.fromkeys(("dry_run", "directory", "overwrite"), "is the step, and changes nothing"),
    "restore": {"dry_run": "the step check_backup"},
}  # fmt: skip
#: Arguments of steps that no option stands for, and why.
ONLY_STEP = {
    "workspace": "-w", "progress": "bars on standard error", "agree": "the command asks, or --yes", "team": "torchrun",
    "stopped": "Ctrl-C", "now": "the present moment",
    "config": "the settings of the workspace and --set", "problem": "of finding the workspace",
    "as_json": "--json", "path": "init DIRECTORY", "name": "MODEL, NICKNAME", "images": "PATHS", "file": "--out",
    "video": "VIDEO",
    "shares": "--train, --valid, --test", "on_page": "the command prints it", "on_status": "the command prints it",
    "on_window": "the command prints it",
    "force": "--force", "subject": "--subject", "key": "$EMOLAB_SERVE_KEY", "title": "--set labeling.project",
}  # fmt: skip


def command_at(words: str) -> click.Command:
    found: click.Command = cli
    for word in words.partition(" --")[0].split():
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), word)
        assert inner is not None, words
        found = inner
    return found


def arguments_of(command: click.Command, step: str = "") -> set[str]:
    """The options of a command by the names they have in Python."""
    found = set()
    for param in command.params:
        spelling = max(param.opts, key=len).lstrip("-")
        told = OPTIONS_OF.get((step, spelling)) or OPTIONS.get(spelling, spelling)
        name = spelling if isinstance(param, click.Argument) else told
        found.add(name.partition("=")[0].replace("-", "_"))
    return found


@pytest.mark.parametrize("words", COMMANDS)
def test_a_step_takes_what_its_command_takes(words: str) -> None:
    step = signature(getattr(emolab, COMMANDS[words])).parameters
    fields = signature(emolab.SimulationRequest).parameters if words == "simulate" else {}
    taken = {*step, *fields} - {"request"}
    options = arguments_of(command_at(words), COMMANDS[words]) - set(EVERYWHERE)
    assert options - taken == set(ONLY_COMMAND.get(words, {})), "options that are no arguments"
    assert taken - options - set(ONLY_STEP) == set(), "arguments that are no options"
    keywords = [p.name for p in step.values() if p.kind is not p.KEYWORD_ONLY]
    assert len(keywords) <= 3, f"{words}: {keywords} may be given by place"


def test_every_command_has_a_name_in_python() -> None:
    def leaves(group: click.Group, path: str = "") -> Iterator[str]:
        for name in group.list_commands(click.Context(group)):
            found = group.get_command(click.Context(group), name)
            if isinstance(found, click.Group):
                yield from leaves(found, f"{path}{name} ")
            else:
                yield path + name

    assert set(leaves(cli)) - set(COMMANDS) == {"demo", "serve run"}, "add it to emolab/notebook/command_names.py"
    assert set(COMMANDS.values()) == {*emolab.STEPS, "init"}


@pytest.mark.parametrize("name", emolab.STEPS)
def test_every_step_says_what_it_does_and_what_it_raises_and_gives_a_result(name: str) -> None:
    step = getattr(emolab, name)
    text = step.__doc__ or ""
    assert text.strip(), f"emolab.{name} has no docstring"
    assert re.search(r"Raises\s+:class:`|no error|Nothing is raised", text), f"emolab.{name} does not say its errors"
    assert name in dir(emolab)
    module = sys.modules[step.__module__]
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    for given in step.__annotations__["return"].removeprefix("Iterator[").removesuffix("]").split(" | "):
        home = re.search(rf"from (emolab\.[\w.]+) import [^\n]*\b{given}\b", source)
        kind = getattr(import_module(home[1]) if home else module, given)
        assert issubclass(kind, Result), f"emolab.{name} gives {given}, which does not show itself in a notebook"


def test_what_emolab_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        emolab.trian  # noqa: B018


def test_importing_emolab_loads_nothing() -> None:
    code = (
        "import json, sys; before = {*sys.modules}; import emolab; print(json.dumps(sorted({*sys.modules} - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "sqlalchemy", "click", "rich", "PIL", "torch", "pandas", "emolab.workspace", "emolab.config"}
    assert not heavy & set(json.loads(done.stdout))


def test_open_finds_the_workspace_above_and_takes_settings(made: Path) -> None:
    below = made / "faces" / ".emolab"
    workspace = emolab.open(below, settings={"training.epochs": 3, "labeling.aggregator": "soft", "suggest.n": None})
    assert workspace.root == made / "faces"
    assert (workspace.config.training.epochs, workspace.config.labeling.aggregator) == (3, "soft")


def test_errors_say_what_to_do_next(tmp_path: Path, workspace: Workspace) -> None:
    with pytest.raises(emolab.ConfigError, match="no emolab workspace") as none:
        emolab.open(tmp_path)
    assert none.value.hint
    with pytest.raises(emolab.EmolabError, match=r'Did you mean "training\.epochs"'):
        emolab.open(workspace.root, settings={"training.epoch": 3})
    with pytest.raises(emolab.DataError) as empty:
        emolab.train(workspace)
    assert empty.value.hint


def test_init_takes_presets_and_names(tmp_path: Path) -> None:
    assert len(emolab.init(tmp_path / "a").config.project.classes) == 8
    assert emolab.init(tmp_path / "b", classes=["happiness", "sadness"]).config.project.classes == (
        "happiness",
        "sadness",
    )


def test_paths_pillow_images_and_arrays_get_the_same_answer(made: Path) -> None:
    workspace = emolab.open(made / "faces")
    files = sorted((made / "new").glob("*.png"))[:3]
    pictures = [Image.open(file) for file in files]
    arrays = [np.asarray(picture) for picture in pictures]
    expected = [row["probs"] for row in emolab.predict("champion", files, workspace=workspace).predictions]
    for given in (pictures, arrays, [np.repeat(a[..., None], 3, axis=2) for a in arrays]):
        found = emolab.predict("champion", given, workspace=workspace).predictions
        assert [row["probs"] for row in found] == expected
    assert emolab.predict("champion", arrays[0], workspace=workspace).files == 1
    with pytest.raises(emolab.DataError, match=r"float64 with shape \(4, 4\) is no image"):
        emolab.predict("champion", np.zeros((4, 4)), workspace=workspace)
    with pytest.raises(emolab.DataError, match="int is no image"):
        emolab.predict("champion", [3], workspace=workspace)  # type: ignore[list-item]


def test_frames_hold_samples_votes_labels_and_predictions(twins: tuple[Path, Path]) -> None:
    workspace = emolab.open(twins[0] / "faces")
    samples, votes, labels = workspace.samples(), workspace.votes(), workspace.labels()
    assert (len(samples), len(votes), len(labels)) == (60, 96, 48)
    assert samples.index.is_unique and set(samples.split.dropna()) == {"train", "valid"}
    assert samples.votes.sum() == 96 and (samples.votes == 0).sum() == 12
    assert set(votes.annotator) == {"ann", "bob"} and set(votes.label) == set(CLASSES)
    assert np.allclose(labels[[f"p_{name}" for name in CLASSES]].sum(axis=1), 1.0)
    with pytest.raises(emolab.DataError, match="has not looked at the samples"):
        workspace.predictions()
    emolab.suggest(workspace, n=4, strategy="margin")
    said = workspace.predictions("champion")
    stored = prediction_store.read(workspace.predictions_folder / emolab.model(workspace).id)
    assert said.loc[stored.samples].confidence.tolist() == stored.probs.max(axis=1).tolist()
    assert set(said.index) == set(samples.index)


def test_frames_of_an_empty_workspace_are_empty(workspace: Workspace) -> None:
    assert (len(workspace.samples()), len(workspace.votes())) == (0, 0)
    with pytest.raises(emolab.DataError, match="no labels yet"):
        workspace.labels()


def test_frames_without_pandas_say_how_to_get_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(emolab.EmolabError, match="pandas is not installed") as lacking:
        workspace.votes()
    assert 'pip install "emolab[notebook]"' in (lacking.value.hint or "")


def test_a_result_shows_itself_as_a_table_and_escapes_what_came_from_outside() -> None:
    @dataclass(frozen=True)
    class Found(Result):
        names: list[str]
        share: float

    shown = Found(["<script>"], 0.25)._repr_html_()
    assert "&lt;script&gt;" in shown and "<script>" not in shown and "0.25" in shown


def test_warnings_of_a_step_reach_who_uses_python(twins: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    workspace = emolab.open(twins[0] / "faces")
    with caplog.at_level(logging.INFO, logger="emolab"):
        emolab.pretrain(workspace.with_settings({"training.backbone": "tiny"}), epochs=1)
    assert any(
        record.levelname == "WARNING" and "will probably teach little" in record.message for record in caplog.records
    )


def test_a_hint_says_what_it_means_in_python(workspace: Workspace) -> None:
    with pytest.raises(emolab.EmolabError) as none:
        emolab.suggest(workspace, n=5, strategy="margin")
    assert none.value.__notes__ == ["In Python: emolab.collect(...)"], none.value.hint
    with pytest.raises(emolab.ConfigError) as missing:
        emolab.open(workspace.root.parent)
    assert missing.value.__notes__ == ["In Python: emolab.init(...), workspace=emolab.open(...)"]
    with pytest.raises(emolab.ConfigError) as setting:
        workspace.with_settings({"training.epochs": "many"})
    assert not hasattr(setting.value, "__notes__"), setting.value.hint
    with pytest.raises(emolab.EmolabError) as unknown:
        workspace.predictions()
    assert unknown.value.__notes__ == ["In Python: emolab.train(...)"], unknown.value.hint


def test_a_hint_that_comes_while_a_step_goes_on_says_what_it_means_in_python(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LABEL_STUDIO_URL", "EMOLAB_STUDIO_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(emolab.EmolabError) as nobody:
        next(emolab.watch(workspace))
    assert nobody.value.__notes__ == ["In Python: emolab.start_studio(...)"], nobody.value.hint


def hints() -> Iterator[tuple[str, str]]:
    """Every hint that the package writes out, with its place; a value that is filled in reads ``x``."""
    for path in sorted(Path(str(emolab.__file__)).parent.rglob("*.py")):
        if {"cli", "demonstration"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for keyword in node.keywords if isinstance(node, ast.Call) else ():
                if keyword.arg == "hint":
                    yield from ((f"{path.name}:{node.lineno}", text) for text in written(keyword.value))


def written(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in value.values)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    else:
        yield from (
            text for part in ast.iter_child_nodes(value) if isinstance(part, ast.expr) for text in written(part)
        )


def test_every_argument_that_a_hint_means_is_one_of_a_step() -> None:
    steps = [signature(getattr(emolab, name)).parameters for name in emolab.STEPS]
    known = {*signature(emolab.SimulationRequest).parameters, *(name for step in steps for name in step), "classes"}
    known |= {*signature(emolab.init).parameters}
    wrong = {
        f"{place}: {text}: {meant}"
        for place, text in hints()
        for meant in re.findall(r"(?:^|, )(\w+)=", in_python(text) or "")
        if meant not in known
    }
    assert not wrong, "\n" + "\n".join(sorted(wrong))


@pytest.mark.parametrize(
    ("hint", "meant"),
    [
        ("Go on with that one, or train from the start: rm -r /faces/runs", None),
        ("Free some space and run the same command again; it goes on.", "the same call again"),
        ('Say what it is: -o "split="', 'options={"split": ""}'),
        ("Choose one: --option table=new.csv (what most papers report on).", 'options={"table": "new.csv"}'),
        ("To take a name away: emolab label name a4f1 --remove", "emolab.nickname(...), name=None"),
        ("Rename yours, or switch emolab's off: labeling.second = false",
         'workspace.with_settings({"labeling.second": False})'),
        ("Models of training.mode = head judge images alone.", None),
        ("Use it by its own: unset FIFTYONE_DATABASE_URI", 'del os.environ["FIFTYONE_DATABASE_URI"]'),
    ],
)  # fmt: skip
def test_what_is_typed_in_a_shell_has_its_python(hint: str, meant: str | None) -> None:
    assert in_python(hint) == meant


def test_what_click_would_refuse_is_refused_in_python_too(workspace: Workspace, tmp_path: Path) -> None:
    for call, message in {
        lambda: emolab.suggest(workspace, n=0): r"suggest\.n is 0; expected 1 to",
        lambda: emolab.suggest(workspace, n=5, minutes=3): "n and minutes exclude each other",
        lambda: emolab.push(workspace, n=5, everything=True): "n and everything exclude each other",
        lambda: emolab.push(workspace, overlap=0): r"labeling\.overlap is 0",
        lambda: emolab.predict("face48", "x.png", unsure=2.0): r"option\.share is 2",
        lambda: emolab.aggregate(workspace, min_votes=-1): r"labeling\.min_votes is -1",
        lambda: emolab.backup(workspace, tmp_path / "b", leave_out="medai"): 'Did you mean "media"',
        lambda: emolab.export_votes(workspace, "votes.txt"): "no file of a known format",
    }.items():
        with pytest.raises(emolab.EmolabError, match=message):
            call()
