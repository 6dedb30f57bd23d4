"""What one turn of continuous training costs: 5,000 faces with a head on face48, and a turn where nothing is new.

FER+ training faces with the label that most people gave. `emolab cycle` runs as a process of its own, as
a timer calls it: CPU seconds of that process, start of Python included, on one thread. The first turn makes all
embeddings; a later one with 100 new votes finds them in the cache. Needs the test data pack (EMOLAB_TEST_DATA or
../shared).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.harness import Result, main, summary
from emolab.catalog import samples, votes
from emolab.datasets import voted_dataset
from emolab.records import Sample, Vote
from emolab.workspace import Workspace

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
#: Faces in all, those that nobody is asked about at first, and those answered before a later turn.
FULL, QUICK, HELD, NEW = 5_000, 300, 200, 100
#: Turns where nothing is new.
IDLE = 5


def run(quick: bool) -> list[Result]:
    """A first turn, a later one, and several where nothing is new."""
    n = QUICK if quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        workspace = made(Path(folder) / "faces", n + HELD)
        answered(workspace, 0, n)
        first = turn(workspace, "complete")
        idle = [turn(workspace, "nothing new") for _ in range(IDLE)]
        answered(workspace, n, NEW)
        later = turn(workspace, "complete")
    middle, ends = summary(idle)
    return [
        Result("the first turn, embeddings included", first, "CPU s", n=n, note="a head on face48"),
        Result("a later turn", later, "CPU s", n=n + NEW, note=f"{NEW} new votes"),
        Result("a turn where nothing is new", middle, "CPU s", n=n, seeds=IDLE, spread=ends),
    ]


def headline(results: Sequence[Result]) -> Mapping[str, object]:
    """The figures that a script asks for, by their keys."""
    return {"cycle_s": results[0].value, "cycle_later_s": results[1].value, "cycle_nothing_new_s": results[2].value}


def turn(workspace: Workspace, outcome: str) -> float:
    """CPU seconds of one `emolab cycle`, which must come to ``outcome``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call = [sys.executable, "-m", "emolab", "-w", str(workspace.root), "cycle", "--json"]
    call += ["--set", "training.mode=head", "--set", "training.threads=1", "--set", "cycle.push=false"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=environment)
    if done.returncode or json.loads(done.stdout)["outcome"] != outcome:
        raise RuntimeError(f"emolab cycle ended with {done.returncode}: {done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def made(root: Path, n: int) -> Workspace:
    """A workspace of ``n`` faces of FER+; ``source`` keeps what most people said."""
    data = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared") / "data"
    if not (data / "ferplus_train.zip").is_file():
        sys.exit(f"The test data pack is not at {data.parent}; set EMOLAB_TEST_DATA.")
    crowd = voted_dataset.read(f"ferplus:{data / 'ferplus_train.zip'}", CLASSES)
    workspace = Workspace.init(root, classes=CLASSES)
    workspace.media.mkdir(parents=True, exist_ok=True)
    found = []
    for name, media, row in zip(crowd.ids[:n], crowd.media[:n], crowd.votes[:n], strict=True):
        file = workspace.media / f"{name}.png"
        file.write_bytes(media if isinstance(media, bytes) else media.read_bytes())
        label = CLASSES[int(row.argmax())]
        found.append(Sample(id=name, media=file.relative_to(workspace.root).as_posix(), source=label))
    if len(found) < n:
        raise RuntimeError(f"{len(found):,} of {n:,} faces are there")
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, found)
    return workspace


def answered(workspace: Workspace, first: int, n: int) -> None:
    """One person answers the samples ``first`` to ``first + n``."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        asked = sorted(samples.iterate(tx), key=lambda sample: sample.id)[first : first + n]
        cast = [Vote(sample_id=s.id, annotator="ann", label=str(s.source), origin=f"cycle:{s.id}") for s in asked]
        votes.append(tx, cast)


if __name__ == "__main__":
    main(run, headline=headline)
