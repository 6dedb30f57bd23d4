"""The ``emolab`` command: a lazy table of commands, one place that turns errors into messages and exit codes.

Exit codes: 0 done, 1 something the user can fix, 2 wrong usage, 3 a model is not good enough (``--fail-under``), 130
stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from emolab import __version__
from emolab.cli.common import Session
from emolab.cli.ui.groups import LazyGroup
from emolab.errors import EmolabError
from emolab.safe_text import visible

#: Command -> (module, one line of help). The help stands here so that ``emolab --help`` imports none of the modules.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("emolab.cli.init", "Create a workspace."),
    "studio": ("emolab.cli.studio", "Run the embedded Label Studio and invite people to it."),
    "collect": (
        "emolab.cli.collect",
        "Bring in images, recordings, sentences, videos or a camera's pictures as samples.",
    ),
    "label": ("emolab.cli.label.group", "Send samples to the team and bring back their votes."),
    "merge": ("emolab.cli.merge", "Bring in an open dataset with its labels or votes."),
    "split": ("emolab.cli.split", "Show, set, draw and repair train, valid and test."),
    "holdout": ("emolab.cli.holdout", "Keep samples away from every training, to judge models by."),
    "remove": ("emolab.cli.remove", "Take samples, or all that came from a source, out again."),
    "undo": ("emolab.cli.undo", "Take the last collect, merge or split back."),
    "snapshot": ("emolab.cli.snapshot", "States of the data: keep, compare, bring back."),
    "features": ("emolab.cli.features", "Write what is measured of every clip as a table."),
    "datasheet": ("emolab.cli.datasheet", "Write the datasheet of the data set."),
    "why": ("emolab.cli.why", "Say where a sample, a model or a prediction comes from."),
    "inspect": ("emolab.cli.inspect", "Look at the workspace in FiftyOne."),
    "pretrain": ("emolab.cli.pretrain", "Learn from the images alone, before there are labels."),
    "train": ("emolab.cli.train", "Train a model on the current labels."),
    "tune": ("emolab.cli.tune", "Search settings of the training within a budget of time."),
    "evaluate": ("emolab.cli.evaluate", "Judge a model on a split or on an open dataset."),
    "suggest": ("emolab.cli.suggest", "Propose the samples that deserve the next votes."),
    "simulate": ("emolab.cli.simulate", "Replay labelling campaigns on a voted data set."),
    "predict": ("emolab.cli.predict", "Classify images with a model."),
    "export": ("emolab.cli.export", "Write a model as ONNX, OpenVINO, TorchScript or a folder for the Hub."),
    "models": ("emolab.cli.models", "Trained models: which one is in use, and back to the one before."),
    "consent": ("emolab.cli.privacy.consent", "Write down who agreed to what, and until when."),
    "forget": ("emolab.cli.privacy.forget", "Erase samples, a person, a source or an annotator everywhere."),
    "privacy": ("emolab.cli.privacy.held", "Say what is held about a person."),
    "serve": ("emolab.cli.serve", "Answer over HTTP with a model."),
    "live": ("emolab.cli.live", "Look at a camera, a video or a browser's camera with a model."),
    "cycle": ("emolab.cli.cycle", "Pull, train, suggest and push, where enough votes are new."),
    "monitor": ("emolab.cli.monitor", "Is the model at work still right? Looks at what it is asked."),
    "status": ("emolab.cli.status", "Say where the project stands and what to type next."),
    "backup": ("emolab.cli.backup", "Keep the workspace in one file, while others work in it."),
    "restore": ("emolab.cli.restore", "Bring a workspace back from a backup."),
    "doctor": ("emolab.cli.doctor", "Check what works on this machine and how to fix the rest."),
    "demo": ("emolab.cli.demo", "Run the whole loop on drawn faces, or on your data, in minutes."),
}


@click.command(
    cls=LazyGroup,
    table=COMMANDS,
    heading="Commands, in the order of the loop",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "-V", "--version", prog_name="emolab")
@click.option(
    "-w",
    "--workspace",
    type=click.Path(file_okay=False, path_type=Path),
    help="Work in this folder instead of the current one.",
)
@click.pass_context
def cli(ctx: click.Context, workspace: Path | None) -> None:
    """From a pile of faces and a team of annotators to a calibrated emotion classifier, with the fewest votes.

    The loop: collect -> label -> merge -> train -> suggest -> label again. Try it all at once with "emolab demo".
    """
    ctx.obj = Session(folder=workspace)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    code = run(arguments)
    # Python ends by the signal, whatever the code, if Ctrl-C came within an exec() (a dataclass in the making, say);
    # it forgets that at the next one
    exec("")  # noqa: S102
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code; a bug keeps its traceback."""
    try:
        result: Any = cli.main(args=arguments, prog_name="emolab", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        _wrong_usage(error)
        return error.exit_code
    except EmolabError as error:
        return _failed(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nstopped; run the same command again to go on.", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        from emolab.cli.ui.system_errors import explained

        words = explained(error)
        if words is None:
            raise
        return _failed(words)


def _wrong_usage(error: click.ClickException) -> None:
    """What click says, with the names in it on their line and without orders to the terminal."""
    from io import StringIO

    said, message = StringIO(), error.format_message()
    error.show(said)
    click.echo(visible(said.getvalue().replace(message, visible(message)), keep="\n"), nl=False, err=True)


def _failed(error: EmolabError) -> int:
    """Say what is wrong and what to type next; the exit code."""
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(_laid_out(error.message), err=True)
    if error.hint:
        click.secho("  fix: ", fg="cyan", bold=True, nl=False, err=True)
        click.echo(_laid_out(error.hint), err=True)
    if error.block:
        click.echo(f"\n{error.block}\n", err=True)
    return 1


def _laid_out(text: str) -> str:
    """``text`` without orders to the terminal; a name with a line break cannot look like a line of emolab's own."""
    first, *more = visible(text, keep="\n").split("\n")
    return "\n".join([first, *(line if line.startswith(" ") or not line else f"  {line}" for line in more)])
