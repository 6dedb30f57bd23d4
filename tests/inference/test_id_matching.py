"""Ids are found among others as a dictionary finds them, whatever they look like."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from emolab.inference.id_matching import IdMatcher

HEX = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(300)]
#: 10 and 118 letters, with the line end between them, stand where two ids of 64 letters would.
HIDDEN = ["a" * 10, "b" * 53, "c" * 64, "d" * 10, "e" * 53]


def by_dictionary(ids: list[str], others: list[str]) -> list[tuple[int, int]]:
    return sorted((row, place) for row, each in enumerate(others) for place, one in enumerate(ids) if one == each)


@pytest.mark.parametrize(
    ("ids", "others"),
    [
        (HEX[:200:3], HEX[100:]),
        (HEX[:5], HEX[10:20]),
        ([], HEX[:3]),
        (["a", "bb"], ["bb", "c", "a"]),
        (HEX[:4], [*HEX[2:6], "short"]),
        ([HEX[0], HEX[1], HEX[0]], HEX[:2]),
        ([f"{i:064x}" for i in range(0, 300, 7)], [f"{i:064x}" for i in range(300)]),
        ([f"{i:04x}" + "0" * 60 for i in range(0, 300, 7)], [f"{i:04x}" + "0" * 60 for i in range(300)]),
        (
            ["0" * 30 + f"{i:04x}" + "0" * 30 for i in range(9)],
            ["0" * 30 + f"{i:04x}" + "0" * 30 for i in range(5, 20)],
        ),
        ([HIDDEN[2]], HIDDEN),
        (["a" * 10 + "\n" + "b" * 53], HIDDEN[:3]),
        (["ä" * 32, HEX[0]], ["ä" * 32, HEX[0]]),
        (HEX[:3], [""]),
    ],
)
def test_ids_are_found_where_they_are(ids: list[str], others: list[str]) -> None:
    rows, places = IdMatcher(ids).find("\n".join(others).encode())
    assert sorted(zip(rows.tolist(), places.tolist(), strict=True)) == by_dictionary(ids, others)
    assert rows.dtype == places.dtype == np.int64


def test_one_matcher_answers_for_parts_of_every_kind() -> None:
    matcher = IdMatcher(HEX[:50])
    for others in (HEX[40:60], ["short", HEX[3]], HEX[:2], [HEX[7]]):
        rows, places = matcher.find("\n".join(others).encode())
        assert sorted(zip(rows.tolist(), places.tolist(), strict=True)) == by_dictionary(HEX[:50], others)
