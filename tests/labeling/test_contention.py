"""Five people answer while a push runs: the embedded server refuses nobody and carries out nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.contention import work_together
from tests.support.servers import LabelStudioServer


@pytest.mark.slow
@pytest.mark.labelstudio
def test_five_people_and_a_push_never_find_the_database_locked(label_studio: LabelStudioServer, tmp_path: Path) -> None:
    seen = work_together(tmp_path, label_studio.url, label_studio.token, label_studio.server.log, tasks=150)
    assert seen.answers > 0
    assert (seen.locked, seen.failed, seen.doubled, seen.lost) == (0, 0, 0, 0)
