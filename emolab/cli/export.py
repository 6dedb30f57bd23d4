"""``emolab export``: one file that runs a model without emolab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, workspace_command
from emolab.words import short

if TYPE_CHECKING:
    from emolab.training.export.export import Exported, Material


@click.command(short_help="Write a model as ONNX, OpenVINO or TorchScript.")
@click.argument("model")
@click.option("--to", required=True, metavar="FORMAT", help="onnx, openvino or torchscript.")
@click.option("--precision", default="fp32", show_default=True, help="fp32, bf16 (not onnx) or int8 (not torchscript).")
@click.option("--flips/--no-flips", default=False, show_default=True,
              help="Judge the mirror image too: better, at twice the work.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
              help="The file to write [MODEL-PRECISION.onnx, .zip for openvino, .pt for torchscript].")  # fmt: skip
@workspace_command
def export(session: Session, model: str, *, to: str, precision: str, flips: bool, out: Path | None) -> None:
    """Write MODEL (face48, champion, the start of an id, or a folder) as one self-contained file.

    Preprocessing, classes, temperature and model card are inside. The file is compared with the model on the
    workspace's validation samples (made-up images where there are none) and is written only when both agree.
    Without --flips it judges the image alone, calibrated for that, whatever the model does inside emolab.
    """
    from emolab.cli.ui.model_options import folder_of
    from emolab.errors import MissingExtra

    try:
        from emolab.training.export import export as exporting
        from emolab.training.export import formats
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    folder = folder_of(session, model)
    suffix = formats.SUFFIX.get(to, "")
    file = out or Path(f"{Path(model).name or 'model'}-{precision}{suffix}")
    formats.check_wanted(to, precision, file)
    found = exporting.export(
        folder,
        file,
        to=to,
        precision=precision,
        flips=flips,
        material=_material(session, folder),
        progress=session.progress,
    )
    _show(session, found)


def _material(session: Session, folder: Path) -> Material | None:
    """What the workspace has to check with; nothing where there is no workspace."""
    from emolab.cli.ui.model_options import workspace_of
    from emolab.labeling.labels.current_labels import labels_if_any
    from emolab.training.checkpoint import describe
    from emolab.training.export.export import material_of

    workspace = workspace_of(session)
    if workspace is None:
        return None
    made = describe(folder)
    labels = labels_if_any(workspace, progress=session.progress)
    return material_of(workspace, made.classes, made.preprocessing, labels, progress=session.progress)


def _show(session: Session, found: Exported) -> None:
    from emolab.cli.common import escape

    document, checked = found.document, found.parity
    session.emit(
        {
            "file": found.file,
            "bytes": found.size,
            "to": document["to"],
            "precision": document["precision"],
            "flips": document["flips"],
            "temperature": document["temperature"],
            "model": document["model"],
            "classes": document["classes"],
            "parity": {**vars(checked), "macro_f1_fall_points": checked.fall},
        }
    )
    session.say(
        f"[green]✓[/] [bold]{escape(str(found.file))}[/] ({found.size / 1e6:.1f} MB): "
        f"model {short(document['model'])}, "
        f"{document['to']} {document['precision']}{', with mirror images' if document['flips'] else ''}"
    )
    what = f"{checked.n:,} {'validation samples' if checked.images == 'valid' else 'made-up images'}"
    session.say(
        f"  same answer on {checked.agreement:.2%} of {what}; probabilities within {checked.largest_difference:.2g}"
    )
    if checked.fall is not None:
        session.say(f"  macro-F1 {checked.macro_f1_before:.4f} -> {checked.macro_f1_after:.4f}")
    if checked.images == "synthetic":
        session.say("[dim]  Run it in a workspace with validation samples for a check on real images.[/]")
