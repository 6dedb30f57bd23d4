"""Which project of a title goes on, from what the server shows: a pure function."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from emolab.labeling.label_studio.records import RemoteProject
from emolab.labeling.sync.project import MARK, chosen_of


def project(number: int, *, marked: bool = True) -> RemoteProject:
    return RemoteProject(
        id=number, title="faces", label_config="", maximum_annotations=1, sampling="", show_predictions=False,
        model_version="", description=MARK if marked else "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("same", "renamed", "known", "chosen", "surplus"),
    [
        ([], [], set(), None, []),
        ([project(1), project(2)], [], set(), 1, [2]),  # the oldest goes on, on all machines
        ([project(1), project(2)], [], {2}, 1, [2]),
        ([project(1, marked=False), project(2)], [], {1}, 2, [1]),  # one whose mark was taken away is still known
        ([project(1, marked=False)], [], {1}, 1, []),
        ([project(1, marked=False)], [], set(), None, []),  # somebody's own
        ([], [project(3)], {3}, 3, []),
        ([project(1)], [project(3)], {3}, 3, []),  # the one that was used goes on, although it was renamed
        ([project(1)], [project(3)], {1, 3}, 1, []),
    ],
)
def test_the_oldest_marked_project_goes_on_else_the_one_used_before(
    same: Sequence[RemoteProject],
    renamed: Sequence[RemoteProject],
    known: set[int],
    chosen: int | None,
    surplus: list[int],
) -> None:
    found = chosen_of(same, renamed, known=known)
    assert (found.chosen and found.chosen.id, [p.id for p in found.surplus]) == (chosen, surplus)
