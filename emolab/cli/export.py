"""``emolab export``: one file that runs a model without emolab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, workspace_command
from emolab.words import short

if TYPE_CHECKING:
    from emolab.training.export.export import Exported


@click.command(short_help="Write a model as ONNX, OpenVINO, TorchScript or a folder for the Hub.")
@click.argument("model")
@click.option("--to", required=True, metavar="FORMAT", help="onnx, openvino, torchscript, or huggingface: a folder.")
@click.option("--precision", default="fp32", show_default=True, help="fp32, bf16 (not onnx) or int8 (not torchscript).")
@click.option("--flips/--no-flips", default=False, show_default=True,
              help="Judge the mirror image too: better, at twice the work.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path),
              help="The file or folder to write [MODEL-PRECISION.onnx (.zip, .pt); MODEL-huggingface].")  # fmt: skip
@workspace_command
def export(session: Session, model: str, *, to: str, precision: str, flips: bool, out: Path | None) -> None:
    """Write MODEL (face48, champion, the start of an id, or a folder) as one self-contained file.

    With --to huggingface it is a folder as the Hugging Face Hub wants it: card, config, safetensors and ONNX. Nothing
    is uploaded.

    Preprocessing, classes, temperature and model card are inside. The file is compared with the model on the
    workspace's validation samples (made-up images where there are none) and is written only when both agree.
    Without --flips it judges the image alone, calibrated for that, whatever the model does inside emolab.
    """
    from emolab.cli.ui.model_options import folder_of, workspace_of
    from emolab.loop.model.export import check_wanted
    from emolab.loop.model.export import export as run

    folder = folder_of(session, model)
    file = check_wanted(to, precision, out, name=Path(model).name)
    found = run(
        folder,
        file,
        to=to,
        precision=precision,
        flips=flips,
        workspace=workspace_of(session),
        progress=session.progress,
    )
    _show(session, found)


def _show(session: Session, found: Exported) -> None:
    from emolab.cli.common import escape

    document, checked = found.document, found.parity
    session.emit(found)
    session.say(
        f"[green]✓[/] [bold]{escape(str(found.file))}[/] ({found.size / 1e6:.1f} MB): "
        f"model {short(document['model'])}, "
        f"{document['to']} {document['precision']}{', with mirror images' if document['flips'] else ''}"
    )
    what = f"{checked.n:,} {'validation samples' if checked.images == 'valid' else 'made-up images'}"
    session.say(
        f"  same answer on {checked.agreement:.2%} of {what}; probabilities within {checked.largest_difference:.2g}"
    )
    if found.files:
        session.say(f"  {', '.join(found.files)}; opens with {', '.join(found.opens_with)}")
    if checked.fall is not None:
        session.say(f"  macro-F1 {checked.macro_f1_before:.4f} -> {checked.macro_f1_after:.4f}")
    if checked.images == "synthetic":
        session.say("[dim]  Run it in a workspace with validation samples for a check on real images.[/]")
