"""``emolab tune``: settings of the next training, searched within a budget of time."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from emolab.loop.model.tuning.tune import TunedSettings


@click.command(short_help="Search settings of the training within a budget of time.")
@click.option("--minutes", type=within("option.minutes"), default=30.0, show_default=True,
              help="Time for all of it, earlier calls with the same data and settings included.")  # fmt: skip
@click.option("--trials", type=within("option.count"), help="Combinations of settings to try at most [as many as fit].")
@click.option("--seed", type=within("training.seed"), help="Draws the combinations and the folds [training.seed].")
@click.option("--write", is_flag=True, help="Put the best settings into emolab.toml, where they proved better.")
@workspace_command
def tune(session: Session, *, minutes: float, trials: int | None, seed: int | None, write: bool) -> None:
    """Try other settings of [training] on the training samples, and say what they bought.

    Samples of valid, test and holdout are not looked at: parts of the training samples choose, and other parts, which
    took no part in that, judge the choice afresh. Bad settings are given up early (successive halving). A search that
    was stopped, at whatever moment, goes on when the same command is run again; so does one that gets more minutes.
    """
    from emolab.loop.model.tuning.tune import tune as run

    found = run(session.workspace, minutes=minutes, trials=trials, seed=seed, write=write, progress=session.progress)
    session.emit(found)
    _show(session, found)


def _show(session: Session, found: TunedSettings) -> None:
    from emolab.loop.model.tuning.tune_page import COLUMNS, bought, in_short, to_copy

    counts = found.samples
    session.say(f"[bold]{found.outcome[0].upper()}{found.outcome[1:]}[/]: {found.reason}.")
    session.say(
        f"  {many(len(found.tried) - 1, 'combination')} in {many(found.trainings, 'training')}, "
        f"{found.seconds / 60:.1f} of {found.budget_s / 60:g} min. {counts['choose']:,} of "
        f"{many(counts['train'], 'training sample')} ({many(counts['groups'], 'group')}) chose, "
        f"{counts['judge_afresh']:,} others judged afresh; valid, test and holdout were not looked at."
    )
    best = [
        (one["trial"], f"{one['rung']} of 3", "" if one["loss"] is None else f"{one['loss']:.4f}",
         escape(one["failed"] or in_short(one["settings"])))
        for one in found.tried[:5]
    ]  # fmt: skip
    session.table([("number", "right"), "got to", ("log loss", "right"), "settings"], best, title="The best of them")
    if found.fresh:
        session.table(COLUMNS, bought(found), title="What it bought, on samples that chose nothing")
    session.wrote("report", found.report)
    if not found.settings or found.outcome in ("no better", "not judged"):
        return
    if found.wrote:
        session.wrote("settings", found.wrote)
    else:
        session.say("Settings to copy into emolab.toml, or run the same command with --write:")
        session.say(escape_lines(to_copy(found)))
    given = [
        one for one in session.overrides if one.startswith("training.") and one.partition("=")[0] not in found.settings
    ]
    session.next_step(shlex.join(["emolab", "train", *(word for one in given for word in ("--set", one))]))


def escape_lines(text: str) -> str:
    """Lines of text as they are."""
    return "\n".join(f"  {escape(line)}" for line in text.split("\n"))
