"""What a run of collecting did, counted as it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.modalities.problems import Problem

if TYPE_CHECKING:
    from emolab.catalog.samples import AddResult
    from emolab.datasets.collect.items import Outcome

#: How many problems a report keeps in memory; all of them go to ``on_problem``.
KEPT_PROBLEMS = 1000


@dataclass(slots=True)
class IngestReport:
    """What a run did. ``added`` and ``existing`` count samples, ``items`` inputs, ``skipped`` inputs known from before.

    ``faces`` counts new samples cut out of larger images, ``whole`` new ones kept whole because no face was found.
    ``kinds`` counts every problem by kind (notes in ``notes``); ``problems`` holds the first thousand of both.
    """

    items: int = 0
    added: int = 0
    existing: int = 0
    skipped: int = 0
    faces: int = 0
    whole: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Inputs that did not become samples."""
        return self.kinds.total()

    def count(self, batch: Sequence[Outcome], result: AddResult) -> None:
        """Count a batch that was added with this ``result``."""
        made = [sample for outcome in batch for sample in outcome.samples]
        new = set(result.added)
        self.added += len(result.added)
        self.existing += len(result.existing) + sum(len(o.ids) for o in batch if not o.samples)
        self.skipped += sum(1 for o in batch if o.ids and not o.samples)
        self.faces += sum(1 for s in made if s.box is not None and s.id in new)
        self.whole += sum(1 for s in made if s.quality.get("faces") == 0 and s.id in new)

    def note(self, problem: Problem) -> None:
        """Count a problem, and keep it while there is room."""
        (self.notes if problem.taken else self.kinds)[problem.kind] += 1
        if len(self.problems) < KEPT_PROBLEMS:
            self.problems.append(problem)
