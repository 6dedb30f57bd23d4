"""Models that come with emolab, by name: ordinary checkpoint folders inside the package."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent / "pretrained"
#: What a folder holds beside weights and document: purpose, data, licence and limits, in Markdown.
ABOUT = "about.md"
#: Networks whose weights come with the package. Who builds a package without those of one gets it untrained.
OWN = ("face48", "voice16")
#: The same model as ONNX, which answers without PyTorch.
SERVED = "model.onnx"


def names() -> tuple[str, ...]:
    """Every bundled model."""
    return tuple(sorted(path.parent.name for path in ROOT.glob("*/model.json")))


def is_missing(name: str) -> bool:
    """Whether ``name`` is a network of emolab's own whose weights this package was built without."""
    return name in OWN and name not in names()


def folder(name: str) -> Path | None:
    """The checkpoint folder of the bundled model called ``name``; ``None`` when there is none."""
    return ROOT / name if name in names() else None
