"""``emolab pretrain``: a backbone that learns from the images alone, before there are labels."""

from __future__ import annotations

from typing import Any

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
    if device:
        session.overrides += (f"training.device={device}",)
    found = pretrain_workspace(session, epochs)
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


def pretrain_workspace(session: Session, epochs: int | None) -> dict[str, Any]:
    """Pretrain on the workspace's images; what ``--json`` prints. Raises :class:`DataError` with too few of them."""
    from dataclasses import asdict

    from emolab.catalog import samples
    from emolab.errors import MissingExtra
    from emolab.loop.sample_files import media_of

    try:
        from emolab.modalities.image.decode import Preprocessing
        from emolab.training.inputs import media_check
        from emolab.training.inputs.usable_samples import unusable
        from emolab.training.pretraining import workspace_pretraining
        from emolab.training.runs.disk_full import room
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    workspace, progress = session.workspace, session.progress
    config = workspace.config.training
    with workspace.catalog() as catalog, catalog.connect() as conn:
        pool = samples.pool(conn)
    ids = workspace_pretraining.learnable(pool)
    media = media_of(workspace)
    gray = config.color == "auto" and media_check.all_gray([*map(media, ids)])
    made = workspace_pretraining.plan(config, n=len(ids), gray=gray, epochs=epochs)
    damaged = unusable(workspace, ids, media, Preprocessing(made.size, made.color), learn=set(ids), progress=progress)
    if damaged:
        ids = [sample for sample in ids if sample not in damaged]
        made = workspace_pretraining.plan(config, n=len(ids), gray=gray, epochs=epochs)
    if len(ids) < workspace_pretraining.FEW:
        progress.warn(
            f"{many(len(ids), 'image')} will probably teach little: the measured gain came from 25,000, and so few "
            "have not been tried. Compare with --set training.weights=none before you trust it."
        )
    with room():
        start, done = workspace_pretraining.learn(workspace, ids, made, media, progress=progress)
    if done is None:
        progress.note("Nothing changed since this was pretrained; it is kept as it is.")
    elif done:
        progress.note(f"It went on after epoch {done} of {made.epochs}.")
    return {**asdict(start), "weights": str(start.weights), "left_out": len(pool.ids) - len(ids), "resumed_at": done}
