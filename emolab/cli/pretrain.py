"""``emolab pretrain``: a backbone that learns from the images alone, before there are labels."""

from __future__ import annotations

import click

from emolab.cli.common import Session, device_option, within, workspace_command
from emolab.words import many


@click.command(short_help="Learn from the images alone, before there are labels.")
@click.option("--epochs", type=within("training.epochs"), help="Passes over the images [by their number: 6 to 60].")
@device_option
@workspace_command
def pretrain(session: Session, epochs: int | None, device: str | None) -> None:
    """Train the backbone on every image of the workspace without any label, as a start for "emolab train".

    It learns to tell from a distorted view what the edges of the image were. Use it where no weights fit your images:
    for faces the bundled face48 is far ahead. Copies count once; images of valid and test, their copies and what is
    grouped with them are left out. A stopped run goes on when the same command is run again. Then train with
    --set training.weights=pretrained.
    """
    from emolab.loop.model.pretrain import pretrain as run

    found = run(session.workspace, epochs=epochs, device=device, progress=session.progress).to_dict()
    session.emit(found)
    from emolab.cli.common import escape

    loss = found["loss"]
    session.say(
        f"[green]✓[/] {found['backbone']} learned from [bold]{many(found['images'], 'image')}[/]: "
        f"{many(len(loss), 'epoch')}, {found['minutes']:.1f} min, loss {loss[0]:.2f} to {loss[-1]:.2f}\n"
        f"  weights: {escape(found['weights'])}"
    )
    backbone = "" if found["backbone"] == "face48" else f" --set training.backbone={found['backbone']}"
    session.next_step(f"emolab train{backbone} --set training.weights=pretrained")
