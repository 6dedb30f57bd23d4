"""Samples go to the team."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from emolab.loop.given import check_given, check_one_of
from emolab.progress import SILENT
from emolab.words import many

if TYPE_CHECKING:
    from emolab.labeling.sync.push import PushReport
    from emolab.loop.label.suggest import Proposal
    from emolab.progress import Progress
    from emolab.workspace import Workspace


def push(
    workspace: Workspace,
    *,
    n: int | None = None,
    everything: bool = False,
    suggestions: bool = False,
    revotes: bool = False,
    overlap: int | None = None,
    title: str | None = None,
    show_predictions: bool | None = None,
    agree: Callable[[int], None] | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> PushReport:
    """Send samples to the team's project in Label Studio, in the order that matters most; safe to repeat.

    ``n`` unlabelled samples drawn at random, the ``suggestions`` that nobody has received yet, or ``everything``; none
    of them: suggestions if there are any, else everything, before which ``agree`` is asked with the number of samples.
    ``revotes`` asks one more person where the votes are not enough. Shows the model's guess with ``show_predictions``
    [labeling.show_predictions]. Raises :class:`EmolabError` without a server, :class:`ConfigError` for two of these.
    """
    from emolab.labeling.server.address import for_people, open_studio
    from emolab.labeling.sync.push import push as run
    from emolab.loop.label.revotes import propose_revotes

    check_one_of(n=n, everything=everything, suggestions=suggestions, revotes=revotes)
    check_given({"option.count": n, "labeling.overlap": overlap})
    visible = workspace.config.labeling.show_predictions if show_predictions is None else show_predictions
    _check_several(workspace, visible)
    if revotes:
        count = propose_revotes(workspace, dry_run=dry_run)
        progress.note(f"{many(count, 'answered sample wants', 'answered samples want')} one more opinion.")
    with open_studio(workspace, progress=progress) as studio:
        report = run(
            workspace,
            studio,
            n=n,
            suggestions=suggestions or revotes,
            everything=everything,
            agree=agree,
            overlap=overlap,
            title=title,
            show_predictions=visible,
            guesses=latest_guesses(workspace) if visible else {},
            dry_run=dry_run,
            progress=progress,
        )
    return replace(report, url=for_people(workspace, report.url))


def _check_several(workspace: Workspace, visible: bool) -> None:
    """Raise :class:`ConfigError` where guesses are to be shown on forms that take several labels."""
    from emolab.errors import ConfigError

    if visible and workspace.config.labeling.several:
        raise ConfigError(
            "Guesses are not shown on a form that takes several labels (labeling.several).",
            hint="Push without --show-predictions.",
        )


def push_round(workspace: Workspace, proposal: Proposal, *, progress: Progress = SILENT) -> PushReport:
    """Send a round that was just proposed, with its model's guesses where ``labeling.show_predictions`` says so."""
    from emolab.labeling.server.address import for_people, open_studio
    from emolab.labeling.sync.push import push as run

    guesses = _guesses(workspace, proposal) if workspace.config.labeling.show_predictions else {}
    with open_studio(workspace, progress=progress) as studio:
        report = run(workspace, studio, suggestions=True, guesses=guesses, progress=progress)
    return replace(report, url=for_people(workspace, report.url))


def push_waiting(workspace: Workspace, *, progress: Progress = SILENT) -> PushReport:
    """Send every suggestion that waits, of whichever round; guesses go along where they are to be shown and are there.

    Raises :class:`EmolabError` without a server.
    """
    from emolab.errors import DataError
    from emolab.labeling.server.address import for_people, open_studio
    from emolab.labeling.sync.push import push as run

    guesses: Mapping[str, str] = {}
    if workspace.config.labeling.show_predictions:
        try:
            guesses = latest_guesses(workspace)
        except DataError as error:
            progress.note(f"Nobody is shown a guess. {error.message}")
    with open_studio(workspace, progress=progress) as studio:
        report = run(workspace, studio, suggestions=True, guesses=guesses, progress=progress)
    return replace(report, url=for_people(workspace, report.url))


def latest_guesses(workspace: Workspace) -> Mapping[str, str]:
    """The newest model's class for every sample it has predictions for. Raises :class:`DataError` without any."""
    from emolab.catalog import models
    from emolab.errors import DataError
    from emolab.inference import prediction_store

    with workspace.catalog() as catalog, catalog.connect() as conn:
        known = models.list_all(conn)
    for model in reversed(known):
        folder = workspace.predictions_folder / model.id
        if prediction_store.known(folder):
            stored = prediction_store.read(folder)
            best = stored.probs.argmax(axis=1)
            blind = _audited(workspace)
            said = zip(stored.samples, best, strict=True)
            return {sample: stored.classes[c] for sample, c in said if sample not in blind}
    raise DataError("There are no predictions to show.", hint="Make some with: emolab train && emolab suggest -n 100")


def _audited(workspace: Workspace) -> set[str]:
    """The samples of audits: a guess on their forms would draw the votes that judge it to itself."""
    from emolab.catalog.campaign import rounds

    with workspace.catalog() as catalog, catalog.connect() as conn:
        audits = {one.number for one in rounds.list_all(conn) if one.strategy == "audit"}
        return {one.sample_id for one in rounds.suggestions(conn) if one.round in audits} if audits else set()


def setting_against(reason: str) -> str | None:
    """What is set to send samples that a push left out for ``reason``; ``None`` for near copies, which never go."""
    from emolab.catalog import fitness

    return None if reason == fitness.COPY else fitness.SETTINGS.get(reason)


def _guesses(workspace: Workspace, proposal: Proposal) -> dict[str, str]:
    """The model's class for every proposed sample; none where the round was chosen without a model."""
    from emolab.inference import prediction_store

    if proposal.model is None:
        return {}
    ids = [suggestion.sample_id for suggestion in proposal.suggestions]
    stored = prediction_store.read(workspace.predictions_folder / proposal.model.id, ids)
    return {sample: stored.classes[c] for sample, c in zip(ids, stored.probs.argmax(axis=1), strict=True)}
