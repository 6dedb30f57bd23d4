"""The steps of a cycle. Each looks for what it has left behind before it works, so it may be started again and again.

A step gets what was noted when it was first started: which models and rounds were there before. What has come since is
its own. A step returns what it came to, ready for JSON; ``skipped`` says why it had nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.errors import DataError

if TYPE_CHECKING:
    from emolab.progress import Progress
    from emolab.records import Model
    from emolab.workspace import Workspace

#: Figures of a model that a cycle tells, and what people call them.
FIGURES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "ece": "calibration error"}


@dataclass(frozen=True)
class Step:
    """``before`` is noted when the step is first started; ``run`` gets it and what the ``earlier`` steps came to.

    ``needs_votes``: where it fails because of the data, more votes may help.
    """

    name: str
    about: str
    before: Callable[[Workspace], dict[str, Any]]
    run: Callable[[Workspace, Mapping[str, Any], Mapping[str, Any], Progress], dict[str, Any]]
    needs_votes: bool = False


def nothing_before(workspace: Workspace) -> dict[str, Any]:  # noqa: ARG001 - all steps are called alike
    """For a step that needs to remember nothing."""
    return {}


def make_labels(
    workspace: Workspace,
    before: Mapping[str, Any],  # noqa: ARG001 - all steps are called alike
    earlier: Mapping[str, Any],  # noqa: ARG001
    progress: Progress,
) -> dict[str, Any]:
    """Today's votes become labels, made as the current ones were; the same votes make the same labels."""
    from emolab.labeling.labels.current_labels import current_labels

    made = current_labels(workspace, progress=progress)
    return {"version": made.version, "method": made.method, "n": len(made.samples)}


def keep_data(
    workspace: Workspace,
    before: Mapping[str, Any],  # noqa: ARG001
    earlier: Mapping[str, Any],  # noqa: ARG001
    progress: Progress,  # noqa: ARG001
) -> dict[str, Any]:
    """A snapshot of the data that the training gets; the same data again are the same snapshot."""
    from emolab.loop.data.data_snapshots import snapshot_create

    kept = snapshot_create(workspace)
    there = {} if kept.new else {"note": "it was there"}
    return {"snapshot": kept.id, "votes": kept.rows["votes"], "samples": kept.rows["samples"], **there}


def known_models(workspace: Workspace) -> dict[str, Any]:
    """Every model and unfinished training there is."""
    from emolab.catalog import models
    from emolab.training.runs import run_folders

    with workspace.catalog() as catalog, catalog.connect() as conn:
        known = sorted(models.made_at(conn))
    return {"models": known, "runs": sorted(folder.name for folder in run_folders.runs(workspace))}


def train_model(
    workspace: Workspace,
    before: Mapping[str, Any],
    earlier: Mapping[str, Any],  # noqa: ARG001
    progress: Progress,
) -> dict[str, Any]:
    """A model from the labels: the one that this step has stored already, the unfinished one, or a new one."""
    from emolab.loop.model.train import train
    from emolab.loop.model.training_run import barred_since
    from emolab.training.runs import run_folders, runs

    found = _named_since(workspace, before["models"])
    if found is not None:
        model, alias, champion = found
        return _told(model, alias, champion, str((model.metrics.get("compared") or {}).get("reason") or ""))
    mine = [folder for folder in run_folders.runs(workspace) if folder.name not in before["runs"]]
    resume = bool(mine) and run_folders.last_stopped(workspace) is not None and mine[-1] == _last(workspace)
    resume = resume and not barred_since(workspace, runs.read(mine[-1]).data.ids)
    made = train(workspace, resume=resume, progress=progress)
    return _told(made.model, made.alias, made.champion, made.reason)


def _last(workspace: Workspace) -> object:
    """The unfinished run that a resumed training goes on with."""
    from emolab.training.runs import run_folders

    return next((run for run in reversed(run_folders.runs(workspace)) if run_folders.states(run)), None)


def _named_since(workspace: Workspace, known: list[str]) -> tuple[Model, str, str] | None:
    """The model that got a name and was not there before, the name, and the champion; ``None`` where there is none.

    A start network that was not beaten becomes champion beside a new candidate: the candidate is what was trained.
    """
    from emolab.catalog import models

    with workspace.catalog() as catalog, catalog.connect() as conn:
        aliases = models.aliases(conn)
        for alias in ("candidate", "champion"):
            if alias in aliases and aliases[alias] not in known:
                return models.get(conn, aliases[alias]), alias, aliases["champion"]
    return None


def has_won(model: Model) -> bool:
    """Whether ``model`` beat the champion of its day on the validation samples."""
    return bool((model.metrics.get("compared") or {}).get("wins"))


def _told(model: Model, alias: str, champion: str, reason: str) -> dict[str, Any]:
    valid = model.metrics.get("valid") or {}
    return {
        "model": model.id,
        "alias": alias,
        "champion": champion,
        "reason": reason,
        "wins": has_won(model),
        "valid": {key: valid[key] for key in ("n", *FIGURES) if key in valid},
    }


def let_in(
    workspace: Workspace,
    before: Mapping[str, Any],  # noqa: ARG001
    earlier: Mapping[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    """The holdout decides whether a candidate that won on the validation samples becomes champion.

    It decides about one that did not win as well where the champion has learned from what was forgotten since.
    ``blocked`` has the reasons of the gate.
    """
    from emolab.catalog import models
    from emolab.catalog.registry import model_events
    from emolab.catalog.registry.replay import CONTAINS_FORGOTTEN
    from emolab.loop.model.registry.gate_models import has_judges
    from emolab.loop.model.registry.may_act import may_act
    from emolab.loop.model.registry.promote import GateBlocked, promote

    made = earlier["train"]
    if made["alias"] == "champion":
        return {"skipped": "it is champion since it was trained"}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        before_now, judged = models.aliases(conn).get("champion"), has_judges(conn)
        asked = made["wins"] or CONTAINS_FORGOTTEN in model_events.state(conn).flags.get(before_now or "", ())
    if asked and before_now == made["model"]:
        return {"champion": made["model"], "gate": "passed"}
    if not (asked and judged and may_act(workspace)):  # the reason tells who may not
        return {"skipped": f"it stays candidate: {made['reason']}"}
    try:
        done = promote(workspace, made["model"], reason="a cycle, and the gate let it pass", progress=progress)
    except GateBlocked as error:
        return {"blocked": list(error.verdict.reasons)}
    except DataError as error:  # the gate cannot tell, or a sample was forgotten meanwhile: the next cycle trains again
        return {"blocked": [error.message]}
    return {"champion": done.model, "gate": "passed"}


def next_round(workspace: Workspace) -> dict[str, Any]:
    """The number that the next round gets."""
    from emolab.catalog.campaign import rounds

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return {"round": rounds.next_number(conn)}


def propose(
    workspace: Workspace,
    before: Mapping[str, Any],
    earlier: Mapping[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    """The next round of samples for the team, all that are left where those are fewer than the settings ask for.

    One that is there under the number noted before is that round.

    In a cycle that drift has begun these are the samples that look like what moved, where there are any.
    """
    from emolab.catalog.campaign import rounds
    from emolab.loop.label.suggest import suggest, suggestible

    with workspace.catalog() as catalog, catalog.connect() as conn:
        made = next((each for each in rounds.list_all(conn) if each.number == before["round"]), None)
    if made is not None:
        return {"round": made.number, "strategy": made.strategy, "n": made.n}
    note: dict[str, str] = {}
    proposal = None
    if earlier["begun"].get("drift"):
        from emolab.loop.operate.monitor.drift_round import suggest_from_drift

        try:
            proposal = suggest_from_drift(workspace, progress=progress)
        except DataError as error:
            note = {"note": f"chosen as usual: {error.message}"}
    wanted, left = workspace.config.suggest.n, suggestible(workspace)
    try:
        proposal = proposal or suggest(workspace, n=min(wanted, left) or None, progress=progress)
    except DataError as error:
        return {"skipped": error.message}
    return {"round": proposal.round, "strategy": proposal.strategy, "n": len(proposal.suggestions), **note}


def send(
    workspace: Workspace,
    before: Mapping[str, Any],  # noqa: ARG001
    earlier: Mapping[str, Any],  # noqa: ARG001
    progress: Progress,
) -> dict[str, Any]:
    """What waits goes to the team's project in Label Studio; what is there already is not sent again."""
    from emolab.catalog.campaign import remotes, rounds
    from emolab.labeling.sync.project import title_of
    from emolab.loop.label.push import push_waiting

    if not workspace.config.cycle.push:
        return {"skipped": "cycle.push is off: people vote in the app, or somebody sends it"}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        begun = remotes.count_left_over(conn, title_of(workspace.config))  # by a push that was killed
        waiting = rounds.count_unsent(conn) + begun
    if not waiting:
        return {"skipped": "no suggestion waits"}
    report = push_waiting(workspace, progress=progress)
    return {"project": report.project, "url": report.url, "waited": waiting, "created": report.created}


STEPS = (
    Step("aggregate", "votes become labels", nothing_before, make_labels, needs_votes=True),
    Step("snapshot", "the data of this moment are kept", nothing_before, keep_data),
    Step("train", "a model from the labels, judged against the champion", known_models, train_model, needs_votes=True),
    Step("promote", "whether the new model becomes champion", nothing_before, let_in),
    Step("suggest", "the next round for the team", next_round, propose),
    Step("push", "the round goes to the team", nothing_before, send),
)
