"""``emolab label``: the team's side of the loop. The commands are in modules of their own, imported on use."""

from __future__ import annotations

import click

from emolab.cli.ui.groups import LazyGroup

#: Command -> (module, one line of help).
COMMANDS = {
    "push": ("emolab.cli.label.push", "Send samples to the team."),
    "pull": ("emolab.cli.label.pull", "Bring back the team's answers as votes."),
    "status": ("emolab.cli.label.status", "Show progress, agreement and annotators."),
    "name": ("emolab.cli.label.name", "Give an annotator a name that is kept here only."),
    "export": (
        "emolab.cli.label.export",
        "Write the votes as CSV, JSON, Parquet, COCO or tasks, or labels as a folder.",
    ),
    "import": ("emolab.cli.label.import_", "Add the votes of a file: CSV, JSON, Parquet, COCO, tasks or a folder."),
    "aggregate": ("emolab.cli.label.aggregate", "Turn the team's votes into labels."),
}


@click.group(cls=LazyGroup, table=COMMANDS, short_help="Send samples to the team and bring back their votes.")
def label() -> None:
    """Send samples to the team in Label Studio, bring back their votes, and turn votes into labels.

    The server is the embedded one ("emolab studio up") or any other by LABEL_STUDIO_URL or labeling.url, with a token
    in EMOLAB_STUDIO_TOKEN.
    """
