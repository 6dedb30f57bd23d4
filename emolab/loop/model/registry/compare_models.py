"""Two models side by side on the holdout, and what a candidate said unseen beside the one that answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.progress import SILENT
from emolab.results import Result, Table, plain_data
from emolab.words import short

if TYPE_CHECKING:
    from emolab.progress import Progress
    from emolab.records import Model
    from emolab.stats.gate import GateVerdict
    from emolab.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ComparedModels(Result):
    """What the gate says (``verdict``) of ``new`` (id) in the place of ``old``, and their ``shadow`` answers.

    ``shadow`` counts pictures and faces that both judged in ``emolab serve --shadow``, and on how many they ``agreed``;
    ``None``: there are none.
    """

    new: str
    old: str
    verdict: GateVerdict
    shadow: dict[str, int] | None

    def to_dict(self) -> dict[str, Any]:
        """Ids, verdict, figures and shadow answers, ready for JSON."""
        told = {"passed": self.verdict.passed, "reasons": list(self.verdict.reasons), **self.verdict.document}
        return {"new": self.new, "old": self.old, **plain_data(told), "shadow": self.shadow}

    def tables(self) -> list[Table]:
        """The figures of both, and the reasons."""
        rows = [(key, self.verdict.document["new"][key], value) for key, value in
                self.verdict.document.get("old", {}).items()]  # fmt: skip
        reasons = [(reason,) for reason in self.verdict.reasons]
        title = "passes the gate" if self.verdict.passed else "is blocked"
        return [Table("On the holdout", ("figure", short(self.new), short(self.old)), rows),
                Table(f"{short(self.new)} {title}", ("why",), reasons)]  # fmt: skip


def compare_models(
    workspace: Workspace, new: str = "candidate", old: str = "champion", *, progress: Progress = SILENT
) -> ComparedModels:
    """What the gate says of the model that ``new`` means in the place of ``old``, on the holdout. Nothing changes.

    Raises :class:`UnknownName` for an unknown model, :class:`DataError` where the holdout has no label or the two are
    the same model, or have other classes.
    """
    from emolab.errors import DataError
    from emolab.loop.model.models import find_model
    from emolab.loop.model.registry.gate_models import gate

    one, other = find_model(workspace, new), find_model(workspace, old)
    if one.id == other.id:
        raise DataError(f"{new} and {old} are the same model, {short(one.id)}.", hint="emolab models list")
    verdict = gate(workspace, one, other, progress=progress)
    return ComparedModels(one.id, other.id, verdict, shadow_answers(workspace, one, other))


def shadow_answers(workspace: Workspace, candidate: Model, serving: Model) -> dict[str, int] | None:
    """What ``emolab serve --shadow`` counted while ``serving`` answered and ``candidate`` was asked unseen, all days.

    A line that cannot be read, such as the last one before a kill, is passed over and counted under ``broken``.
    """
    from emolab.loop.operate.serve_keys import FOLDER

    total = {"pictures": 0, "faces": 0, "agreed": 0, "failed": 0, "broken": 0}
    lines = 0
    for file in sorted((workspace.state / FOLDER).glob("shadow-*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                told = json.loads(line)
                if (told["shadow"], told["model"]) != (candidate.id, serving.id):
                    continue
                found = {key: int(told[key]) for key in ("pictures", "faces", "agreed", "failed")}
            except (ValueError, KeyError, TypeError):
                total["broken"] += 1
                continue
            lines += 1
            for key, count in found.items():
                total[key] += count
    return total if lines else None
