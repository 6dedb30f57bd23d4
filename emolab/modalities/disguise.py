"""What annotators get instead of a person's own voice: each speaker moved by a shift that nobody can look up.

The shift of a speaker is drawn by a keyed hash of the speaker's name with the secret of the catalog. It is the same on
every clip of that speaker, and another one for another speaker, so no single shift undoes all of them.
"""

from __future__ import annotations

import hashlib
import hmac

from emolab.errors import ConfigError, DataError
from emolab.modalities.modality import open_modality
from emolab.modalities.problems import Refused
from emolab.records import Sample

#: By how many semitones a voice is moved, up or down: less leaves it as it is, more makes emotion hard to hear.
LEAST, MOST = 2.0, 4.5


def ratio_of(secret: bytes, speaker: str) -> float:
    """By what all frequencies of ``speaker`` are multiplied.

    >>> [round(ratio_of(b"secret", name), 3) for name in ("ann", "bob")] == [
    ...     round(ratio_of(b"secret", name), 3) for name in ("ann", "bob")
    ... ]
    True
    """
    drawn = hmac.new(secret, f"voice:{speaker}".encode(), hashlib.sha256).digest()
    size = LEAST + (MOST - LEAST) * int.from_bytes(drawn[:6], "big") / 2**48
    return float(2 ** ((size if drawn[6] % 2 else -size) / 12))


def speaker_of(sample: Sample) -> str:
    """Whose voice a sample is taken for: its group, else its recording, else its own."""
    return sample.group or sample.parent or sample.id


def disguised(modality: str, data: bytes, *, secret: bytes, speaker: str) -> bytes:
    """The file ``data`` of a sample of ``speaker`` as annotators get it.

    Raises :class:`ConfigError` where samples have no voice, and :class:`DataError` where the file cannot be decoded.
    """
    kind = open_modality(modality)
    if kind.disguise is None:
        raise ConfigError(
            f"labeling.disguise_voice is for voices, and the samples are {kind.noun}s.",
            hint="Take it out of emolab.toml, or --set labeling.disguise_voice=false",
        )
    try:
        return kind.disguise(data, ratio_of(secret, speaker))
    except Refused as refused:
        raise DataError(f"The voice cannot be disguised: {refused.message}") from refused
