"""An open dataset comes in, with its labels or votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.progress import SILENT
from emolab.results import Result

if TYPE_CHECKING:
    from emolab.datasets.merge.report import MergeReport
    from emolab.datasets.splits.resplit import Moves
    from emolab.progress import Progress
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Merged(Result):
    """A merge: its ``report``, how many images the start network has ``learned``, and copies ``repaired``.

    ``learned`` is as in :func:`emolab.loop.data.learned_check.learned_of`. ``repaired``: what moved so that near copies
    lie in one split; ``None`` where nothing was repaired.
    """

    report: MergeReport
    learned: dict[str, Any] | None
    repaired: Moves | None = None

    @property
    def across(self) -> bool:
        """Whether near copies lie across splits, so that a repair would help."""
        return self.report.near is not None and bool(self.report.near.split) and not self.report.dry_run

    def to_dict(self) -> dict[str, Any]:
        """The report, ready for JSON, with ``learned`` and ``repaired``."""
        moved = None if self.repaired is None else self.repaired.rows()
        return {**self.report.to_dict(), "learned": self.learned, "repaired": moved}


def merge(
    workspace: Workspace,
    reader: str,
    path: str | Path,
    *,
    split: str = "auto",
    rules: str | Path | None = None,
    options: Mapping[str, str] | None = None,
    name: str | None = None,
    near: bool = True,
    repair: bool = False,
    allow_speaker_leak: bool = False,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> Merged:
    """Bring the dataset at ``path`` in by a ``reader``; every count stays a count, and running it again adds nothing.

    ``split``: ``auto`` keeps the dataset's own splits and assigns the rest by group, a split's name takes everything
    there. ``rules`` is a TOML or JSON file from source labels to classes, ``options`` are the reader's. ``near=False``
    does not look for near copies; ``repair=True`` brings those across splits together.
    ``allow_speaker_leak`` lets splits divide speakers. Raises :class:`DataError` for a dataset that is not in the
    reader's layout, for labels without meaning, and where speakers would be on both sides.
    """
    from emolab.datasets.merge.label_map import load_rules
    from emolab.datasets.merge.merge import merge as run
    from emolab.loop.data.learned_check import learned_of
    from emolab.loop.data.split import repair_splits

    options = options or {}
    mapped = None if rules is None else load_rules(Path(rules), workspace.config.project.classes)
    report = run(
        workspace,
        reader,
        Path(path).expanduser(),
        split=split,
        rules=mapped,
        options=options,
        name=name,
        dry_run=dry_run,
        near=near,
        allow_speaker_leak=allow_speaker_leak,
        progress=progress,
    )
    done = Merged(report=report, learned=learned_of(workspace, report, options=options, progress=progress))
    return replace(done, repaired=repair_splits(workspace).moves) if repair and done.across else done
