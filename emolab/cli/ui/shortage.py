"""Too little to learn from, in words and by class: said when a dataset comes in and before a training begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emolab.cli.common import Session
    from emolab.datasets.merge.report import MergeReport

#: With fewer training samples than this a class is hardly learnt.
FEWEST = 10


def before_training(composition: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a training is short of; ``composition`` has ``class``, ``train`` and ``valid`` (samples) per class.

    >>> before_training([{"class": "happy", "train": 40, "valid": 9}, {"class": "sad", "train": 0, "valid": 2}])
    ['No training samples of sad (2 held out): the model cannot learn it.']
    """
    counts = {str(row["class"]): (int(row["train"]), int(row["valid"])) for row in composition}
    none = [_count(name, 0, held) for name, (train, held) in counts.items() if not train]
    few = [_count(name, train, held) for name, (train, held) in counts.items() if 0 < train < FEWEST]
    train, held = (sum(pair[i] for pair in counts.values()) for i in (0, 1))
    said = []
    if none:
        said.append(f"No training samples of {', '.join(none)}: the model cannot learn {_them(none)}.")
    if few:
        said.append(
            f"Fewer than {FEWEST} training samples of {', '.join(few)}: the model will hardly learn {_them(few)}."
        )
    if held > train:
        said.append(f"Only {train:,} samples to train on, and {held:,} are held out to judge the model.")
    return said


def after_merge(session: Session, report: MergeReport) -> bool:
    """Say what the dataset leaves to train on where that is nothing or little; whether it is nothing.

    Where the workspace has other training samples this is no shortage and nothing is said.
    """
    from emolab.cli.common import escape

    if report.train_elsewhere or not report.left:
        return False
    name = escape(report.name)
    held = sum(row["held_out"] for row in report.left.values())
    if not held and not any(row["train"] for row in report.left.values()):
        return False
    if any(row["train"] for row in report.left.values()):
        short = [_count(c, row["train"], row["held_out"]) for c, row in report.left.items() if row["train"] < FEWEST]
        if short:
            session.say(f"[yellow]![/] Little or nothing of {name} to train on for {', '.join(short)}.")
        return False
    classes = ", ".join(f"{c} {row['held_out']:,}" for c, row in report.left.items() if row["held_out"])
    session.say(f"[yellow]![/] Nothing of {name} is left to train on: all {held:,} images are held out ({classes}).")
    where = "" if report.dry_run else " in a new workspace: samples keep the split they came in with"
    session.say(f"  [dim]Merge its training set too, or use[/] --split train[dim]{where}.[/]")
    return True


def _count(name: str, train: int, held: int) -> str:
    parts = [f"{train:,}"] if train else []
    parts += [f"{held:,} held out"] if held else []
    return f"{name} ({', '.join(parts)})" if parts else name


def _them(names: Iterable[str]) -> str:
    return "it" if len(list(names)) == 1 else "them"
