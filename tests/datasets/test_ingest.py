"""Items become samples: once, in order, in batches that are complete or not there."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import Connection

from emolab.catalog import samples, tallies, votes
from emolab.catalog.samples import AddResult
from emolab.datasets.collect.ingest import IngestOptions, IngestReport, Item, Outcome, Problem, Whole, ingest
from emolab.datasets.collect.media_store import MediaStore
from emolab.datasets.collect.prepare import Preparer, Work
from emolab.errors import DataError, EmolabError, UnknownName
from emolab.records import Sample, Vote
from emolab.workspace import Workspace


def png(seed: int, size: tuple[int, int] = (48, 48)) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0])).astype(np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def items(n: int, first: int = 0) -> list[Item]:
    return [Item(data=png(i), name=f"{i}.png") for i in range(first, first + n)]


def run(workspace: Workspace, entries: object, **options: object) -> IngestReport:
    with workspace.catalog() as catalog:
        return ingest(workspace, catalog, entries, **options)  # type: ignore[arg-type]


def stored(workspace: Workspace) -> list[Sample]:
    with workspace.catalog() as catalog, catalog.connect() as connection:
        return list(samples.iterate(connection))


def media_files(workspace: Workspace) -> list[Path]:
    return [path for path in workspace.media.rglob("*") if path.is_file()]


def test_a_sample_is_named_after_the_bytes_that_are_kept(workspace: Workspace) -> None:
    run(workspace, items(3))
    for sample in stored(workspace):
        data = workspace.locate(sample.media).read_bytes()
        assert sample.id == hashlib.sha256(data).hexdigest()
        assert sample.media == f".emolab/media/{sample.id[:2]}/{sample.id}.png"
        assert (sample.width, sample.height) == (48, 48)
        assert set(sample.quality) == {"size", "brightness", "contrast", "blur"}
        assert sample.phash is not None


def test_samples_come_in_the_order_of_the_input_whatever_thread_made_them(workspace: Workspace) -> None:
    run(workspace, items(100), workers=4)
    assert [sample.name for sample in stored(workspace)] == [f"{i}.png" for i in range(100)]


def test_what_comes_with_an_item_stays_with_its_sample(workspace: Workspace) -> None:
    item = Item(data=png(1), name="a.png", source="lab", group="ann", consent="form B", licence="CC0", split="valid")
    run(workspace, [item])
    (sample,) = stored(workspace)
    assert (sample.source, sample.group, sample.consent, sample.licence, sample.split) == (
        "lab", "ann", "form B", "CC0", "valid",
    )  # fmt: skip


def test_duplicates_collapse_within_a_run_and_between_runs(workspace: Workspace) -> None:
    first = run(workspace, [*items(3), *items(3)])
    second = run(workspace, items(4))
    assert (first.added, first.existing) == (3, 3)
    assert (second.added, second.existing) == (1, 3)
    assert len(media_files(workspace)) == 4


def test_the_same_photo_with_other_metadata_is_a_duplicate(workspace: Workspace) -> None:
    plain, tagged = io.BytesIO(), io.BytesIO()
    image = Image.open(io.BytesIO(png(5)))
    image.save(plain, "JPEG")
    image.save(tagged, "JPEG", comment=b"holiday")
    report = run(workspace, [Item(data=b.getvalue(), name=n) for b, n in ((plain, "a.jpg"), (tagged, "b.jpg"))])
    assert (report.added, report.existing) == (1, 1)


def folder_of(tmp_path: Path, n: int) -> list[Item]:
    folder = tmp_path / "photos"
    folder.mkdir(exist_ok=True)
    for i in range(n):
        if not (folder / f"{i}.png").exists():
            (folder / f"{i}.png").write_bytes(png(i))
    return [Item(data=folder / f"{i}.png", name=f"{i}.png") for i in range(n)]


def test_a_second_run_reads_only_what_changed(workspace: Workspace, tmp_path: Path) -> None:
    run(workspace, folder_of(tmp_path, 20))
    (tmp_path / "photos" / "7.png").write_bytes(png(777))
    report = run(workspace, folder_of(tmp_path, 22))
    assert (report.skipped, report.added, report.existing) == (19, 3, 19)


def test_other_settings_read_everything_again(workspace: Workspace, tmp_path: Path) -> None:
    run(workspace, folder_of(tmp_path, 3))
    assert run(workspace, folder_of(tmp_path, 3), options=IngestOptions(max_pixels=5_000)).skipped == 0


def test_the_ledger_is_a_cache_and_can_be_deleted(workspace: Workspace, tmp_path: Path) -> None:
    run(workspace, folder_of(tmp_path, 5))
    for file in workspace.cache.iterdir():
        file.unlink()
    report = run(workspace, folder_of(tmp_path, 5))
    assert (report.skipped, report.added, report.existing) == (0, 0, 5)


def test_a_media_file_that_was_lost_comes_back(workspace: Workspace, tmp_path: Path) -> None:
    run(workspace, folder_of(tmp_path, 3))
    lost = workspace.locate(stored(workspace)[1].media)
    lost.unlink()
    report = run(workspace, folder_of(tmp_path, 3))
    assert lost.is_file()
    assert (report.skipped, report.added, report.existing) == (2, 0, 3)


def test_bad_items_are_lines_and_the_rest_go_through(workspace: Workspace, tmp_path: Path) -> None:
    entries = [
        Item(data=png(1), name="good.png"),
        Item(data=b"", name="zero.png"),
        Item(data=png(2)[:-30], name="cut.png"),
        Item(data=b"hello", name="text.jpg"),
        Problem("link.png", "symlink loop", "a link that leads back to itself"),
        Item(data=tmp_path / "gone.png", name="gone.png"),
        Item(data=png(3), name="really_a_png.jpg"),
    ]
    seen: list[str] = []
    report = run(workspace, entries, on_problem=lambda problem: seen.append(f"{problem.path}: {problem.kind}"))
    assert seen == [
        "zero.png: empty",
        "cut.png: truncated",
        "text.jpg: not an image",
        "link.png: symlink loop",
        "gone.png: unreadable",
        "really_a_png.jpg: wrong extension",
    ]
    assert (report.items, report.added, report.failed, report.notes.total()) == (7, 2, 5, 1)
    assert str(report.problems[-1]) == (
        "really_a_png.jpg: wrong extension: the name says JPEG, the content is PNG; taken as PNG"
    )


def test_a_dry_run_counts_and_keeps_nothing(workspace: Workspace) -> None:
    run(workspace, items(2))
    report = run(workspace, items(5), options=IngestOptions(dry_run=True))
    assert (report.added, report.existing) == (3, 2)
    assert len(stored(workspace)) == len(media_files(workspace)) == 2


def test_a_whole_input_is_read_once_and_only_skipped_when_it_was_complete(workspace: Workspace) -> None:
    reads: list[str] = []

    def clip(name: str, *, broken: bool) -> Iterator[Item | Problem]:
        reads.append(name)
        yield from items(3, first=10)
        if broken:
            yield Problem(name, "truncated", "stops at 3 s")

    for _ in range(2):
        run(workspace, [Whole("a", "a|1", clip("a", broken=False)), Whole("b", "b|1", clip("b", broken=True))])
    assert reads == ["a", "b", "b"]


def cast(tx: Connection, outcomes: Sequence[Outcome], _result: AddResult) -> None:
    """What merge does: votes in the transaction that adds their samples."""
    votes.append(
        tx,
        [
            Vote(sample_id=sample_id, annotator="ann", label="happiness", origin=f"test:{o.item.name}:{sample_id}")
            for o in outcomes
            for sample_id in o.ids
        ],
    )


def test_what_the_caller_adds_is_committed_with_the_samples_or_not_at_all(workspace: Workspace) -> None:
    def fail(tx: Connection, outcomes: Sequence[Outcome], result: AddResult) -> None:
        cast(tx, outcomes, result)
        raise EmolabError("the caller changed its mind")

    with pytest.raises(EmolabError, match="changed its mind"):
        run(workspace, items(3), on_batch=fail)
    assert stored(workspace) == []
    run(workspace, items(3), on_batch=cast)
    with workspace.catalog() as catalog, catalog.connect() as connection:
        assert len(tallies.table(connection, ("happiness",)).sample) == 3


def test_the_caller_also_hears_of_items_that_were_skipped(workspace: Workspace, tmp_path: Path) -> None:
    run(workspace, folder_of(tmp_path, 4))
    heard: list[tuple[str, int]] = []
    run(
        workspace,
        folder_of(tmp_path, 4),
        on_batch=lambda _tx, outcomes, _result: heard.extend((o.item.name, len(o.ids)) for o in outcomes),
    )
    assert heard == [(f"{i}.png", 1) for i in range(4)]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (IngestOptions(faces="some"), UnknownName, 'Unknown face mode "some". Known: all, auto, largest, off.'),
        (
            IngestOptions(faces="all", detector="/gone.onnx"),
            DataError,
            "The face detector /gone.onnx does not exist (collect.detector).",
        ),
    ],
)
def test_settings_that_make_no_sense_end_before_any_work(
    workspace: Workspace, options: IngestOptions, error: type[EmolabError], message: str
) -> None:
    with pytest.raises(error) as raised:
        run(workspace, items(1), options=options)
    assert raised.value.message == message


@pytest.mark.slow
def test_memory_does_not_grow_with_the_input(workspace: Workspace) -> None:
    data = png(0, (200, 200))

    def many(n: int) -> Iterator[Item]:
        return (Item(data=data + bytes(1), name=f"{i}.png") for i in range(n))

    peaks = []
    run(workspace, many(300))
    for n in (800, 2000):
        tracemalloc.start()
        run(workspace, many(n))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_slow_source_is_recorded_while_it_still_runs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emolab.datasets.collect.prefetch.WINDOW_SECONDS", 0.0)
    monkeypatch.setattr("emolab.datasets.collect.ingest.BATCH_SECONDS", 0.0)
    recorded: list[int] = []

    def camera() -> Iterator[Item]:
        for i, item in enumerate(items(2000)):
            yield item
            if i % 10 == 0 and (found := len(stored(workspace))):
                recorded.append(found)
                return

    run(workspace, camera())
    assert recorded


class FullStore(MediaStore):
    """A store on a disk with room for ``room`` files."""

    room = 12

    def put(self, data: bytes, digest: str, suffix: str) -> str:
        FullStore.room -= 1
        if FullStore.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().put(data, digest, suffix)


def test_a_full_disk_is_one_line_and_everything_before_it_is_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emolab.datasets.collect.ingest.MediaStore", FullStore)
    report = run(workspace, items(40), workers=1)
    assert [problem.kind for problem in report.problems] == ["disk full"]
    assert "everything up to here is kept" in report.problems[0].message
    assert report.added == len(stored(workspace)) == 12
    monkeypatch.undo()
    assert run(workspace, items(40)).added == 28


@pytest.fixture
def small_disk(workspace: Workspace, tmp_path: Path) -> Iterator[Path]:
    """The media folder of ``workspace`` on a disk of its own, with room for some 14 images of 120 x 120 pixels."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    workspace.media.symlink_to(disk)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def large_items() -> list[Item]:
    return [Item(data=png(i, (120, 120)), name=f"{i}") for i in range(60)]


def check_disk_was_full(workspace: Workspace, disk: Path, report: IngestReport) -> None:
    """What is said, and that what was recorded is there; with more room the same command ends the work."""
    assert [problem.kind for problem in report.problems] == ["disk full"]
    assert report.added == len(stored(workspace)) < 60
    assert not list(disk.rglob("*.part"))
    assert all(workspace.locate(sample.media).stat().st_size > 0 for sample in stored(workspace))
    subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
    assert run(workspace, large_items()).added == 60 - report.added
    assert len(stored(workspace)) == len(media_files(workspace)) == 60


def test_a_real_full_disk(workspace: Workspace, small_disk: Path) -> None:
    report = run(workspace, large_items(), workers=1)
    assert report.added > 0
    check_disk_was_full(workspace, small_disk, report)


def test_a_real_disk_that_others_filled_before_the_first_image_was_written(
    workspace: Workspace, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples are recorded in order: nothing is kept when the first thread is the last to write, and that is said."""
    prepare, full = Preparer.__call__, threading.Event()

    def last(self: Preparer, some: Sequence[Item]) -> Work:
        if some[0].name == "0":
            assert full.wait(120)
        work = prepare(self, some)
        if work.error is not None:
            full.set()
        return work

    monkeypatch.setattr(Preparer, "__call__", last)
    report = run(workspace, large_items(), workers=2)
    assert report.added == 0
    check_disk_was_full(workspace, small_disk, report)


def test_a_workspace_that_may_not_be_written_is_explained(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", "/somewhere")

    monkeypatch.setattr(MediaStore, "put", refuse)
    with pytest.raises(EmolabError, match=r"The workspace cannot be written: Permission denied \(/somewhere\)"):
        run(workspace, items(3))


def test_what_an_interrupted_run_left_half_written_is_removed_after_an_hour(workspace: Workspace) -> None:
    run(workspace, items(1))
    old, young = (workspace.media / "incoming" / name for name in ("1-1-1.part", "1-1-2.part"))
    for file in (old, young):
        file.touch()
    os.utime(old, (time.time() - 4000, time.time() - 4000))
    run(workspace, items(1))
    assert (old.exists(), young.exists()) == (False, True)


CHILD = """
import sys
from pathlib import Path
from emolab.datasets.collect import ingest as module
from emolab.datasets.collect.ingest import Item, ingest
from emolab.workspace import Workspace
module.BATCH = 20
workspace = Workspace.open(Path(sys.argv[1]))
files = sorted(Path(sys.argv[2]).iterdir())
with workspace.catalog() as catalog:
    print("ready", flush=True)
    print(ingest(workspace, catalog, (Item(data=f, name=f.name) for f in files)).added, flush=True)
"""


def child(workspace: Workspace, folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(workspace.root), str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def healthy(workspace: Workspace) -> int:
    """The number of samples, each with its complete media file."""
    found = stored(workspace)
    for sample in found:
        assert hashlib.sha256(workspace.locate(sample.media).read_bytes()).hexdigest() == sample.id
    with workspace.catalog() as catalog:
        assert catalog.problems() == []
    return len(found)


@pytest.mark.slow
def test_kill_9_at_any_instant_leaves_whole_batches_and_the_next_run_goes_on(
    workspace: Workspace, tmp_path: Path
) -> None:
    n = 400
    folder_of(tmp_path, n)
    rng = random.Random(0)
    counts = [0]
    for _ in range(6):
        process = child(workspace, tmp_path / "photos")
        time.sleep(rng.uniform(0.0, 0.25))
        process.kill()
        process.communicate()
        counts.append(healthy(workspace))
    assert counts == sorted(counts)
    process = child(workspace, tmp_path / "photos")
    output, errors = process.communicate(timeout=120)
    assert errors == ""
    assert int(output) == n - counts[-1]
    assert healthy(workspace) == n


@pytest.mark.slow
def test_ctrl_c_in_the_library_stops_at_once_and_leaves_whole_batches(workspace: Workspace, tmp_path: Path) -> None:
    folder_of(tmp_path, 400)
    process = child(workspace, tmp_path / "photos")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert healthy(workspace) % 20 == 0 or healthy(workspace) == 400


@pytest.mark.slow
def test_two_runs_at_once_add_every_sample_once(workspace: Workspace, tmp_path: Path) -> None:
    folder_of(tmp_path, 200)
    both = [child(workspace, tmp_path / "photos") for _ in range(2)]
    ended = [process.communicate(timeout=120) for process in both]
    assert [errors for _, errors in ended] == ["", ""]
    assert sum(int(output) for output, _ in ended) == healthy(workspace) == 200
