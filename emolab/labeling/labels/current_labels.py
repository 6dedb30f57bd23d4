"""The current labels: the one place that says which they are. Whoever trains, judges, suggests or shows asks here.

How labels are made is chosen by ``emolab label aggregate`` and stays with the set that is stored. When votes, classes
or what is unlabelable changed, the set is made again in the same way, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from emolab.catalog import labels as catalog_labels
from emolab.catalog import ledger_mark
from emolab.catalog.privacy import consents
from emolab.errors import DataError
from emolab.labeling.labels import aggregate, label_recipe
from emolab.labeling.labels.label_recipe import SETTINGS, LabelRecipe
from emolab.plugins import AGGREGATORS
from emolab.progress import SILENT, Progress
from emolab.votes.perspectives import PERCEIVED

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.catalog.labels import LabelHead
    from emolab.catalog.privacy.consents import Allowed
    from emolab.records import LabelSet
    from emolab.workspace import Workspace

#: What makes labels by the settings, whatever they were made by before.
BY_SETTINGS = "emolab label aggregate"


@dataclass(frozen=True, kw_only=True)
class LabelStanding:
    """How the stored labels were made, why they are ``outdated``, and what the settings say instead; "" where nothing.

    ``installed`` tells whether their aggregator is still there.
    """

    recipe: LabelRecipe
    outdated: str
    settings_say: str
    installed: bool


def current_labels(workspace: Workspace, *, progress: Progress = SILENT) -> LabelSet:
    """The labels of today's votes, made the way the stored ones were; by the settings where none are stored.

    Samples whose consent has ended are left out. Labels are stored where they had to be made, and ``progress`` is told
    in one line why, and what the settings say instead. A setting given with ``--set`` counts for more than how the
    stored ones were made. Raises
    :class:`NoLabels` when no sample has enough votes, :class:`DataError` when the aggregator is no longer installed.
    """
    with workspace.catalog() as catalog:
        found = None
        while found is None:
            found = _attempt(workspace, catalog)
        labels, line = found
        if not labels.samples:
            with catalog.connect() as conn:
                ballots = aggregate.ballots(conn, labels.classes, labels.settings.get("perspective", PERCEIVED))
            raise aggregate.no_labels(ballots, labels.settings["min_votes"])
        with catalog.connect() as conn:
            may = consents.allowed(conn, "train", required=workspace.config.privacy.consent_required)
    if line:
        progress.note(line)
    return _allowed_labels(labels, may, progress)


def _allowed_labels(labels: LabelSet, may: Allowed, progress: Progress) -> LabelSet:
    """``labels`` without samples that nothing may learn from, and ``progress`` told how many those are.

    Raises :class:`NoLabels` where none is left.
    """
    kept = [row for row, sample in enumerate(labels.samples) if sample not in may.barred]
    if len(kept) == len(labels.samples):
        return labels
    told = may.told(labels.samples)
    if not kept:
        raise aggregate.NoLabels(f"Nothing is left to learn from: {told}", hint="See who agreed: emolab consent list")
    progress.note(told)
    return replace(
        labels,
        samples=[labels.samples[row] for row in kept],
        probs=labels.probs[kept],
        hard=labels.hard[kept],
        votes=labels.votes[kept],
        agreement=labels.agreement[kept],
    )


def labels_if_any(workspace: Workspace, *, progress: Progress = SILENT) -> LabelSet | None:
    """The same for whoever gets by without: ``None`` where none were made yet, or no sample has enough votes."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        if catalog_labels.head(conn) is None:
            return None
    try:
        return current_labels(workspace, progress=progress)
    except aggregate.NoLabels:
        return None


def current_recipe(workspace: Workspace) -> LabelRecipe:
    """How the current labels are made, or will be where there are none yet.

    Raises :class:`DataError` when their aggregator is no longer installed.
    """
    with workspace.catalog() as catalog, catalog.connect() as conn:
        head = catalog_labels.head(conn)
        recipe, _ = _wanted(workspace, head)
    _require_installed(recipe, head)
    return recipe


def standing(workspace: Workspace, conn: Connection) -> LabelStanding | None:
    """How things stand with the stored labels, without making any; ``None`` where there are none."""
    head = catalog_labels.head(conn)
    if head is None:
        return None
    made, _ = label_recipe.stored(head, workspace.config.labeling)
    recipe, reason = _wanted(workspace, head)
    if not reason and head.made_at != ledger_mark.mark(conn):
        same = aggregate.version_of(aggregate.ballots(conn, head.classes, recipe.perspective), recipe) == head.version
        reason = "" if same else _what_happened(conn, head)
    return LabelStanding(
        recipe=made,
        outdated=reason,
        settings_say=label_recipe.configured(workspace.config.labeling).beside(made),
        installed=made.method in AGGREGATORS.names(),
    )


def _attempt(workspace: Workspace, catalog: Catalog) -> tuple[LabelSet, str] | None:
    """The current labels and what there is to say of them; ``None`` when somebody stored others meanwhile."""
    with catalog.connect() as conn:
        head = catalog_labels.head(conn)
        recipe, reason = _wanted(workspace, head)
        if head is not None and not reason and head.made_at == ledger_mark.mark(conn):
            return _stored(conn), _told(workspace, recipe, "")
        found = aggregate.ballots(conn, workspace.config.project.classes, recipe.perspective)
        same = head is not None and not reason and aggregate.version_of(found, recipe) == head.version
        labels = _stored(conn) if same else None
        if head is not None and not same:
            reason = reason or _what_happened(conn, head)
    if labels is None:
        _require_installed(recipe, head, reason)
        labels = aggregate.labels_of(found, recipe)
    with catalog.begin() as tx:
        catalog_labels.lock(tx)
        now = catalog_labels.head(tx)
        if (now and now.version) != (head and head.version):
            return None
        # a setting that leaves no label at all ends the command, not the labels that are stored
        kept = head is not None and recipe == label_recipe.stored(head, workspace.config.labeling)[0]
        new = bool(labels.samples or kept) and catalog_labels.write(tx, labels, found.mark)
    return labels, _told(workspace, recipe, reason if new else "", first=head is None)


def _stored(conn: Connection) -> LabelSet:
    labels = catalog_labels.current(conn)
    if labels is None:  # the head was read in the same view of the catalog
        raise RuntimeError("the current label set vanished while it was read")
    return labels


def _wanted(workspace: Workspace, head: LabelHead | None) -> tuple[LabelRecipe, str]:
    """How labels are to be made, and why the stored ones are not those whatever the votes are; nothing: they may be."""
    config = workspace.config.labeling
    if head is None:
        return label_recipe.configured(config), ""
    made, missing = label_recipe.stored(head, config)
    given = {name: text for text in workspace.overrides if (name := text.partition("=")[0].strip()) in SETTINGS}
    recipe = made.with_settings(config, given)
    if recipe != made:
        return recipe, f"{' '.join(f'--set {text}' for text in given.values())} was given"
    if missing:
        return recipe, f"the stored ones do not tell their {' and '.join(missing)}"
    if head.classes != workspace.config.project.classes:
        return recipe, "the classes changed"
    return recipe, ""


def _told(workspace: Workspace, recipe: LabelRecipe, reason: str, *, first: bool = False) -> str:
    """The line about the labels; nothing where they are as before and as the settings say."""
    if first:
        return f"Labels made by {recipe}, as the settings say."
    settings = label_recipe.configured(workspace.config.labeling).beside(recipe)
    if not reason and not settings:
        return ""
    line = f"Labels made again by {recipe}, because {reason}" if reason else f"The labels are by {recipe}"
    return f"{line}; the settings say {settings}: {BY_SETTINGS}" if settings else f"{line}."


def _what_happened(conn: Connection, head: LabelHead) -> str:
    """Why the labels of ``head`` are not those of today's votes."""
    return (str(ledger_mark.since(conn, head.made_at)) if head.made_at else "") or "votes changed"


def _require_installed(recipe: LabelRecipe, head: LabelHead | None, reason: str = "") -> None:
    """Raise :class:`DataError` when the labels were made by an aggregator that is gone; ``reason`` is why it must."""
    if head is not None and recipe.method == head.method and recipe.method not in AGGREGATORS.names():
        needed = f", and must be made again because {reason}" if reason else ""
        raise DataError(
            f'The labels were made by "{recipe.method}", which is not installed any more{needed}.',
            hint="Install its package again, or take another method: emolab label aggregate --method hybrid",
        )
