"""A misspelt command gets the nearest one as a guess, at the top and inside every group."""

from __future__ import annotations

import click
import pytest

from emolab.cli.main import cli, run
from emolab.cli.ui.groups import OrderedGroup


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["trian"], 'There is no command "trian". Did you mean "train"?'),
        (["label", "psuh"], 'There is no command "label psuh". Did you mean "label push"?'),
        (["studio", "upp"], 'There is no command "studio upp". Did you mean "studio up"?'),
        (["models", "lst"], 'There is no command "models lst". Did you mean "models list"?'),
        (["models", "xyzzy"], 'There is no command "models xyzzy".\n'),
    ],
)
def test_a_misspelt_command_gets_the_nearest_as_a_guess(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(typed) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "-h" in shown


def test_every_group_guesses() -> None:
    ctx = click.Context(cli, info_name="emolab")
    commands = {name: cli.get_command(ctx, name) for name in cli.list_commands(ctx)}
    groups = {name: found for name, found in commands.items() if isinstance(found, click.Group)}
    assert {"label", "studio", "models"} <= set(groups)
    assert all(isinstance(found, OrderedGroup) for found in groups.values()), groups


def test_a_group_shows_its_commands_in_the_order_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["label", "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("push") < shown.index("pull  ") < shown.index("aggregate ")
