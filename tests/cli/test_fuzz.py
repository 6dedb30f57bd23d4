"""Any call of any command ends with words: never a traceback, whatever is typed.

Commands, arguments and options come from the command line itself, so that new ones join by themselves. Each call has a
small workspace of its own. Nothing is started that outlives a call or talks to others: the embedded Label Studio,
MongoDB, cameras, the demo, and the processes by which ``doctor`` tries packages are replaced by an error or an empty
answer. Trainings end where the small workspace has too few labels.

``EMOLAB_FUZZ_CALLS`` says how many calls are tried (200).
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emolab.cli.main import cli, run
from emolab.config import Config
from emolab.datasets.collect import camera
from emolab.datasets.inspect import mongod
from emolab.demonstration import campaign, data
from emolab.errors import EmolabError
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.loop.operate.checks import check, servers
from emolab.ranges import RANGES, WORDS
from emolab.serving.app import running
from tests.support.pictures import png, put

CALLS = int(os.environ.get("EMOLAB_FUZZ_CALLS", "200"))

#: Names of the small world of each call, and others: missing, foreign, damaged, odd.
PLACES = (
    "photos", "photos/0.png", "photos/broken.png", "photos/*.png", "photos.zip", "labelled", "table.csv", "map.toml",
    "kept.backup",
    "empty", "missing", "missing/deep", "damaged", "lost", "emolab.toml", "a b", "[red]", "caf\udce9.png",
    "new\nline", "x" * 300, "-", "", "\u202e", "out.csv", "out.json", "model.onnx", "link",
)  # fmt: skip
WORDS_OF_THE_TRADE = (
    "champion", "face48", "train", "valid", "test", "csv:table.csv", "image_folder:labelled", "ferplus:photos",
    "fer2013:missing", "csv:", ":", "margin", "random", "nothing", "majority", "happiness,sadness", "a,b", "1..5", "2",
    "folder", "(", "([a-z]+)", "onnx", "fp32", "image", "1,1", "0", "127.0.0.1", "key=value", "=", "label=label",
)  # fmt: skip
NUMBERS = ("0", "1", "-1", "2", "7", "100", "1e9", "nan", "inf", "-inf", "0.5", "9" * 25, "1_000", "٣", "", "x", "0x10")
SETTINGS = tuple(f"{section}.{key}" for section, values in Config().to_dict().items() for key in values)


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that can be called, groups included, with the words that lead to it."""
    yield path, command
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            assert inner is not None
            yield from leaves(inner, (*path, name))


COMMANDS = dict(leaves(cli))

text = st.one_of(
    st.sampled_from(WORDS_OF_THE_TRADE),
    st.sampled_from(NUMBERS),
    st.sampled_from(PLACES),
    st.text(max_size=12).filter(lambda found: not set(found) & set("/\0") and found not in (".", "..", "~")),
)


def values(kind: click.ParamType[Any]) -> st.SearchStrategy[str]:
    """What may be typed for a parameter of this type: mostly what it wants, sometimes anything."""
    if isinstance(kind, click.Choice):
        return st.one_of(st.sampled_from([str(choice) for choice in kind.choices]), text)
    if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        return st.one_of(st.integers(-3, 50).map(str), st.sampled_from(NUMBERS))
    if isinstance(kind, click.Path):
        return st.sampled_from(PLACES)
    return text


@st.composite
def setting(draw: st.DrawFn) -> str:
    """A ``--set``: a known key with any value, or anything."""
    key = draw(st.sampled_from((*SETTINGS, "training.epoch", "nothing.x", "training", "")))
    allowed = (*WORDS.get(key, ()), "true", "false", "none")
    return f"{key}={draw(st.one_of(st.sampled_from(allowed), text, st.sampled_from(NUMBERS)))}"


@st.composite
def calls(draw: st.DrawFn) -> list[str]:
    """A call of any command with any of its options and arguments."""
    path = draw(st.sampled_from(sorted(COMMANDS)))
    command = COMMANDS[path]
    words = ["-w", draw(st.sampled_from(("w", "w", "w", "w", "lost", "damaged", "missing", "photos/0.png")))]
    words += path
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            least = draw(st.integers(0, 3)) if parameter.nargs == -1 else draw(st.sampled_from((1, 1, 1, 1, 0, 2)))
            words += [draw(values(parameter.type)) for _ in range(least)]
        elif draw(st.integers(0, 3)) == 0 and isinstance(parameter, click.Option):
            name = draw(st.sampled_from((*parameter.opts, *parameter.secondary_opts)))
            words.append(name)
            if not parameter.is_flag and parameter.name == "overrides":
                words.append(draw(setting()))
            elif not parameter.is_flag:
                words.append(draw(values(parameter.type)))
    if draw(st.integers(0, 30)) == 0:
        words.insert(draw(st.integers(0, len(words))), draw(text))
    return words


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of every call, made once."""
    root = tmp_path_factory.mktemp("world")
    put(root / "photos", {**{f"{seed}.png": png(seed) for seed in range(3)}, "broken.png": b"no image"})
    put(root / "labelled", {f"{label}/{seed}.png": png(seed + 10) for seed in range(2) for label in ("happy", "sad")})
    put(root, {"table.csv": "file,label\nphotos/0.png,happy\nphotos/1.png,sad\n", "map.toml": 'happy = "happiness"\n'})
    shutil.make_archive(str(root / "photos"), "zip", root / "photos")
    (root / "empty").mkdir()
    with chdir(root), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        assert run(["init", "w"]) == 0
        assert run(["-w", "w", "collect", "photos/0.png", "photos/1.png", "--faces", "off"]) == 0
        assert run(["-w", "w", "backup", "kept.backup"]) == 0
        for name in ("lost", "damaged"):
            shutil.copytree("w", name)
    for end in ("", "-wal", "-shm"):
        (root / f"lost/.emolab/catalog.db{end}").unlink(missing_ok=True)
        (root / f"damaged/.emolab/catalog.db{end}").unlink(missing_ok=True)
    (root / "damaged/.emolab/catalog.db").write_bytes(b"no database" * 100)
    return root


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing starts, nothing is asked of the network, nothing of this machine is read."""

    def refused(*_: object, **__: object) -> NoReturn:
        raise EmolabError("Not in this test.")

    monkeypatch.setattr(EmbeddedServer, "start", refused)
    monkeypatch.setattr(mongod, "database", refused)
    monkeypatch.setattr(mongod, "find", refused)
    monkeypatch.setattr(camera, "pictures", refused)
    monkeypatch.setattr(data, "drawn", refused)
    monkeypatch.setattr(campaign, "run", refused)
    monkeypatch.setattr(running, "run", refused)
    monkeypatch.setattr(check, "probe", lambda *_, **__: check.Probe(None, "not looked at"))
    monkeypatch.setattr(servers, "probe", lambda *_, **__: check.Probe(None, "not looked at"))
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", "EMOLAB_STUDIO_TOKEN", "EMOLAB_WORKSPACE", mongod.URI):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.slow
@settings(
    max_examples=CALLS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)
@given(words=calls())
def test_no_call_ends_in_a_traceback(world: Path, tmp_path: Path, words: list[str]) -> None:
    place = tmp_path / "call"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(world, place)
    out, err = io.StringIO(), io.StringIO()
    with chdir(place), redirect_stdout(out), redirect_stderr(err):
        try:
            code = run(words)
        except SystemExit as end:
            code = int(end.code or 0)
    assert code in (0, 1, 2, 130), (words, code)
    assert "Traceback" not in err.getvalue()
    if code:
        assert err.getvalue().strip() or out.getvalue().strip(), words


def test_the_calls_reach_every_command_and_option() -> None:
    assert len(COMMANDS) > 25
    assert {path[0] for path in COMMANDS if path} >= {
        "init",
        "collect",
        "backup",
        "restore",
        "merge",
        "train",
        "suggest",
    }
    assert set(RANGES) - {name for name in RANGES if name.startswith("option.")} <= set(SETTINGS)
