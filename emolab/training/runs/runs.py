"""Unfinished runs: a folder each, named by its settings and data, from which a stopped run goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from emolab.errors import DataError, EmolabError
from emolab.files import write_text
from emolab.training.inputs.training_set import TrainingSet
from emolab.training.runs import run_folders, state
from emolab.training.runs.recipes import Plan
from emolab.workspace import Workspace


@dataclass(frozen=True)
class Run:
    """Settings and data of a run and the folder of its states."""

    folder: Path
    plan: Plan
    data: TrainingSet

    def epochs_done(self) -> int:
        """Finished epochs according to the newest state."""
        place = state.newest(self.folder)
        return 0 if place is None else state.peek(place).epoch

    @contextmanager
    def forgotten_if_barren(self) -> Iterator[None]:
        """Forget the run when an error ends the block before its first state: there is nothing to go on with."""
        try:
            yield
        except EmolabError:
            if not run_folders.states(self.folder):
                self.remove()
            raise

    def remove(self) -> None:
        """Forget the run; its model is kept elsewhere."""
        shutil.rmtree(self.folder)


def settings(plan: Plan) -> dict[str, Any]:
    """``plan`` as plain data without what differs between machines: a weights file counts by its content."""
    values = asdict(plan)
    if plan.weights not in ("default", "none"):
        file = Path(plan.weights).expanduser()
        if not file.is_file():
            raise DataError(f"There is no weights file {file}.", hint="Pass --set training.weights=PATH, or =none.")
        values["weights"] = by_content(file)
    return values


def by_content(file: Path) -> str:
    """A weights file as the plan of a model names it: the same on every machine, whatever folder it lies in."""
    with file.open("rb") as stream:
        return f"{file.name} sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def begin(
    workspace: Workspace, plan: Plan, data: TrainingSet, *, taught: Callable[[TrainingSet], TrainingSet] | None = None
) -> Run:
    """The run of ``plan`` on ``data``: the unfinished one where there is one, a new one otherwise.

    A new run learns from what ``taught`` makes of ``data``, a stopped one from what that made when the run began.
    """
    identity = hashlib.sha256(json.dumps(settings(plan), sort_keys=True).encode() + data.snapshot.encode()).hexdigest()
    folder = run_folders.root(workspace) / identity[:16]
    if not (folder / run_folders.PLAN).is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        data = data if taught is None else taught(data)
        data.save(folder)
        write_text(folder / run_folders.PLAN, json.dumps(asdict(plan)))
    elif taught is not None:
        data = read(folder).data
    return Run(folder, plan, data)


def unfinished(workspace: Workspace) -> Run | None:
    """The unfinished run that was worked on last, with its own settings and data, or ``None``.

    Raises :class:`DataError` when it is damaged.
    """
    found = run_folders.runs(workspace)
    return read(found[-1]) if found else None


def read(folder: Path) -> Run:
    """The run in ``folder``, with its own settings and data. Raises :class:`DataError` when it is damaged."""
    try:
        plan = Plan(**json.loads((folder / run_folders.PLAN).read_text(encoding="utf-8")))
        return Run(folder, plan, TrainingSet.read(folder))
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise DataError(
            f"The unfinished run in {folder} cannot be read ({' '.join(str(error).split())[:160]}).",
            hint=f"Another emolab wrote it, or its files are damaged. To forget it: rm -r {folder}",
        ) from error
