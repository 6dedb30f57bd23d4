"""Label Studio's migrations in two thirds of the time, for the process that creates the database and then ends.

Each of some 300 migrations builds the classes of all related models again, and copies every field for it. Django works
out anew how a field was made each time it copies one. A field of a migration never changes once it was made, so here
that is worked out once. The garbage of all this lies in cycles; looking for it less often costs 150 MB.
"""

from __future__ import annotations

import gc
from typing import Any

from django.db.models import Field

#: Objects made between two looks for garbage, and how many looks come before a more thorough one.
RARELY = (50_000, 50, 1_000)


def speed_up() -> None:
    """Change this process only."""
    gc.set_threshold(*RARELY)
    Field.clone = _clone


def _clone(field: Any) -> Any:
    """A new field like ``field``, as Django's own ``clone`` makes it."""
    made = field.__dict__.get("_emolab_made")
    if made is None:
        _, _, positional, named = field.deconstruct()
        made = field._emolab_made = (positional, named)
    positional, named = made
    return field.__class__(*positional, **named)
