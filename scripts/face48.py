"""Train face48, the model that comes with emolab, from FER+ and put it into the package.

    python scripts/face48.py --train ferplus_train.zip --valid ferplus_valid.zip --workspace DIR

Every step is an ordinary command of emolab, so a stopped run goes on when it is started again. The last step halves the
precision of the weights, judges what it wrote under the official majority protocol and stores the figures beside them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from emolab.training import checkpoint, decode
from emolab.training.bundled import ROOT

FOLDER = ROOT / "face48"
EPOCHS = 40
#: Figures worth keeping of an evaluation.
KEPT = ("on", "protocol", "flips", "n", "accuracy", "macro_f1", "balanced_accuracy", "nll", "ece", "brier", "per_class")


def emolab(*words: str | Path, where: Path, json_output: bool = False) -> Any:
    """Run a command of emolab in ``where``, return its JSON where that was asked for, and stop if it fails."""
    command = [sys.executable, "-m", "emolab", *map(str, words), *(["--json"] if json_output else [])]
    done = subprocess.run(command, cwd=where, stdout=subprocess.PIPE if json_output else None, check=False)
    if done.returncode:
        sys.exit(f"face48: emolab {words[0]} ended with status {done.returncode}")
    return json.loads(done.stdout) if json_output else None


def train(workspace: Path, train_zip: Path, valid_zip: Path, *, epochs: int, threads: int, seed: int) -> Path:
    """Return the checkpoint folder of a model trained on one file and validated on the other."""
    if not (workspace / "emolab.toml").exists():
        emolab("init", workspace, "--classes", "ferplus8", where=Path.cwd())
        for path in (train_zip, valid_zip):
            emolab("merge", "ferplus", path, where=workspace)
    settings = {
        "backbone": "face48",
        "weights": "none",
        "objective": "macro_f1",
        "epochs": epochs,
        "threads": threads,
        "seed": seed,
    }
    words = [word for key, value in settings.items() for word in ("--set", f"training.{key}={value}")]
    made = emolab("train", *words, where=workspace, json_output=True)
    return workspace / str(made["path"])


def pack(folder: Path, valid_zip: Path, out: Path) -> None:
    """Write the model in ``folder`` to ``out`` with weights of half precision and the figures reached by them."""
    made, weights = checkpoint.read(folder)
    halved = {
        name: tensor.half() if tensor.dtype == torch.float32 else tensor
        for name, tensor in weights.items()
        if not name.endswith("num_batches_tracked")
    }
    # FER+ holds PNGs of the network's own size, which every version of the decoder leaves as they are
    made = replace(made, id=checkpoint.identity(made.plan, made.snapshot, halved), parent=None, decoder=decode.VERSION)
    checkpoint.write(out, made, halved)
    judged = [judge(out, valid_zip, flips=flips) for flips in (made.flips, not made.flips)]
    checkpoint.write(out, replace(made, metrics={**made.metrics, "judged": judged}), halved)


def judge(folder: Path, valid_zip: Path, *, flips: bool) -> dict[str, Any]:
    """Figures of the model in ``folder`` on FER+ valid, with or without mirror images."""
    way = "--flips" if flips else "--no-flips"
    found = emolab("evaluate", folder, "--on", f"ferplus:{valid_zip}", way, where=Path.cwd(), json_output=True)
    found["on"] = f"FER+ {', '.join(found['splits'])}"
    return {key: found[key] for key in KEPT}


def main() -> None:
    """Parse the command line, train, pack and say where the model is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, required=True, help="FER+ train, a folder or zip")
    parser.add_argument("--valid", type=Path, required=True, help="FER+ valid, a folder or zip")
    parser.add_argument("--workspace", type=Path, required=True, help="where to work; used again when it exists")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FOLDER, help="where to write the model; default: the package")
    chosen = parser.parse_args()
    train_zip, valid_zip = chosen.train.resolve(), chosen.valid.resolve()
    how = {"epochs": chosen.epochs, "threads": chosen.threads, "seed": chosen.seed}
    folder = train(chosen.workspace.resolve(), train_zip, valid_zip, **how)
    pack(folder, valid_zip, chosen.out.resolve())
    name = "face48" if chosen.out == FOLDER else chosen.out
    print(f"face48 is in {chosen.out}; look at it with: emolab models card {name}")


if __name__ == "__main__":
    main()
