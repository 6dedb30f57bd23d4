"""``python -m emolab.training.export.engine_process FOLDER CACHE``: make the export that runs a model without PyTorch.

A process of its own, so that the one that answers never loads PyTorch. It ends with a line on standard error and
status 1 when the export cannot be made, and with 2 when a package for it is missing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from emolab.errors import EmolabError, MissingExtra
from emolab.training.export import engine, parity
from emolab.training.predict import load


def main(folder: Path, cache: Path) -> None:
    """Export the model in ``folder`` in single precision into ``cache``, compared with it on synthetic images."""
    predictor = load(folder, device="cpu").with_flips(False)
    found = engine.runner(
        predictor.network,
        predictor.checkpoint,
        engine="onnx",
        n=engine.COMPARED,
        images=lambda k: parity.synthetic(k, predictor.checkpoint.preprocessing),
        reference=lambda pixels: predictor.probabilities(pixels)[0],
        cache=cache,
        exact=True,
    )
    if found is None:
        raise EmolabError(f"The model in {folder} cannot be exported to ONNX.", hint="Say --device cpu to use PyTorch.")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except MissingExtra as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(2)
    except EmolabError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(1)
