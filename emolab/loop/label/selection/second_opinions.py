"""Which answered samples a round asks one more person about: their place is earned against new samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from emolab.progress import SILENT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.active_learning.selection.pool import Pool
    from emolab.progress import Progress
    from emolab.records import VoteTable
    from emolab.workspace import Workspace

#: People beyond ``labeling.overlap`` that a sample is shown to at most, where the number is fixed.
BEYOND = 2


class Again(NamedTuple):
    """A sample to ask once more about."""

    sample_id: str
    score: float
    reason: str


def second_opinions(
    workspace: Workspace,
    pool: Pool,
    n: int,
    *,
    share: float,
    rng: np.random.Generator,
    progress: Progress = SILENT,
) -> list[Again]:
    """The answered samples that belong into a round of ``n``, most useful first; at most ``share`` of it.

    Asked about are samples that lie with the team, wait for nobody and are not kept to judge the model: where
    ``labeling.votes`` is a range those whose votes are not enough, else those that fewer than ``labeling.overlap`` and
    two people have answered, with a class or with *unknown* and the like. What the model says of them comes from heads
    that have not learned from them, on features that have not either. None where answers hold several labels, which is
    said: habits of people are learned from one label an answer.
    """
    from emolab.active_learning.selection import second_opinions as joint
    from emolab.active_learning.selection.revote import reason
    from emolab.catalog import tallies
    from emolab.loop.label.revotes import opinion, wanted_revotes, with_the_team
    from emolab.taxonomy import META
    from emolab.votes.table import counts, several, with_votes

    config = workspace.config
    most = int(share * n)
    if not most or pool.probs is None:
        return []
    with workspace.catalog() as catalog, catalog.connect() as conn:
        free = {sample for sample, waits in with_the_team(conn).items() if not waits}
        votes = with_votes(tallies.table(conn, pool.classes), 1)
        seen = tallies.table(conn, (*pool.classes, *META))
    if several(votes):
        progress.note("No second opinions in this round: they need one label an answer, and some answers hold several.")
        return []
    table = counts(votes)
    wanted = config.labeling.wanted
    if wanted.adaptive:
        free &= {each.sample_id for each in wanted_revotes(workspace, opinion(workspace))}
    free &= set(pool.samples)  # those whose consent has ended are not in it
    import numpy as np

    if pool.excluded is not None:
        free -= {pool.samples[row] for row in np.flatnonzero(pool.excluded).tolist()}
    askable = np.array([sample in free for sample in votes.samples], dtype=bool)
    if not wanted.adaptive:
        people = dict(zip(seen.samples, counts(seen).sum(axis=1).tolist(), strict=True))
        askable &= np.array([people[sample] < wanted.high + BEYOND for sample in votes.samples], dtype=bool)
    if not askable.any():
        return []
    probs = _unlearned(pool, votes, rng)
    new = np.asarray(pool.probs[pool.candidates])
    rows, scores = joint.second_opinions(votes, probs, new, n, askable=askable, most=most)
    return [
        Again(votes.samples[row], float(score), reason(table[row], probs[row], pool.classes))
        for row, score in zip(rows.tolist(), scores, strict=True)
    ]


def _unlearned(pool: Pool, votes: VoteTable, rng: np.random.Generator) -> NDArray[np.float64]:
    """What heads say (n, k) of ``votes.samples`` that did not learn from them; NaN where there is too little."""
    import numpy as np

    from emolab.active_learning.advice.doubtful_labels import out_of_fold
    from emolab.active_learning.advice.learning_curve import Labelled
    from emolab.active_learning.strategies.auto import JUDGEABLE, evidence, units

    found = np.full((len(votes.samples), len(pool.classes)), np.nan)
    rows, features, targets = evidence(pool)
    unit = units(pool, rows)
    if len(rows) < JUDGEABLE or len(np.unique(unit)) < 2:
        return found
    everybody = np.ones(len(rows), dtype=bool)
    data = Labelled(
        features=features, targets=targets, hard=targets.argmax(axis=1), teach=everybody, judge=everybody, unit=unit
    )
    place = {sample: row for row, sample in enumerate(votes.samples)}
    probs = out_of_fold(data, rng)
    for number, row in enumerate(rows.tolist()):
        at = place.get(pool.samples[row])
        if at is not None:
            found[at] = probs[number]
    return found
