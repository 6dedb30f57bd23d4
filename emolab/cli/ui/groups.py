"""Groups of commands: in the order of use, with the nearest name for a misspelt one, imported only when used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click


class OrderedGroup(click.Group):
    """A group that lists its commands as they are written and guesses what a misspelt one was meant to be."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the order of use."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest command's name where there is no such command."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            import difflib

            _, _, group = ctx.command_path.partition(" ")
            before = f"{group} " if group else ""
            nearest = difflib.get_close_matches(args[0], known, n=1)
            guess = f' Did you mean "{before}{nearest[0]}"?' if nearest else ""
            raise click.UsageError(f'There is no command "{before}{args[0]}".{guess}', ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(OrderedGroup):
    """A group whose commands are imported on use; its help stands in ``table``, so that showing it imports none.

    ``table`` maps a command to (module that has it under the same name, one line of help);
    a word of Python has "_" behind it there.
    """

    def __init__(
        self, *args: Any, table: Mapping[str, tuple[str, str]], heading: str = "Commands", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.table, self.heading = table, heading

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands of the table, in its order."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported; ``None`` when there is none of that name."""
        if cmd_name not in self.table:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(import_module(self.table[cmd_name][0]), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table of commands, without importing them."""
        with formatter.section(self.heading):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])


class DefaultGroup(OrderedGroup):
    """A group in which what is no command's name is the first argument of the command called ``default``."""

    def __init__(self, *args: Any, default: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the default command where none is named."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, else the default one."""
        return super().get_command(ctx, cmd_name) or self.commands[self.default]
