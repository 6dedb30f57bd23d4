"""Journals that a kill has cut off at any byte, and those that are damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emolab.errors import DataError
from emolab.files import append_line, read_lines

LINES = ({"kind": "a", "of": {"x": [1, {"y": "}"}]}}, {"kind": 'say "{"', "n": 1.5}, {"kind": "é\\"})


def test_cut_off_at_any_byte_the_lines_before_are_there_and_it_goes_on(tmp_path: Path) -> None:
    whole = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES).encode()
    for n in range(len(whole) + 1):
        file = tmp_path / "journal.jsonl"
        file.write_bytes(whole[:n])
        there = [line for _, line in read_lines(file, hint="")]
        assert there == list(LINES[: len(there)])
        assert len(there) in (whole[:n].count(b"\n"), whole[:n].count(b"\n") + 1)
        append_line(file, json.dumps({"kind": "next"}))
        assert [line for _, line in read_lines(file, hint="")] == [*there, {"kind": "next"}]


@pytest.mark.parametrize("text", ["nonsense", "[1]", "3", '{"a": b}', '{"a": 1}}'])
def test_any_other_damage_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_text('{"kind": "a"}\n\n' + text + '\n{"kind": "b"}\n')
    with pytest.raises(DataError, match=r"Line 3 of .* is damaged") as caught:
        read_lines(file, hint="do that")
    assert caught.value.hint == "do that"
