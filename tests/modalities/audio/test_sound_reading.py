"""Sound files of any kind come out as the same sound; what cannot be read is refused with its reason."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.modalities.audio.reading import RATE, load
from emolab.modalities.problems import Refused
from tests.support.sounds import chatter, lag, movie, sound_file, voice

soxr = pytest.importorskip("soxr")
pytest.importorskip("soundfile")

WAV = sound_file(voice())


def at_16k(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    found: NDArray[np.float32] = soxr.resample(samples, rate, RATE)
    return found


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 192_000])
@pytest.mark.parametrize(
    ("format", "subtype", "least"),
    [
        ("WAV", "PCM_U8", 0.995),
        ("WAV", "PCM_16", 0.9999),
        ("WAV", "PCM_24", 0.9999),
        ("WAV", "PCM_32", 0.9999),
        ("WAV", "FLOAT", 0.9999),
        ("WAV", "DOUBLE", 0.9999),
        ("WAV", "ULAW", 0.999),
        ("FLAC", "PCM_16", 0.9999),
        ("FLAC", "PCM_24", 0.9999),
        ("AIFF", "PCM_16", 0.9999),
    ],
)
def test_a_file_without_loss_is_the_sound_that_went_in(rate: int, format: str, subtype: str, least: float) -> None:
    samples = voice(1.2, rate)
    sound = load(sound_file(samples, rate, format=format, subtype=subtype))
    assert (sound.rate, sound.channels, sound.seconds, sound.offset) == (rate, 1, 1.2, 0.0)
    assert sound.samples.dtype == np.float32
    assert len(sound.samples) == round(1.2 * RATE)
    assert lag(sound.samples, at_16k(samples, rate)) == (0, pytest.approx(1, abs=1 - least))


@pytest.mark.parametrize(
    ("rate", "format", "subtype"),
    [(r, "MP3", "MPEG_LAYER_III") for r in (8_000, 16_000, 22_050, 44_100, 48_000)]
    + [(r, "OGG", "VORBIS") for r in (16_000, 44_100)]
    + [(r, "OGG", "OPUS") for r in (16_000, 48_000)],
)
def test_a_lossy_file_begins_and_ends_where_its_sound_did(rate: int, format: str, subtype: str) -> None:
    """The delay that an encoder puts in front (1,105 samples of an MP3, 312 of Opus) is taken off again."""
    samples = voice(3.3, rate)
    sound = load(sound_file(samples, rate, format=format, subtype=subtype))
    assert len(sound.samples) == round(3.3 * RATE)
    assert lag(sound.samples, at_16k(samples, rate)) == (0, pytest.approx(1, abs=0.02))


@pytest.mark.parametrize(
    ("format", "codec"), [("mp4", "aac"), ("ipod", "aac"), ("matroska", "aac"), ("webm", "libopus"), ("mov", "aac")]
)
def test_the_sound_of_a_container_begins_where_it_did(format: str, codec: str) -> None:
    samples = voice(3.3, 48_000)
    sound = load(movie(samples, format=format, codec=codec))
    assert len(sound.samples) == pytest.approx(3.3 * RATE, abs=1024)  # a codec fills its last frame
    assert lag(sound.samples, at_16k(samples, 48_000)) == (0, pytest.approx(1, abs=0.01))


@pytest.mark.parametrize("delay", [0.0, 0.4])
def test_the_sound_of_a_video_says_when_it_begins(delay: float) -> None:
    sound = load(movie(voice(2, 48_000), format="matroska", picture=True, delay=delay))
    assert sound.offset == pytest.approx(delay, abs=0.03)
    assert len(sound.samples) == pytest.approx(2 * RATE, abs=1024)


@pytest.mark.parametrize(("format", "codec"), [("matroska", "aac"), ("matroska", "libopus"), ("mp4", "aac")])
def test_a_video_whose_sound_ends_before_its_picture_is_whole(format: str, codec: str) -> None:
    film = movie(voice(2, 48_000), format=format, codec=codec, picture=True, pictures=120)
    assert len(load(film).samples) == pytest.approx(2 * RATE, abs=1100)
    if format != "mp4":
        with pytest.raises(Refused) as caught:
            load(film[: len(film) // 2])
        assert caught.value.kind == "truncated"


def test_what_is_missing_within_a_sound_track_is_silence_and_said() -> None:
    """FFmpeg goes on behind damaged blocks; what follows keeps its place on the clock."""
    film = movie(np.concatenate([voice(3, 48_000)] * 6), format="matroska", codec="libopus")
    whole = load(film)
    assert (len(whole.samples), whole.notes) == (pytest.approx(18 * RATE, abs=1100), ())
    half = len(film) // 2
    sound = load(film[:half] + bytes(4_000) + film[half + 4_000 :])
    assert len(sound.samples) == pytest.approx(18 * RATE, abs=2_000)
    (note,) = sound.notes
    assert re.fullmatch(r"\d\.\d s of its sound track are missing at \d+\.\d s, or more; taken as silence", note)
    assert lag(sound.samples[-4 * RATE :], whole.samples[-4 * RATE :]) == (0, pytest.approx(1, abs=0.02))


@pytest.mark.parametrize("tagged", [False, True], ids=["", "with tags"])
def test_the_length_of_an_mp3_that_does_not_say_it_is_not_guessed(tagged: bool) -> None:
    """Without a header that counts the frames, decoders guess by the size: of a quiet beginning far too much."""
    quiet = np.concatenate([np.zeros(3 * 48_000, np.float32), chatter(5, 48_000)])
    data = sound_file(quiet, 48_000, format="MP3", subtype="MPEG_LAYER_III")
    header = next(tag for tag in (b"Xing", b"Info") if tag in data[:400])
    bare = data.replace(header, bytes(4), 1)
    tags = b"ID3\x03\x00\x00\x00\x00\x02\x00" + bytes(256) if tagged else b""
    assert load(tags + data).seconds == pytest.approx(8, abs=0.1)
    assert load(tags + bare).seconds == pytest.approx(8, abs=0.2)
    with pytest.raises(Refused, match=r"ends at \d\.\d s of 8"):
        load(tags + data[: len(data) // 2])


def test_a_file_on_disk_sounds_as_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(WAV)  # the name is not asked
    assert np.array_equal(load(tmp_path / "a.mp3").samples, load(WAV).samples)


def test_channels_are_averaged_however_many_there_are() -> None:
    one = voice(1)
    eight = np.stack([one * k for k in (0, 1, 2, 1, 0, 2, 1, 1)], axis=1) / 2
    sound = load(sound_file(eight, subtype="FLOAT"))
    assert sound.channels == 8
    assert np.allclose(sound.samples, one / 2, atol=1e-6)


def test_channels_that_cancel_each_other_are_not_silence() -> None:
    one = voice(1)
    sound = load(sound_file(np.stack([one, -2 * one], axis=1), subtype="FLOAT"))
    quiet = load(sound_file(np.stack([one, -one], axis=1), subtype="FLOAT"))
    assert np.allclose(sound.samples, -one / 2, atol=1e-6), "a mean that is still a voice stays the mean"
    assert quiet.notes == ("its channels cancel each other out; channel 1 of 2 was taken",)
    assert np.allclose(quiet.samples, one, atol=1e-6)


def test_a_wav_written_to_a_pipe_has_no_length_and_is_read() -> None:
    at = WAV.index(b"data") + 4
    sound = load(WAV[:at] + b"\xff\xff\xff\xff" + WAV[at + 4 :])
    assert len(sound.samples) == len(load(WAV).samples)


def _png() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(100)


def _with(value: float) -> bytes:
    samples = voice(2)
    samples[20_000] = value
    return sound_file(samples, subtype="FLOAT")


MP3 = sound_file(voice(3, 48_000), 48_000, format="MP3", subtype="MPEG_LAYER_III")
OGG = sound_file(voice(3), format="OGG", subtype="VORBIS")
FLAC = sound_file(voice(3), format="FLAC")


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"", "empty", "the file has no bytes"),
        (sound_file(voice(0)), "nothing in it", "the file holds no samples"),
        (_with(np.nan), "damaged", "at 1.25 s it holds a value that is no number (NaN or infinite)"),
        (_with(np.inf), "damaged", "at 1.25 s it holds a value that is no number (NaN or infinite)"),
        (WAV[:8], "truncated", "the file ends within its header"),
        (WAV[:30], "truncated", "the file ends before its sound begins"),
        (WAV[: len(WAV) // 2], "truncated", "ends at 1.0 s of 2.0 s"),
        (MP3[: len(MP3) // 2], "truncated", "ends at 1.4 s of 3.0 s or ends at 1.5 s of 3.0 s"),
        (OGG[: len(OGG) // 2], "truncated", "the file ends within a page"),
        (FLAC[: len(FLAC) // 2], "damaged", "cut off or damaged in its first seconds: flac decoder lost sync"),
        (_png(), "not a sound", "a PNG picture"),
        (b"%PDF-1.4", "not a sound", "a PDF document; save what it holds as files first"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:6d8d\nsize 68524\n",
            "not a sound",
            "a git-lfs pointer, not the sound itself; fetch it with: git lfs pull",
        ),
        (
            b"<!doctype html><html><head><title>404 Not Found</title>",
            "not a sound",
            'a web page, not a sound: "404 Not Found"; was it a failed download?',
        ),
        (b"hello", "not a sound", 'a text, not a sound: "hello"'),
        (bytes(500), "damaged", "it begins with nothing but zero bytes; it was probably never written to its end"),
        (b"\x12\x80\xff\xfe\x80", "not a sound", "no sound format starts with b'\\x12\\x80\\xff\\xfe\\x80'"),
        (WAV[:24] + bytes([99, 0, 0, 0]) + WAV[28:], "unsupported", "99 samples a second; 4,000 to 768,000 are read"),
        (WAV[:22] + struct.pack("<H", 300) + WAV[24:], "unsupported", "300 channels; up to 64 are read"),
        (movie(None, picture=True), "no sound", "a video without a sound track"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_reason(data: bytes, kind: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        load(data)
    assert caught.value.kind == kind
    assert caught.value.message in (message, *message.split(" or "))


OTHERS = {
    f"{name} {subtype}": sound_file(voice(2), format=name, subtype=subtype)
    for name in ("AIFF", "AU", "CAF", "W64", "RF64")
    for subtype in ("PCM_16", "PCM_24", "FLOAT")
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_of_any_container_that_is_cut_off_is_refused(name: str, share: float) -> None:
    """Decoders read what is there and say nothing."""
    data = OTHERS[name]
    assert load(data).seconds == 2
    with pytest.raises(Refused, match=rf"ends at {2 * share:.1f} s of 2\.0 s|ends before the 2\.0 s that it announces"):
        load(data[: int(share * len(data)) + 40])
    with pytest.raises(Refused) as caught:
        load(data[:30])
    assert caught.value.kind in ("truncated", "damaged")


OPUS = sound_file(voice(3), format="OGG", subtype="OPUS")


@pytest.mark.parametrize("data", [OGG, OPUS], ids=["vorbis", "opus"])
def test_an_ogg_file_with_a_damaged_page_is_refused(data: bytes) -> None:
    """A decoder leaves such a page out: a second of the clip would be silence."""
    pages = [match.start() for match in re.finditer(b"OggS", data)]
    middle, after = pages[len(pages) // 2], pages[len(pages) // 2 + 1]
    assert len(load(data).samples) == 3 * RATE
    assert len(load(data + b"TAG" + bytes(125)).samples) == 3 * RATE, "tags behind the last page are nobody's harm"
    turned = data[: middle + 60] + bytes([data[middle + 60] ^ 4]) + data[middle + 61 :]
    for broken, said in (
        (turned, "does not hold what was written"),
        (data[: middle + 30] + bytes(200) + data[middle + 230 :], "does not hold what was written"),
        (data[:middle] + data[after:], "a part is missing"),
        (data[: middle + 10] + data[middle + 15 :], "does not hold what was written|ends within a page"),
    ):
        with pytest.raises(Refused, match=said):
            load(broken)


def test_ten_hours_are_refused_by_what_the_header_says(tmp_path: Path) -> None:
    """A sparse file, so the test needs no gigabyte; nothing of it is decoded."""
    header = bytearray(sound_file(np.zeros(1, np.float32), 8_000, subtype="PCM_U8")[:44])
    seconds = 10 * 3600
    header[40:44] = struct.pack("<I", seconds * 8_000)
    with (tmp_path / "long.wav").open("wb") as file:
        file.write(header)
        file.truncate(44 + seconds * 8_000)
    with pytest.raises(Refused) as caught:
        load(tmp_path / "long.wav", max_seconds=3600)
    assert caught.value.message == "36,000 s; the limit is 3,600 s"


def test_a_length_that_lies_does_not_get_past_the_limit() -> None:
    samples = np.zeros(40 * 8_000, np.float32)
    data = sound_file(samples, 8_000)
    at = data.index(b"data") + 4
    assert load(data, max_seconds=40).seconds == 40
    with pytest.raises(Refused, match="the limit is 15 s"):
        load(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :], max_seconds=15)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        load(tmp_path / "none.wav")
    assert (caught.value.kind, caught.value.message) == ("unreadable", "no such file or directory")
