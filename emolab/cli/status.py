"""``emolab status``: where the project stands in the loop, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, escape, workspace_command
from emolab.words import many, push_command, short

if TYPE_CHECKING:
    from emolab.labeling.labels.current_labels import LabelStanding
    from emolab.records import Model
    from emolab.workspace import Workspace


@click.command(short_help="Say where the project stands and what to type next.")
@workspace_command
def status(session: Session) -> None:
    """Say where the project stands in the loop, whether the workspace is healthy, and what to type next."""
    found = survey(session.workspace)
    session.emit(found)
    if not session.json:
        _show(session, found)
    if not found["healthy"]:
        raise SystemExit(1)


def survey(workspace: Workspace) -> dict[str, Any]:
    """Everything ``status`` knows, as plain data: counts along the loop, problems, and the next command."""
    from emolab.catalog import labels, models, samples, tallies
    from emolab.catalog.campaign import rounds
    from emolab.labeling.labels.current_labels import standing

    with workspace.catalog() as catalog:
        problems = workspace.problems(catalog)
        with catalog.connect() as conn:
            held = models.aliases(conn)
            trained = models.list_all(conn)
            best = next((model for model in trained if model.id == held.get("champion")), None)
            state: dict[str, Any] = {
                "workspace": str(workspace.root),
                "project": workspace.config.project.name,
                "classes": list(workspace.config.project.classes),
                "healthy": not problems,
                "problems": problems,
                "samples": samples.count(conn),
                "sources": samples.count_by(conn, "source"),
                "splits": {split or "none": n for split, n in samples.count_by(conn, "split").items()},
                "answered": samples.count_answered(conn),
                "waiting": samples.count_waiting(conn),
                "unfinished": samples.count_unfinished(conn),
                "votes": tallies.count(conn),
                "annotators": tallies.count_annotators(conn),
                "labels": with_standing(labels.summary(conn), standing(workspace, conn)),
                "models": len(trained),
                "champion": None
                if best is None
                else {"id": best.id, "metrics": _headline(best.metrics.get("valid", {}))},
                "untrained": bool(trained) and _newer(labels.summary(conn), trained),
                "rounds": len(rounds.list_all(conn)),
                "unsent": len(rounds.suggestions(conn, unsent=True)),
            }
    state["push"] = push_command(state["samples"] - state["answered"], workspace.config.suggest.n)
    state["training"] = _training(workspace, trained)
    state["advice"] = _advice(workspace, state)
    state["next"] = next_command(state)
    return state


def with_standing(summary: dict[str, Any] | None, stands: LabelStanding | None) -> dict[str, Any] | None:
    """What is known of the current labels, with how they were made, why they are outdated and what settings say."""
    if summary is None or stands is None:
        return None
    return {
        **summary,
        "made_by": str(stands.recipe),
        "min_votes": stands.recipe.min_votes,
        "prior": stands.recipe.options.prior,
        "outdated": stands.outdated or None,
        "settings_say": stands.settings_say or None,
        "installed": stands.installed,
    }


def _newer(labels: dict[str, Any] | None, trained: Sequence[Model]) -> bool:
    """Whether the current labels are newer than every model."""
    from datetime import datetime

    made = max(datetime.fromisoformat(model.created_at) for model in trained)
    return labels is not None and datetime.fromisoformat(labels["created_at"]) > made


def _training(workspace: Workspace, trained: Sequence[Model]) -> dict[str, Any] | None:
    """Whether a training is ``running``, else how far one got that did not end, unless a model was made since."""
    from datetime import datetime

    from emolab.training.runs import run_folders as places

    if workspace.busy("train"):
        return {"running": True}
    stopped = places.last_stopped(workspace)
    newest = max((datetime.fromisoformat(model.created_at).timestamp() for model in trained), default=0.0)
    if stopped is None or stopped.touched <= newest:
        return None
    return {"running": False, "epoch": stopped.epoch, "epochs": stopped.epochs}


def _advice(workspace: Workspace, state: dict[str, Any]) -> str | None:
    """What ``suggest --advise`` last said, as long as it holds."""
    from emolab.loop.label import advise

    if state["champion"] is None or state["labels"] is None:
        return None
    kept = advise.read(workspace, state["champion"]["id"], state["labels"]["version"], state["votes"]["people"])
    return None if kept is None else kept.sentence


def next_command(state: dict[str, Any]) -> str:
    """What to type next, given a survey."""
    steps = (
        (not state["healthy"], "emolab doctor"),
        (state["samples"] == 0, "emolab collect PATH"),
        (state["unsent"] > 0, "emolab label push"),
        (
            state["votes"]["active"] == 0 and state["waiting"] == 0,
            f"emolab studio up && {state['push']}",
        ),
        (state["votes"]["active"] == 0, "emolab label pull"),
        (state["labels"] is None, "emolab label aggregate"),
        (state["training"] is not None and not state["training"]["running"], "emolab train --resume"),
        (state["models"] == 0 and state["training"] is not None, "emolab status"),  # it is being made
        (state["models"] == 0, "emolab train"),
        (state["waiting"] > 0, "emolab label pull"),
        (state["untrained"] or bool((state["labels"] or {}).get("outdated")), "emolab train"),
    )
    return next((command for applies, command in steps if applies), "emolab suggest -n 100 --push")


def _open(state: dict[str, Any]) -> str:
    """What lies with the team."""
    more = f", {state['unfinished']:,} for one more person" if state["unfinished"] else ""
    return f"{state['waiting']:,} waiting for an answer{more}"


def _headline(metrics: Any) -> dict[str, float]:
    return {key: float(metrics[key]) for key in ("accuracy", "macro_f1", "ece") if key in metrics}


def _show(session: Session, state: dict[str, Any]) -> None:
    votes, labels, champion = state["votes"], state["labels"], state["champion"]
    answers = f"{many(state['annotators'], 'annotator')}, {many(votes['meta'], 'unknown / no face answer')}"
    rows = [
        ("collect", many(state["samples"], "sample"), _counts(state["sources"])),
        ("label", many(votes["people"], "vote"), answers),
        ("", f"{state['answered']:,} answered", _open(state)),
        (
            "labels",
            "no labels yet" if labels is None else many(labels["n"], "label"),
            "" if labels is None else escape(made_by(labels)[0]),
        ),
        *([] if labels is None else [("", "", escape(line)) for line in made_by(labels)[1:]]),
        ("train", many(state["models"], "model"), "" if champion is None else _champion(champion)),
        *([] if state["training"] is None else [("", _run(state["training"]), "")]),
        ("suggest", many(state["rounds"], "round"), f"{many(state['unsent'], 'suggestion')} not sent yet"),
    ]
    session.say(f"[bold]{escape(state['project'])}[/] [dim]{escape(state['workspace'])}[/]")
    session.table(("step", ("count", "right"), "more"), rows)
    if labels is not None:
        total = max(labels["per_class"].values(), default=0) or 1
        for name, n in labels["per_class"].items():
            session.say(f"  {name:<12} {'█' * round(24 * n / total):<24} [dim]{n:,}[/]")
    for problem in state["problems"]:
        session.say(f"[red]✗[/] {escape(problem)}")
    if state["advice"]:
        session.say(f"[bold]advice[/] {state['advice']}")
    session.say(
        "[green]✓[/] healthy"
        if state["healthy"]
        else "[red]✗[/] not healthy; restore a backup with: emolab restore FILE"
    )
    session.next_step(state["next"])


def made_by(labels: dict[str, Any]) -> list[str]:
    """How the current labels were made, then what to know about that."""
    return [
        f"by {labels['made_by']}" + ("" if labels["installed"] else " (not installed any more)"),
        *([f"outdated: {labels['outdated']}"] if labels["outdated"] else []),
        *([f"the settings say {labels['settings_say']}"] if labels["settings_say"] else []),
    ]


def _run(training: dict[str, Any]) -> str:
    return "one at work" if training["running"] else f"stopped after epoch {training['epoch']} of {training['epochs']}"


def _champion(champion: dict[str, Any]) -> str:
    names = {"accuracy": "accuracy", "macro_f1": "macro-F1", "ece": "ECE"}
    scores = [f"{names[key]} {value:.3f}" for key, value in champion["metrics"].items()]
    return ", ".join([f"champion {short(champion['id'])}", *scores])


def _counts(counts: dict[str | None, int]) -> str:
    return escape(", ".join(f"{name} {n:,}" for name, n in counts.items()))
