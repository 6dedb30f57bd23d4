"""Settings and options without sense are refused where they are read, by one table."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from emolab import config
from emolab.cli.main import cli
from emolab.config import Config
from emolab.errors import ConfigError
from emolab.ranges import RANGES, WORDS, check
from emolab.workspace import Workspace
from tests.support.calling import emolab, one_line

NUMBERS = [
    f"{section.name}.{key}"
    for section in fields(Config)
    for key, kind in typing.get_type_hints(type(getattr(Config(), section.name))).items()
    if {int, float} & set(typing.get_args(kind) or (kind,))
]


def test_every_number_among_the_settings_has_a_range() -> None:
    assert sorted(set(NUMBERS) - set(RANGES)) == []
    assert sorted(name for name in RANGES if name not in NUMBERS and not name.startswith("option.")) == []


def test_the_defaults_are_in_their_ranges() -> None:
    for section, values in Config().to_dict().items():
        for key, value in values.items():
            check(f"{section}.{key}", value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("labeling.overlap=-3", "labeling.overlap is -3; expected 1 to 100."),
        ("labeling.overlap=0", "labeling.overlap is 0; expected 1 to 100."),
        ("labeling.prior=-5", "labeling.prior is -5; expected 0 to 1000."),
        ("labeling.prior=nan", "labeling.prior is nan; expected 0 to 1000."),
        ("labeling.sure=1", "labeling.sure is 1; expected a number between 0 and 1."),
        ("labeling.port=-1", "labeling.port is -1; expected 0 to 65535."),
        ("labeling.port=99999", "labeling.port is 99999; expected 0 to 65535."),
        ("labeling.min_votes=-1", "expected 0 to 100."),
        ("inspect.port=0", "inspect.port is 0; expected 1 to 65535."),
        ("collect.margin=inf", "collect.margin is inf; expected 0 to 5."),
        ("collect.margin=-0.5", "collect.margin is -0.5; expected 0 to 5."),
        ("collect.every=nan", "collect.every is nan; expected 0 to 86400."),
        ("collect.min_face=0", "collect.min_face is 0; expected 1 to 10000."),
        ("collect.detect_size=0", "expected 32 to 10000."),
        ("collect.max_pixels=0", "collect.max_pixels is 0; expected 1 to 100000000000."),
        ("collect.max_bytes=-1", "collect.max_bytes is -1; expected 1 to"),
        ("collect.min_score=60", "collect.min_score is 60; expected 0 to 1."),
        ("collect.similar=-0.1", "expected 0 to 1."),
        ("collect.faces=some", 'collect.faces is "some"; expected one of auto, all, largest, off.'),
        ("training.size=0", "training.size is 0; expected 8 to 1024."),
        ("training.lr=-1", "training.lr is -1; expected 1e-12 to 100."),
        ("training.lr=nan", "training.lr is nan"),
        ("training.average=1", "training.average is 1; expected 0 to 0.999999."),
        ("training.batch=-32", "expected 2 to 65536."),
        ("training.seed=-1", "training.seed is -1; expected 0 to 2147483647."),
        ("training.mode=probe", 'training.mode is "probe"; expected one of full, head.'),
        ("training.damaged=maybe", "expected one of stop, leave_out."),
        ("suggest.n=0", "suggest.n is 0; expected 1 to 1000000000."),
        ("suggest.revotes=1.5", "suggest.revotes is 1.5; expected 0 to 1."),
        ("suggest.per_group=0", "expected 1 to 1000000000."),
    ],
)
def test_a_setting_without_sense_is_refused_where_it_is_read(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.apply(Config(), [text])
    assert words in str(caught.value)
    assert caught.value.message.startswith("--set: ")
    key, _, value = text.partition("=")
    file = tmp_path / "emolab.toml"
    section, _, name = key.partition(".")
    file.write_text(
        f"[{section}]\n{name} = {value if value[-1].isdigit() or value in ('nan', 'inf') else repr(value)}\n"
    )
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert words in str(caught.value)
    assert caught.value.message.startswith(str(file))


@pytest.mark.parametrize("name", [name for name in RANGES if not name.startswith("option.")])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, 10**30])
def test_no_range_holds_what_is_no_number(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        check(name, value)


@pytest.mark.parametrize("name", WORDS)
def test_words_are_the_ones_of_the_table(name: str) -> None:
    for word in WORDS[name]:
        check(name, word)
    for word in ("", "AUTO", "auto ", "\u202e", "x" * 50):
        with pytest.raises(ConfigError, match=name):
            check(name, word)


@pytest.mark.slow
@pytest.mark.parametrize(
    "call",
    [
        ("collect", "x.mp4", "--every", "nan"),
        ("collect", "x.mp4", "--every", "inf"),
        ("collect", "x.mp4", "--every", "-1"),
        ("label", "pull", "--watch", "--every", "nan"),
        ("label", "pull", "--watch", "--every", "1e300"),
        ("label", "push", "-n", "0"),
        ("label", "push", "-n", "1" + "0" * 30),
        ("label", "push", "--overlap", "101"),
        ("label", "aggregate", "--min-votes", "-1"),
        ("suggest", "--minutes", "nan"),
        ("suggest", "--minutes", "0"),
        ("suggest", "--revotes", "1.1"),
        ("suggest", "--seed", "99999999999"),
        ("inspect", "--port", "65536"),
        ("studio", "up", "--port", "-1"),
        ("pretrain", "--epochs", "0"),
        ("simulate", "csv:x", "--jobs", "0"),
    ],
    ids=" ".join,
)
def test_an_option_without_sense_is_wrong_usage(call: tuple[str, ...], workspace: Workspace) -> None:
    said = emolab("-w", workspace.root, *call)
    assert said.code == 2
    assert "Error: Invalid value for" in said.err


@pytest.mark.parametrize("command", [("status",), ("models", "list"), ("label", "status"), ("suggest",), ("train",)])
def test_every_command_refuses_a_setting_without_sense(command: tuple[str, ...], workspace: Workspace) -> None:
    file = workspace.root / "emolab.toml"
    file.write_text(file.read_text() + "[labeling]\noverlap = -3\n")
    assert "labeling.overlap is -3; expected 1 to 100." in one_line(emolab("-w", workspace.root, *command))


@pytest.mark.parametrize("n", [30, 31, 100])
def test_init_says_how_many_classes_the_form_has_keys_for(n: int, tmp_path: Path) -> None:
    said = emolab("init", tmp_path / "w", "--classes", ",".join(f"c{i}" for i in range(n)))
    assert said.code == 1
    assert f"A project holds at most 29 classes, got {n}" in one_line(said)
    assert not (tmp_path / "w").exists()


def test_init_takes_as_many_classes_as_the_form_has_keys_for(tmp_path: Path) -> None:
    assert emolab("init", tmp_path / "w", "--classes", ",".join(f"c{i}" for i in range(29))).code == 0


def numbers_of(command: click.Command, path: str = "emolab") -> Iterator[tuple[str, click.Parameter]]:
    for parameter in command.params:
        if isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType):
            yield f"{path} {parameter.opts[0]}", parameter
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            assert inner is not None
            yield from numbers_of(inner, f"{path} {name}")


@pytest.mark.parametrize(("name", "parameter"), [pytest.param(*found, id=found[0]) for found in numbers_of(cli)])
def test_no_option_takes_what_is_no_number_of_this_world(name: str, parameter: click.Parameter) -> None:
    for text in ("nan", "inf", "-inf", "-1", "1" + "0" * 30):
        with pytest.raises(click.BadParameter):
            parameter.type.convert(text, parameter, None)
