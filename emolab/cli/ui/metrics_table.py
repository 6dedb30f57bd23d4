"""The table of a judged model, shared by ``train``, ``evaluate`` and ``models``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from emolab.cli.common import bar

if TYPE_CHECKING:
    from emolab.cli.common import Session


def show_metrics(
    session: Session, found: Mapping[str, Any], *, title: str, before: Mapping[str, Any] | None = None
) -> None:
    """Print the headline numbers of ``found`` and one row per class; ``before`` holds them before calibration."""
    was = {} if before is None else before

    def honest(key: str) -> str:
        return f"{found[key]:.3f}" + (f" [dim](before {was[key]:.3f})[/]" if was.get(key) is not None else "")

    head = _several_labels(found, honest) if "micro_f1" in found else _one_label(found, honest)
    session.say(f"\n[bold]{title}[/], n = {found['n']:,}\n{head}")
    session.table(
        ["class", ("precision", "right"), ("recall", "right"), ("F1", "right"), "", ("n", "right")],
        [
            (
                row["class"],
                number(row["precision"]),
                number(row["recall"]),
                number(row["f1"]),
                bar(row["f1"] or 0.0, 16),
                f"{row['support']:,}",
            )
            for row in found["per_class"]
        ],
    )


def _one_label(found: Mapping[str, Any], honest: Callable[[str], str]) -> str:
    return (
        f"  accuracy [bold]{found['accuracy']:.1%}[/]   macro-F1 [bold]{found['macro_f1']:.3f}[/]   "
        f"balanced accuracy {found['balanced_accuracy']:.1%}\n"
        f"  calibration error {honest('ece')}   log loss {honest('nll')}\n"
        f"  Brier score {honest('brier')}"
    )


def _several_labels(found: Mapping[str, Any], honest: Callable[[str], str]) -> str:
    return (
        f"  macro-F1 [bold]{found['macro_f1']:.3f}[/]   micro-F1 {found['micro_f1']:.3f}   "
        f"all labels right {found['exact']:.1%}\n"
        f"  calibration error {honest('ece')}   log loss {honest('log_loss')}"
    )


def number(value: float | None) -> str:
    """Three digits, or a dash where the value is undefined."""
    return "–" if value is None else f"{value:.3f}"
