"""Sentences as a modality: shown, told apart, and never given to a network."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from emolab.modalities.modality import open_modality, recognised
from emolab.modalities.preparing import Preprocessing, Unprepared

TEXT = open_modality("text")


def test_a_thumbnail_is_a_small_picture_whatever_the_letters() -> None:
    for text in ("Short.", "long " * 200, "日本語 😀 привет", "x" * 1500):
        picture = Image.open(io.BytesIO(TEXT.thumbnail(text.encode(), max_pixels=1000)))
        assert (picture.format, picture.size) == ("JPEG", (128, 128))


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
