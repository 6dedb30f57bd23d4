"""Media under the name of their content: complete or not there, whatever was interrupted."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emolab.datasets.collect import media_store
from emolab.datasets.collect.media_store import ATOMIC, MediaStore

SIZES = pytest.mark.parametrize("size", [100, ATOMIC, ATOMIC + 1, 300_000])


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media", below=tmp_path)


def content(size: int) -> tuple[bytes, str]:
    data = os.urandom(size)
    return data, hashlib.sha256(data).hexdigest()


@SIZES
def test_content_put_twice_is_one_file_written_once(store: MediaStore, tmp_path: Path, size: int) -> None:
    data, digest = content(size)
    assert not store.has(digest)
    place = tmp_path / store.put(data, digest, ".png")
    before = place.stat()
    assert place == tmp_path / "media" / digest[:2] / f"{digest}.png"
    assert place.read_bytes() == data
    assert store.put(data, digest, ".png") == f"media/{digest[:2]}/{digest}.png"
    assert (place.stat().st_ino, place.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert store.has(digest)
    assert [file for file in (tmp_path / "media").rglob("*") if file.is_file()] == [place]


@SIZES
@pytest.mark.parametrize("torn", [b"", b"\0", b"\0" * 100])
def test_what_a_killed_run_or_a_power_cut_left_is_replaced(
    store: MediaStore, tmp_path: Path, size: int, torn: bytes
) -> None:
    data, digest = content(size)
    place = tmp_path / "media" / digest[:2] / f"{digest}.png"
    place.parent.mkdir()
    place.write_bytes(torn)
    assert store.has(digest) is bool(torn)
    assert (tmp_path / store.put(data, digest, ".png")).read_bytes() == data
    assert not list((tmp_path / "media" / "incoming").iterdir())


@SIZES
def test_a_write_that_fails_leaves_no_content(
    store: MediaStore, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, digest = content(size)
    with monkeypatch.context() as patch:
        patch.setattr(media_store.os, "write", _half_then_full(os.write))
        with pytest.raises(OSError, match="No space left"):
            store.put(data, digest, ".png")
    assert not store.has(digest)
    assert not list((tmp_path / "media" / "incoming").iterdir())
    assert (tmp_path / store.put(data, digest, ".png")).read_bytes() == data


def _half_then_full(write: Callable[[int, bytes], int]) -> Callable[[int, bytes], int]:
    calls = iter(range(2))

    def fail(descriptor: int, data: bytes) -> int:
        if next(calls) == 0:
            return write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return fail


@SIZES
def test_many_threads_that_put_the_same_content_all_find_it_complete(
    store: MediaStore, tmp_path: Path, size: int
) -> None:
    contents = [content(size) for _ in range(20)]

    def put(index: int) -> bool:
        data, digest = contents[index % len(contents)]
        return (tmp_path / store.put(data, digest, ".png")).read_bytes() == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(put, range(400)))
    assert not list((tmp_path / "media" / "incoming").iterdir())
