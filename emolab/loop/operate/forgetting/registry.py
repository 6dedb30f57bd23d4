"""Every holder in the order in which they are gone through, and which of them a file belongs to."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache

from emolab.loop.operate.forgetting.holder import Holder
from emolab.loop.operate.forgetting.holders.catalog_holder import catalog
from emolab.loop.operate.forgetting.holders.fiftyone_holder import FIFTYONE_HOLDERS
from emolab.loop.operate.forgetting.holders.file_holders import FILE_HOLDERS, NOTHING
from emolab.loop.operate.forgetting.holders.model_holders import MODEL_HOLDERS
from emolab.loop.operate.forgetting.holders.people_holder import PEOPLE_HOLDERS
from emolab.loop.operate.forgetting.holders.snapshot_holders import SNAPSHOT_HOLDERS
from emolab.loop.operate.forgetting.holders.studio_holder import STUDIO_HOLDERS

#: Who holds files in which there is nothing of a sample.
NOBODY = "nothing of a sample"


@cache
def holders() -> tuple[Holder, ...]:
    """All holders. What others are found by goes last: filters are made again of files, and rows say what there is."""
    made = (
        *PEOPLE_HOLDERS,
        *STUDIO_HOLDERS,
        *FIFTYONE_HOLDERS,
        *MODEL_HOLDERS,
        *SNAPSHOT_HOLDERS,
        *FILE_HOLDERS,
        catalog,
    )
    return tuple(each() for each in made)


def holder_of(name: str) -> str | None:
    """Which holder a file below ``.emolab`` belongs to, by its path there; ``None``: none knows such a file.

    >>> holder_of("media/ab/abc.png"), holder_of("locks/train.pid"), holder_of("new/thing.bin")
    ('media', 'nothing of a sample', None)
    """
    if any(fnmatchcase(name, place) for place in NOTHING):
        return NOBODY
    for holder in holders():
        if any(fnmatchcase(name, place) for place in holder.places):
            return holder.name
    return None
