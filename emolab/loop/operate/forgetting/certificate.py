"""The certificate of a forgetting: what was removed where, what is flagged, and what nobody here could reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab import __version__
from emolab.catalog.privacy.tombstones import FOLDER, Tombstones
from emolab.catalog.registry.actor import actor
from emolab.catalog.storage.engine import now
from emolab.files import write_bytes

if TYPE_CHECKING:
    from emolab.loop.operate.forgetting.forget import Forgotten
    from emolab.loop.operate.forgetting.forget_journal import ForgetJournal
    from emolab.workspace import Workspace

VERSION = 1


def write(workspace: Workspace, journal: ForgetJournal, done: Forgotten, *, token: str) -> Path:
    """Write the certificate below ``.emolab/forgotten``; it names nobody, and ids only as keyed hashes."""
    key, moment = Tombstones(workspace), now()
    told: dict[str, Any] = {
        "version": VERSION,
        "emolab": __version__,
        "project": workspace.config.project.name,
        "began_at": journal.at,
        "ended_at": moment,
        "by": actor(),
        "asked": dict(journal.asked),
        "samples": done.samples,
        "annotators_whose_votes_stay_without_them": done.annotators,
        "tombstones": sorted(key.of_id(each) for each in journal.traces.ids),
        "removed": {name: {"n": n, "what": what} for name, (n, what) in done.holders.items()},
        "verified": "no id, as text or bytes, and no name that was its own is left in any file below .emolab",
        "models_that_learned_from_it": list(done.models),
        "champion_is_one_of_them": done.champion is not None,
        "snapshots_that_lost_rows": [*done.snapshots, *done.states],
        "backups_not_opened": list(done.backups),
        "not_reached": [journal.traces.cleaned(each) for each in done.unreached],
        "notes": list(done.notes),
    }
    file = workspace.state / FOLDER / f"certificate-{moment[:19].replace(':', '')}-{token}.json"
    write_bytes(file, (json.dumps(told, indent=1) + "\n").encode(), mode=0o600)
    return file
