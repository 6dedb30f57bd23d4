"""What every command shares: the session, ``--json``, ``--set``, and output that a person likes to read.

Importing this module costs nothing but click; rich and the catalog come in when a command runs.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from emolab.progress import Progress
    from emolab.workspace import Workspace

#: Below ``.emolab`` while a forgetting has not ended (``emolab.catalog.privacy.tombstones``).
UNFINISHED_FORGETTING = "forgotten/unfinished.json"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Session:
    """State of one invocation: where, how to speak, and which settings were overridden."""

    folder: Path | None = None
    json: bool = False
    overrides: tuple[str, ...] = field(default=())

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace the command works in. Raises a clear error when there is none."""
        from emolab.workspace import Workspace

        found = Workspace.find(self.folder, overrides=self.overrides)
        if (found.state / UNFINISHED_FORGETTING).exists():
            self.console.print("[yellow]![/] A forgetting is unfinished here. To go on with it: emolab forget")
        return found

    @cached_property
    def console(self) -> Console:
        """Prose, tables and progress go here: standard error, so that standard output holds data only."""
        from emolab.cli.ui.terminal import Terminal

        return Terminal(stderr=True, highlight=False, soft_wrap=False)

    @cached_property
    def progress(self) -> Progress:
        """Bars on standard error where somebody watches; silent otherwise."""
        from emolab.cli.ui.bars import Bars

        return Bars(self.console)

    def emit(self, data: Any) -> None:
        """Print ``data`` as JSON on standard output when ``--json`` was given; do nothing otherwise.

        What is no number, or infinite, becomes ``null``: JSON has no word for it.
        """
        if self.json:
            from emolab.results import plain_data

            text = json.dumps(plain_data(data), indent=2, sort_keys=False)
            if "NaN" in text or "Infinity" in text:
                text = json.dumps(json.loads(text, parse_constant=lambda _: None), indent=2)
            click.echo(text)

    def say(self, text: str) -> None:
        """Print prose (rich markup allowed) unless ``--json`` was given."""
        if not self.json:
            self.console.print(text)

    def notes(self, notes: Iterable[str]) -> None:
        """Print each of ``notes``, which may come from outside, on a line."""
        for note in notes:
            self.say(f"[yellow]note:[/] {escape(note)}")

    def wrote(self, what: str, file: Path | None) -> None:
        """Say that ``what`` is in ``file``; nothing where none was written."""
        if file is not None:
            self.say(f"[green]✓[/] {what} in {escape(str(file))}")

    def table(
        self, columns: Sequence[str | tuple[str, str]], rows: Iterable[Sequence[object]], *, title: str | None = None
    ) -> None:
        """Print a table unless ``--json`` was given. A column is its title, or (title, "left" | "right" | "whole")."""
        if not self.json:
            self.console.print(make_table(columns, rows, title=title))

    def next_step(self, text: str) -> None:
        """Say what to type next, on one line however long: a command that is broken in two cannot be copied."""
        if not self.json:
            self.console.print(f"[dim]next:[/] [bold cyan]{text}[/]", soft_wrap=True)


def escape(text: str) -> str:
    """``text`` from outside, such as a file's name, as it may stand in what :meth:`Session.say` prints.

    Its brackets are no markup, and it stays on its line: no order to the terminal gets through.
    """
    from rich.markup import escape as without_markup

    from emolab.safe_text import visible

    return without_markup(visible(text))


def make_table(
    columns: Sequence[str | tuple[str, str]], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> Table:
    """A rich table in emolab's one style; numbers are to be formatted by the caller.

    A column is its title, or (title, "left" | "right" | "whole"); a whole one is left and never cut or wrapped.
    """
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    body = [tuple(row) for row in rows]
    for number, column in enumerate(columns):
        name, justify = column if isinstance(column, tuple) else (column, "left")
        table.add_column(
            name,
            justify="right" if justify == "right" else "left",
            header_style="bold",
            no_wrap=justify == "whole",
            min_width=max((len(str(row[number])) for row in body), default=0) if justify == "whole" else None,
        )
    for row in body:
        table.add_row(*(str(cell) for cell in row))
    return table


def other_files(ignored: Mapping[str, int]) -> tuple[str, str, str]:
    """A row of a table about files that were passed over, counted by suffix: its name, the number, the most frequent.

    >>> other_files({".txt": 3, "hidden": 1})
    ('[dim]other files[/]', '4', '[dim]3 .txt, 1 hidden[/]')
    """
    kinds = ", ".join(f"{n:,} {escape(suffix)}" for suffix, n in Counter(ignored).most_common(4))
    return ("[dim]other files[/]", f"{sum(ignored.values()):,}", f"[dim]{kinds}[/]")


def bar(share: float, width: int) -> str:
    """A horizontal bar for ``share`` (0..1) of ``width`` characters, to an eighth of one, as rich markup."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    drawn = "█" * full + ("▏▎▍▌▋▊▉"[part - 1] if part else "")
    return f"[cyan]{drawn}[/][dim]{'·' * (width - len(drawn))}[/]"


def workspace_command(function: F) -> F:
    """Give a command ``--json`` and ``--set`` and pass it the :class:`Session` first; below ``@click.command``."""

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")
    @click.option(
        "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a setting; repeatable."
    )
    @click.pass_context
    def wrapped(ctx: click.Context, /, *args: Any, as_json: bool, overrides: tuple[str, ...], **kwargs: Any) -> Any:
        _check_text(ctx)
        session = ctx.ensure_object(Session)
        session.json = session.json or as_json
        session.overrides += overrides
        from emolab.errors import DamagedMedia

        try:
            return ctx.invoke(function, session, *args, **kwargs)
        except DamagedMedia as error:
            rows = [{"sample": sample, "file": file, "problem": why} for sample, (file, why) in error.files.items()]
            session.emit({"damaged": rows})
            raise

    wrapper: Any = update_wrapper(wrapped, function)
    return wrapper  # type: ignore[no-any-return]


def _check_text(ctx: click.Context) -> None:
    """Refuse what was typed as text and is none: names and settings go into a catalog and onto a server.

    Files may be called anything that the system lets them.
    """
    for parameter in ctx.command.params:
        given = ctx.params.get(parameter.name or "")
        for value in given if isinstance(given, tuple) else (given,):
            file = "PATH" in (parameter.metavar or "")
            if isinstance(value, str) and not file and any("\ud800" <= ch <= "\udfff" for ch in value):
                raise click.BadParameter(f'"{value}" is no UTF-8 text.', ctx, parameter)


def within(name: str) -> click.IntRange | click.FloatRange:
    """The type of an option that may be what the table of ranges says under ``name``: whole, or a finite number."""
    from emolab.ranges import RANGES

    allowed = RANGES[name]
    low, high, between = allowed.low, allowed.high, allowed.between
    if isinstance(low, int) and isinstance(high, int):
        return click.IntRange(low, high)
    return _Finite(low, high, min_open=between, max_open=between)


class _Finite(click.FloatRange):
    """Click lets NaN through, which is on neither side of any border."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if math.isnan(found):
            self.fail(f"{value} is no number.", param, ctx)
        return found


def device_option(function: F) -> F:
    """Give a command ``--device``, passed on as ``device``; ``None`` where it was not given."""
    from emolab.ranges import WORDS

    return click.option(
        "--device",
        type=click.Choice(WORDS["training.device"]),
        help="Where to compute; auto takes a CUDA GPU where there is one.",
    )(function)


def answering_device_option(*, also_torch: bool = False) -> Callable[[F], F]:
    """Give a command that answers ``--device``, passed on as ``device``; ``also_torch``: where PyTorch may answer."""
    from emolab.ranges import WORDS

    words = WORDS["option.predict_device" if also_torch else "option.device"]
    more = "; a trained model is run by PyTorch on cuda and mps" if also_torch else ""
    help = f"Where ONNX Runtime computes: the CPU, or an NVIDIA GPU{more}. Default: the CPU."
    return click.option("--device", type=click.Choice(words), help=help)


def leak_option(function: F) -> F:
    """Give a command ``--allow-speaker-leak``, passed on as ``allow_speaker_leak``."""
    return click.option(
        "--allow-speaker-leak",
        is_flag=True,
        help="Let splits put one speaker on both sides; every report of such a model says so.",
    )(function)


def flips_option(function: F) -> F:
    """Give a command ``--flips/--no-flips``, passed on as ``flips``; ``None`` where it was not given."""
    return click.option(
        "--flips/--no-flips",
        default=None,
        help="Judge each image together with its mirror image, or alone [as the model was trained to].",
    )(function)


def consent(
    session: Session, what: str, question: str, *, nothing: str, ahead: str, remedy: str, besides: str = ""
) -> None:
    """Ask before something that is hard to take back: ``what`` would happen and ``besides``, then the ``question``.

    Raises :class:`DataError` without a yes: that ``nothing`` was done, and ``ahead``, what to do instead; where nobody
    can answer (a script, ``--json``) with ``remedy``, how to agree beforehand.
    """
    from emolab.errors import DataError

    if session.json or not interactive():
        raise DataError(f"{what}; {nothing}.", hint=remedy)
    session.say(f"{what}{besides}.")
    if not click.confirm(question, err=True):
        raise DataError(f"{nothing[0].upper()}{nothing[1:]}.", hint=ahead)


def interactive() -> bool:
    """Whether a person sits at the terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()
