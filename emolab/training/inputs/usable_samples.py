"""Before hours are spent: which samples of the workspace have files that can be used, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from emolab.files import write_text
from emolab.modalities.preparing import Preprocessing
from emolab.progress import SILENT, Progress
from emolab.training.inputs import media_check, pixel_cache
from emolab.training.learned import fingerprints
from emolab.workspace import Workspace


def unusable(
    workspace: Workspace,
    ids: Sequence[str],
    media: Callable[[str], Path],
    wanted: Preprocessing,
    *,
    fingerprinted: bool = False,
    learn: Collection[str] = (),
    progress: Progress = SILENT,
) -> dict[str, str]:
    """What is wrong with which of the samples ``ids``, said in one line, where ``training.damaged`` leaves them out.

    The images of the others are decoded and kept, those of ``learn`` as for steps of a training, and where they are to
    be ``fingerprinted``, which a training does at its end, that is done too. Raises :class:`DamagedMedia`, which names
    all of them, where the setting stops the command, :class:`ConfigError` where it is no setting.
    """
    media_check.leaves_out(workspace.config.training.damaged)
    found: dict[str, str] = {}
    for scaled in (True, False):
        part = [sample for sample in ids if (sample in learn) == scaled]
        way = wanted.scaled if scaled else wanted
        found |= pixel_cache.find_damaged(workspace.cache, part, media, way, progress=progress) if part else {}
    if fingerprinted:
        good = [sample for sample in ids if sample not in found]
        fingerprints.fill(workspace.cache, good, media, progress=progress)
    settle(workspace, ids, found, media, progress)
    return found


def settle(
    workspace: Workspace, ids: Sequence[str], found: dict[str, str], media: Callable[[str], Path], progress: Progress
) -> None:
    """Stop for the samples ``found`` damaged among ``ids``, or say that they are left out: what the settings say."""
    _remember(workspace, ids, found)
    if not found:
        return
    if not media_check.leaves_out(workspace.config.training.damaged):
        raise media_check.damaged(found, media, len(ids))
    first, reason = next(iter(found.items()))
    progress.warn(
        f"Left out, because their files are damaged: {len(found):,} of {len(ids):,} samples. "
        f"The first is {media(first)}, which {reason}."
    )


def _remember(workspace: Workspace, looked_at: Collection[str], found: Collection[str]) -> None:
    """Keep the list of damaged samples: those ``looked_at`` and not ``found`` are so no longer."""
    file = workspace.damaged
    listed = set(file.read_text(encoding="ascii").split()) if file.is_file() else set()
    left = (listed - set(looked_at)) | set(found)
    if left != listed:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, "".join(f"{sample}\n" for sample in sorted(left)))
