"""Sentences as a modality: shown, told apart, and never given to a network."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from emolab.modalities.modality import open_modality, recognised
from emolab.modalities.preparing import Preprocessing, Unprepared
from emolab.modalities.text.sentences import ACROSS, DOWN

TEXT = open_modality("text")


def lines(text: str) -> list[str]:
    """What stands on the thumbnail of ``text``, line by line; it is one well-formed picture of 128 x 128 pixels."""
    svg = ElementTree.fromstring(TEXT.thumbnail(text.encode(), max_pixels=1000))
    assert (svg.tag, svg.get("width"), svg.get("height")) == ("{http://www.w3.org/2000/svg}svg", "128", "128")
    shown = svg.findall(".//{http://www.w3.org/2000/svg}text")
    assert all(0 < float(one.get("y", "-1")) < 128 for one in shown)
    return [one.text or "" for one in shown]


@pytest.mark.parametrize("text", ["Short.", "It’s “so” nice…", "привет, мир", "日本語 😀", 'a < b & "c" > d </svg>'])
def test_a_thumbnail_has_the_sentence_in_whatever_letters(text: str) -> None:
    assert " ".join(lines(text)) == text


@pytest.mark.parametrize("text", ["long " * 200, "x" * 1500, "日本" * 400])
def test_a_thumbnail_of_a_long_sentence_has_its_beginning_and_says_that_there_is_more(text: str) -> None:
    shown = lines(text)
    assert len(shown) == DOWN and shown[-1] == "…"
    assert text.startswith("".join(shown[0]).strip())
    assert all(len(line) <= ACROSS for line in shown)
    assert all(len(line) <= ACROSS // 2 for line in shown) == (text[0] == "日"), "wide letters take two places"


def test_plain_text_is_told_from_other_bytes() -> None:
    assert TEXT.file_type("schön".encode()) == ("txt", "text/plain")
    assert TEXT.file_type(b"\x89PNG\r\n\x1a\n\0") is None


def test_only_the_same_sentence_looks_the_same() -> None:
    first, again, other = (TEXT.gray(text) for text in (b"so  glad", b" so glad ", b"so sad!!"))
    assert (first == again).all()
    assert not (first == other).all()


def test_bytes_without_a_workspace_are_never_taken_for_sentences() -> None:
    assert recognised([b"so glad"]).name == "image"


def test_no_network_is_given_a_sentence() -> None:
    with pytest.raises(Unprepared, match="no network reads sentences"):
        TEXT.prepare(b"so glad", Preprocessing(48, "gray"))
    with pytest.raises(Unprepared, match="not text"):
        TEXT.gray(b"\0\0")
