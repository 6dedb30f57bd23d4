"""The report of a cycle: one page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emolab.loop.operate.cycle.cycle_steps import FIGURES
from emolab.pages.html import Section, Tile, facts, page, table, write_page
from emolab.words import many, short

if TYPE_CHECKING:
    from emolab.loop.operate.cycle.run_cycle import Cycled


def _name(came: Mapping[str, Mapping[str, Any]]) -> str:
    """The name that the new model has after the gate."""
    return "champion" if "gate" in came["promote"] else str(came["train"]["alias"])


def write_report(done: Cycled, *, began: str) -> None:
    """Write the page of ``done``, which ``began`` at that moment, to its place."""
    came = {step.step: step.came for step in done.steps}
    model, labels, proposed = came["train"], came["aggregate"], came["suggest"]
    rows = [
        (step.step, step.words(), f"{step.cpu_s:,.1f}", "an earlier run" if step.before else "this run")
        for step in done.steps
    ]
    figures = {title: f"{model['valid'][key]:.3f}" for key, title in FIGURES.items() if key in model["valid"]}
    tiles = [
        Tile(label="new votes", value=f"{done.votes:,}", note=done.reason),
        Tile(label="labelled samples", value=f"{labels['n']:,}", note=labels["method"]),
        Tile(label="the new model is", value=_name(came), note=short(model["model"])),
        Tile(label="proposed", value=f"{proposed.get('n', 0):,}", note=proposed.get("skipped", "samples for the team")),
        Tile(label="processor seconds", value=f"{done.cpu_s:,.0f}", note="of the attempts that ended"),
    ]
    body = page(
        f"Cycle {done.number}",
        [
            Section(
                title="Steps",
                body=table(("step", "what it came to", "CPU s", "done by"), rows, numeric=(2,)),
                lead="A cycle that is stopped goes on with the step that was not done.",
            ),
            Section(
                title="The model",
                body=facts(
                    {
                        "model": model["model"],
                        "why": model["reason"],
                        "champion now": came["promote"].get("champion") or model["champion"],
                        **figures,
                    }
                ),
                lead=f"Figures on its {many(model['valid'].get('n', 0), 'validation sample')}.",
            ),
        ],
        subtitle=f"Began {began}",
        tiles=tiles,
    )
    if done.report is not None:
        write_page(done.report, body)
