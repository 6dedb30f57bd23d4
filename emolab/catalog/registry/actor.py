"""Who acts: ``$EMOLAB_ACTOR``, or the name of the user. A guard against mistakes and a line in the record, no login."""

from __future__ import annotations

import getpass
import os

#: The environment variable that names who acts.
ACTOR = "EMOLAB_ACTOR"
_LONGEST = 128


def actor() -> str:
    """The name of who acts now, on one line; "unknown" where the system has none."""
    from emolab.safe_text import visible

    given = os.environ.get(ACTOR, "").strip()
    if not given:
        try:
            given = getpass.getuser()
        except (OSError, KeyError, ImportError):  # a user without an entry, as in a container
            given = "unknown"
    return visible(given)[:_LONGEST]
