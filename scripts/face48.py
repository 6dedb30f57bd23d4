"""Train face48, the model that comes with emolab, from FER+ and put it into the package.

    python -m scripts.face48 --train ferplus_train.zip --valid ferplus_valid.zip --workspace DIR

Two trainings: a long one from random weights, then a short one from what that learned, with weaker augmentation and
less dropout, so that the network ends with faces as people will show them. A first network is made like that; a second
one, from other random weights, learns in its short training half from the votes and half from the first, and is kept.

Every step is an ordinary command of emolab, so a stopped run goes on when it is started again. The last step halves the
precision of the weights, judges what it wrote under the official majority protocol and stores the figures beside them.

    python -m scripts.face48 --train ferplus_train.zip --valid ferplus_valid.zip --workspace DIR --record-only

trains nothing: it writes again which images the packaged model has learned from (``learned.safetensors``), within two
minutes, and stops unless there are as many to train on and as many of each class to validate on as the model had.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from contextlib import chdir, nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emolab.cli.main import run
from emolab.datasets.benchmark_set import evaluation_set
from emolab.inference import model_document, uncertainty
from emolab.loop.model.training_material import training_material
from emolab.loop.sample_files import media_of
from emolab.modalities.image import decode
from emolab.progress import SILENT
from emolab.training import checkpoint
from emolab.training.export.export import export
from emolab.training.learned import fingerprints
from emolab.training.learned import learned_images as learned
from emolab.training.networks.bundled import ROOT, SERVED
from emolab.training.predict import load, predict_media
from emolab.training.runs import runs
from emolab.workspace import Workspace
from scripts.packing import halved

FOLDER = ROOT / "face48"
#: Epochs of the first training, from random weights by the recipe of ``face48``, and of the second; its settings.
EPOCHS, SECOND_EPOCHS = 40, 8
SECOND = {
    "strength": 0.3,
    "dropout": 0.1,
    "optimizer": "sgd",
    "lr": 0.03,
    "batch": 128,
    "weight_decay": 5e-4,
    "patience": 0,
}
#: Seeds of the network that is kept and of the one it learns from, and the share of the targets that is its teacher's.
SEED, TEACHER, SHARE = 2, 1, 0.5
#: What the images are called in the record of what the model learned from.
LEARNED = "FER+ train"
#: Figures worth keeping of an evaluation.
KEPT = ("on", "protocol", "flips", "n", "accuracy", "macro_f1", "balanced_accuracy", "nll", "ece", "brier", "per_class")


def emolab(*words: str | Path, where: Path, json_output: bool = False) -> Any:
    """Run a command of emolab in ``where``, return its JSON where that was asked for, and stop if it fails."""
    said = io.StringIO()
    with chdir(where), redirect_stdout(said) if json_output else nullcontext():
        status = run([*map(str, words), *(["--json"] if json_output else [])])
    if status:
        sys.exit(f"face48: emolab {words[0]} ended with status {status}")
    return json.loads(said.getvalue()) if json_output else None


def prepare(workspace: Path, train_zip: Path, valid_zip: Path) -> None:
    """Make the workspace unless it is there and merge both files; what was merged before is merged once."""
    if not (workspace / "emolab.toml").exists():
        emolab("init", workspace, "--classes", "ferplus8", where=Path.cwd())
    for path in (train_zip, valid_zip):
        emolab("merge", "ferplus", path, where=workspace)


def train(workspace: Path, settings: dict[str, Any], *, weights: str | Path) -> Path:
    """Return the folder of the model that ``settings`` make in ``workspace``, which is trained unless it is there."""
    stored = weights if weights == "none" else runs.by_content(Path(weights))
    for row in emolab("models", "list", where=workspace, json_output=True):
        folder = workspace / ".emolab" / "models" / str(row["id"])[:16]
        if {**settings, "weights": stored}.items() <= model_document.describe(folder).plan.items():
            return folder
    chosen = {**settings, "weights": weights}
    words = [word for key, value in chosen.items() for word in ("--set", f"training.{key}={value}")]
    made = emolab("train", *words, where=workspace, json_output=True)
    return workspace / str(made["path"])


def both(workspace: Path, settings: dict[str, Any], *, epochs: tuple[int, int], teacher: Path | None) -> Path:
    """Return the folder of a model after both trainings, the second one with the help of the model in ``teacher``."""
    learned = train(workspace, {**settings, "epochs": epochs[0], "teacher": ""}, weights="none")
    taught = (
        {"teacher": ""} if teacher is None else {"teacher": model_document.describe(teacher).id, "teacher_share": SHARE}
    )
    again = {**settings, **SECOND, "epochs": epochs[1], **taught}
    return train(workspace, again, weights=learned / checkpoint.WEIGHTS)


def pack(folder: Path, valid_zip: Path, out: Path) -> None:
    """Write the model in ``folder`` to ``out`` with weights of half precision and the figures reached by them."""
    made, weights = checkpoint.read(folder)
    half = halved(weights)
    # FER+ holds PNGs of the network's own size, which every version of the decoder leaves as they are
    made = replace(made, id=checkpoint.identity(made.plan, made.snapshot, half), parent=None, decoder=decode.VERSION)
    checkpoint.write(out, made, half)
    judged = [judge(out, valid_zip, flips=flips) for flips in (made.flips, not made.flips)]
    checkpoint.write(out, replace(made, metrics={**made.metrics, "judged": judged}), half)
    serve(out, valid_zip)


def serve(out: Path, valid_zip: Path) -> None:
    """Let the model in ``out`` state sets of classes, and write it as ONNX too, which answers without PyTorch."""
    made, weights = checkpoint.read(out)
    stated = {"on" if flips else "off": sets(out, valid_zip, flips=flips) for flips in (False, True)}
    checkpoint.write(out, replace(made, metrics={**made.metrics, "conformal": stated}), weights)
    export(out, out / SERVED, to="onnx", flips=False)


def sets(folder: Path, valid_zip: Path, *, flips: bool) -> dict[str, Any]:
    """What FER+ valid lets the model in ``folder`` state about sets of classes, with or without mirror images."""
    predictor = load(folder, device="cpu").with_flips(flips)
    chosen = evaluation_set(f"ferplus:{valid_zip}", predictor.checkpoint.classes)
    answers = predict_media(predictor, list(zip(chosen.names, chosen.media, strict=True)))
    probs = np.stack([answer.probs for answer in answers if answer.probs is not None])
    return uncertainty.fit(probs, np.asarray(chosen.targets))


def judge(folder: Path, valid_zip: Path, *, flips: bool) -> dict[str, Any]:
    """Figures of the model in ``folder`` on FER+ valid, with or without mirror images."""
    way = "--flips" if flips else "--no-flips"
    found = emolab("evaluate", folder, "--on", f"ferplus:{valid_zip}", way, where=Path.cwd(), json_output=True)
    found["on"] = f"FER+ {', '.join(found['splits'])}"
    return {key: found[key] for key in KEPT}


def record(workspace: Path, out: Path) -> int:
    """Write beside the model in ``out`` what it learned from in ``workspace``; how many images that are."""
    place = Workspace.open(workspace)
    data, _ = training_material(place, SILENT)
    metrics = model_document.describe(out).metrics  # its snapshot holds the teacher's opinions too, so that cannot tell
    expected = (metrics["n_train"], [row["support"] for row in metrics["valid"]["per_class"]])
    if expected != (len(data.train), [row["valid"] for row in data.composition()]):
        sys.exit(f"face48: the images in {workspace} are not those that the model in {out} learned from")
    prints = fingerprints.fill(place.cache, [data.ids[i] for i in data.train], media_of(place))
    found = learned.Learned().with_images(prints, LEARNED)
    learned.write(out / learned.FILE, found)
    return found.n


def main(words: Sequence[str] | None = None) -> None:
    """Parse the command line, train, pack and say where the model is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, required=True, help="FER+ train, a folder or zip")
    parser.add_argument("--valid", type=Path, required=True, help="FER+ valid, a folder or zip")
    parser.add_argument(
        "--workspace",
        type=Path,
        required=True,
        help="where to work: a new folder, or that of a stopped run with the same files",
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the first training")
    parser.add_argument("--second-epochs", type=int, default=SECOND_EPOCHS, help="of the second training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--teacher", type=int, default=TEACHER, help="seed of the network it learns from")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where to write the model; default: the package")
    parser.add_argument(
        "--serve-only", action="store_true", help="write again what the model in --out needs to be served, and end"
    )
    parser.add_argument(
        "--record-only", action="store_true", help="write what the model in --out learned from, and end"
    )
    chosen = parser.parse_args(words)
    train_zip, valid_zip = chosen.train.resolve(), chosen.valid.resolve()
    if chosen.serve_only:
        serve(chosen.out.resolve(), valid_zip)
        print(f"face48: {chosen.out / SERVED}")
        return
    workspace = chosen.workspace.resolve()
    prepare(workspace, train_zip, valid_zip)
    if chosen.record_only:
        print(f"face48: {record(workspace, chosen.out.resolve()):,} images are in {chosen.out / learned.FILE}")
        return
    how = {"backbone": "face48", "objective": "macro_f1", "threads": chosen.threads}
    epochs = (chosen.epochs, chosen.second_epochs)
    teacher = both(workspace, {**how, "seed": chosen.teacher}, epochs=epochs, teacher=None)
    finished = both(workspace, {**how, "seed": chosen.seed}, epochs=epochs, teacher=teacher)
    pack(finished, valid_zip, chosen.out.resolve())
    record(workspace, chosen.out.resolve())
    name = "face48" if chosen.out == FOLDER else chosen.out
    print(f"face48 is in {chosen.out}; look at it with: emolab models card {name}")


if __name__ == "__main__":
    main()
