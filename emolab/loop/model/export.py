"""One file that runs a model without emolab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from emolab.loop.model.models import folder_in
from emolab.progress import SILENT

if TYPE_CHECKING:
    from emolab.progress import Progress
    from emolab.training.export.export import Exported, ExportMaterial
    from emolab.workspace import Workspace

#: What ``to`` says for a folder instead of a file.
FOLDER = "huggingface"


def export(
    model: str | Path,
    file: str | Path | None = None,
    *,
    to: str = "onnx",
    precision: str = "fp32",
    flips: bool = False,
    workspace: Workspace | None = None,
    progress: Progress = SILENT,
) -> Exported:
    """Write ``model`` (face48, champion, the start of an id, a folder) as one ``file`` that is checked against it.

    ``to``: onnx, openvino, torchscript, or huggingface, which makes ``file`` a folder; ``precision``: fp32, bf16 or
    int8, which is calibrated on images of ``workspace``. ``flips`` judges the mirror image too.
    Raises :class:`EmolabError` where both do not agree.
    """
    from emolab.errors import MissingExtra
    from emolab.inference.model_document import describe
    from emolab.modalities.preparing import require_alone

    folder = folder_in(workspace, str(model))
    _refuse_own(folder)
    require_alone(describe(folder).preprocessing, "An exported file")
    written = check_wanted(to, precision, None if file is None else Path(file), name=Path(model).name)
    try:
        from emolab.training.export import export as exporting
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    material = None if workspace is None else _material(workspace, folder, progress)
    if to == FOLDER:
        from emolab.training.export.huggingface import export_folder

        _require_plain(precision, flips)
        return export_folder(folder, written, material=material, progress=progress)
    return exporting.export(
        folder,
        written,
        to=to,
        precision=precision,
        flips=flips,
        material=material,
        progress=progress,
    )


def _require_plain(precision: str, flips: bool) -> None:
    """Raise :class:`ConfigError` for what a folder for the Hub cannot hold."""
    from emolab.errors import ConfigError

    if precision != "fp32" or flips:
        raise ConfigError(
            "A folder for the Hub holds a network as it is, in fp32, which judges each picture alone.",
            hint="Leave out --precision and --flips, or export one file: --to onnx",
        )


def _refuse_own(folder: Path) -> None:
    """Raise :class:`ConfigError` for a model whose folder is all that it takes to run it."""
    from emolab.errors import ConfigError
    from emolab.modalities.own_models import own_document

    if own_document(folder) is not None:
        raise ConfigError(
            f"This model is no network, and its folder is its own export: {folder}",
            hint="Copy the folder; docs/text.md (Without emolab) shows how to run it elsewhere.",
        )


def check_wanted(to: str, precision: str, file: Path | None, *, name: str) -> Path:
    """The file to write, by default named after the model's ``name``. Raises for a format that there is not."""
    from emolab.errors import MissingExtra, UnknownName

    try:
        from emolab.training.export import formats
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    if to == FOLDER:
        return file or Path(f"{name or 'model'}-{FOLDER}")
    if to not in formats.FORMATS:
        raise UnknownName("export format", to, [*formats.FORMATS, FOLDER])
    file = file or Path(f"{name or 'model'}-{precision}{formats.SUFFIX.get(to, '')}")
    formats.check_wanted(to, precision, file)
    return file


def _material(workspace: Workspace, folder: Path, progress: Progress) -> ExportMaterial | None:
    """What the workspace has to check with."""
    from emolab.inference.model_document import describe
    from emolab.labeling.labels.current_labels import labels_if_any
    from emolab.training.export.export import material_of

    made = describe(folder)
    labels = labels_if_any(workspace, progress=progress)
    return material_of(workspace, made.classes, made.preprocessing, labels, progress=progress)
