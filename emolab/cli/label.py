"""``emolab label``: the team's side of the loop. The commands are in modules of their own, imported on use."""

from __future__ import annotations

from importlib import import_module

import click

#: Command -> (module, function, one line of help).
COMMANDS = {
    "push": ("emolab.cli.label_push", "push", "Send samples to the team."),
    "pull": ("emolab.cli.label_pull", "pull", "Bring back the team's answers as votes."),
    "status": ("emolab.cli.label_status", "status", "Show progress, agreement and annotators."),
    "aggregate": ("emolab.cli.label_aggregate", "aggregate", "Turn the team's votes into labels."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, function, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=_Lazy, short_help="Send samples to the team and bring back their votes.")
def label() -> None:
    """Send samples to the team in Label Studio, bring back their votes, and turn votes into labels.

    The server is the embedded one ("emolab studio up") or any other by LABEL_STUDIO_URL or labeling.url, with a token
    in EMOLAB_STUDIO_TOKEN.
    """
