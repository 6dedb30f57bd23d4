"""What columns and keys that say who it is are called in tables of any kind of sample."""

from __future__ import annotations

#: In the order of preference; compared by :func:`plain`.
SPEAKER_COLUMNS = (
    "speaker", "speaker_id", "speakerid", "speaker_name", "spk", "spk_id", "spkid", "talker", "talker_id",
    "narrator", "narrator_id", "voice", "voice_id", "singer", "singer_id", "reader_id",
    "actor", "actor_id", "actorid", "subject", "subject_id", "subjectid", "person", "person_id", "personid",
    "participant", "participant_id", "identity", "client_id", "patient", "patient_id",
    "author", "author_id", "authorid", "author_name", "user", "user_id", "userid", "user_name", "username",
)  # fmt: skip


def plain(name: str) -> str:
    """The name of a column without what differs between tables.

    >>> plain(" Speaker-ID ")
    'speaker_id'
    """
    return name.strip().lower().replace(" ", "_").replace("-", "_")
