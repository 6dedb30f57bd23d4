"""Transcripts with times: SubRip, WebVTT and JSON lines, with speakers where they are written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from emolab.errors import DataError
from emolab.modalities.text.captions import read_captions


def told(path: Path, name: str, text: str | bytes) -> list[tuple[float, float, str, str | None]]:
    file = path / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return [(c.begin, c.end, c.text, c.speaker) for c in read_captions(file)]


def test_subrip_is_read_however_its_lines_end(tmp_path: Path) -> None:
    first = "1\r\n00:00:01,500 --> 00:00:03,000\r\n<i>Hello</i>\r\nthere\r\n\r\n"
    text = f"{first}2\r\n01:00:04,5 --> 01:00:05,25\r\n- No.\r\n"
    wanted = [(1.5, 3.0, "Hello there", None), (3604.5, 3605.25, "- No.", None)]
    assert told(tmp_path, "a.srt", "\ufeff" + text) == wanted
    assert told(tmp_path, "b.srt", text.replace("\r\n\r\n", "\r\n").encode("utf-16")) == wanted


def test_webvtt_says_who_speaks(tmp_path: Path) -> None:
    text = (
        "WEBVTT - a talk\n\nNOTE made by hand\n\nintro\n00:01.000 --> 00:02.500 align:start\n"
        "<v Ann Lee>I &amp; you</v>\n\n"
        "00:03.000 --> 00:04.000\n<v.loud Bob>Stop!\n\n00:05.000 --> 00:06.000\n<c.yellow>Who?</c>\n"
    )
    assert told(tmp_path, "a.vtt", text) == [
        (1.0, 2.5, "I & you", "Ann Lee"), (3.0, 4.0, "Stop!", "Bob"), (5.0, 6.0, "Who?", None)
    ]  # fmt: skip


def test_lines_of_json_are_put_into_the_order_of_time(tmp_path: Path) -> None:
    text = '{"start": 4, "end": 5, "text": "b", "speaker": "Ann"}\n\n{"begin": 1.0, "end": 2, "text": " a  a "}\n'
    assert told(tmp_path, "a.jsonl", text) == [(1.0, 2.0, "a a", None), (4.0, 5.0, "b", "Ann")]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "x", "is no transcript by its name"),
        ("a.srt", "nothing here", "holds no captions"),
        ("a.srt", "", "is no transcript: the file holds no text"),
        ("a.srt", "00:05,0 --> later\nx\n", 'line 1: "00:05,0 --> later" is no time of a caption'),
        ("a.vtt", "WEBVTT\n\n00:05.000 --> 00:01.000\nx\n", "line 3: the caption ends before it begins"),
        ("a.jsonl", "{", "line 1 is no JSON"),
        ("a.jsonl", '{"begin": 1, "end": 2}', "line 1 is no caption"),
        ("a.jsonl", '{"begin": true, "end": 2, "text": "x"}', "line 1 is no caption"),
        ("a.jsonl", "[1, 2]", "line 1 is no caption"),
        ("a.srt", b"PK\x03\x04 zip", "is no transcript: it is a zip"),
    ],
)
def test_what_is_no_transcript_is_refused_with_its_line(
    name: str, text: str | bytes, said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        told(tmp_path, name, text)
    assert said in caught.value.message


def test_a_transcript_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_captions(tmp_path / "no.srt")
