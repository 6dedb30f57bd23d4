"""``emolab collect`` as a person runs it: every bad input one line, the rest go through, the exit code says so."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from emolab.catalog import models, samples
from emolab.catalog.samples import AddResult
from emolab.datasets.collect.collect import _Units
from emolab.records import Model, Sample
from emolab.workspace import Workspace

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


def save(path: Path, seed: int = 0, size: tuple[int, int] = (48, 48), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0])).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def stored(workspace: Workspace) -> list[Sample]:
    with workspace.catalog() as catalog, catalog.connect() as connection:
        return list(samples.iterate(connection))


def test_a_folder_becomes_samples_and_the_table_says_how_many(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    for i in range(5):
        save(tmp_path / "in" / f"{i}.png", i)
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    done = run_cli("collect", str(tmp_path / "in"), "--faces", "off", cwd=workspace.root)
    assert (done.returncode, done.stdout) == (0, "")
    lines = [" ".join(line.split()) for line in done.stderr.splitlines()]
    assert "5 inputs" in lines
    assert "added 5" in lines
    assert "other files 1 1 .txt" in lines
    assert "next: emolab label push" in lines
    assert len(stored(workspace)) == 5


@pytest.mark.slow
def test_what_a_name_was_given_can_be_counted_and_taken_out_again(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    for i in range(5):
        save(tmp_path / "in" / f"{i}.png", i)
        save(tmp_path / "wrong" / f"{i + 3}.png", i + 3)
    off = ("--faces", "off")
    run_cli("collect", str(tmp_path / "in"), *off, cwd=workspace.root, check=True)
    told = run_cli("collect", str(tmp_path / "wrong"), *off, "--name", "wrong", cwd=workspace.root, check=True).stderr
    assert "next: emolab label push" in told
    assert Counter(each.source for each in stored(workspace)) == {"collected": 5, "wrong": 3}, "2 were there before"
    again = run_cli("collect", str(tmp_path / "wrong"), *off, "--name", "wrong", cwd=workspace.root, check=True)
    assert "next: emolab label push" in again.stderr, "nothing new, and still something to do"
    run_cli("remove", "--source", "wrong", "--yes", cwd=workspace.root, check=True)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert samples.count_by(conn, "source") == {"collected": 5}
    for bad in ("a:b", "", "two words", "x" * 41):
        refused = run_cli("collect", str(tmp_path / "in"), *off, "--name", bad, cwd=workspace.root)
        assert (refused.returncode, f'"{bad}" cannot name a source' in refused.stderr) == (1, True)


def test_faces_of_one_photo_are_no_group_to_be_warned_of() -> None:
    def seen(*made: Sample) -> str | None:
        units = _Units()
        outcome = SimpleNamespace(samples=list(made))
        units.see(None, [outcome], AddResult([each.id for each in made], []))  # type: ignore[arg-type, list-item]
        return units.shared

    def sample(number: int, **more: str) -> Sample:
        return Sample(id=f"{number:064x}", media="m", **more)

    assert seen(sample(1, parent="p"), sample(2, parent="p")) is None
    assert seen(sample(1, group="ann"), sample(2, group="ann")) == "ann"
    assert seen(sample(1, group="ann"), sample(2, parent="p")) is None
    assert seen(sample(1)) is None


def test_json_holds_every_count(workspace: Workspace, tmp_path: Path, run_cli: RunCli) -> None:
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").touch()
    done = run_cli("collect", str(tmp_path / "in"), "--faces", "off", "--json", cwd=workspace.root)
    data = json.loads(done.stdout)
    log = Path(data.pop("log"))
    assert done.returncode == 1
    assert data == {
        "items": 2, "added": 1, "existing": 0, "skipped": 0, "faces": 0, "without_face": 0, "near_duplicates": 0,
        "failed": 1, "problems": {"empty": 1}, "notes": {}, "ignored": {}, "stopped": False, "dry_run": False,
        "one_group": None, "guessed_speakers": None,
    }  # fmt: skip
    assert log.parent == workspace.logs
    assert log.read_text() == f"FAILED  {tmp_path}/in/b.png: empty: the file has no bytes\n"


def bad_inputs(folder: Path) -> None:
    """A folder with one good image and everything that goes wrong in practice."""
    save(folder / "good.png", 1)
    save(folder / "cut.jpg", 2, (300, 300))
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:3000])
    (folder / "zero.png").touch()
    (folder / "diary.jpg").write_text("Dear diary")
    save(folder / "renamed.png", 3).rename(folder / "really_png.jpg")
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    with zipfile.ZipFile(folder / "evil.zip", "w") as out:
        out.writestr("../evil.png", (folder / "good.png").read_bytes())
        out.write(save(folder.parent / "zipped.png", 4), "fine.png")
    (folder / "loop").symlink_to(folder)
    (folder / "self.png").symlink_to("self.png")
    name = os.fsencode(folder) + b"/caf\xe9.png"
    save(folder / "tmp.png", 5).rename(Path(os.fsdecode(name)))


@pytest.mark.slow
def test_every_bad_input_is_one_clear_line_and_the_rest_go_through(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    folder = tmp_path / "in"
    bad_inputs(folder)
    done = run_cli("collect", str(folder), "--faces", "off", "--json", cwd=workspace.root)
    assert done.returncode == 1, done.stderr
    data = json.loads(done.stdout)
    lines = Path(data["log"]).read_text().splitlines()
    assert sorted(line.replace(f"{folder}/", "") for line in lines) == [
        "FAILED  bomb.png: too large: 20,000 x 20,000 pixels; the limit is 100 million (collect.max_pixels)",
        "FAILED  cut.jpg: truncated: the file ends before the picture does",
        'FAILED  diary.jpg: not an image: a text, not a picture: "Dear diary"',
        "FAILED  evil.zip/../evil.png: unsafe name: the name leads out of the archive; refused",
        "FAILED  self.png: symlink loop: a link that leads back to itself",
        "FAILED  zero.png: empty: the file has no bytes",
        "note  caf\\xe9.png: name: the file name is not UTF-8; kept as shown here",
        "note  loop: symlink loop: leads back to a folder that was read already; passed over",
        "note  really_png.jpg: wrong extension: the name says JPEG, the content is PNG; taken as PNG",
    ]
    assert [Path(str(sample.name)).name for sample in stored(workspace)] == [
        "caf\\xe9.png", "fine.png", "good.png", "really_png.jpg",
    ]  # fmt: skip
    shown = run_cli("collect", str(folder), "--faces", "off", cwd=workspace.root)
    assert "symlink loop" in shown.stderr
    assert "All lines:" in shown.stderr


@pytest.mark.slow
def test_a_file_that_may_not_be_read_is_said(workspace: Workspace, tmp_path: Path) -> None:
    secret = save(tmp_path / "in" / "secret.png")
    save(tmp_path / "in" / "open.png", 1)
    secret.chmod(0)
    command = [sys.executable, "-m", "emolab", "collect", str(tmp_path / "in"), "--faces", "off"]
    if os.geteuid() == 0:  # root may read anything, unless it gives that right away
        if shutil.which("setpriv") is None:
            pytest.skip("runs as root, and setpriv is not installed")
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    done = subprocess.run(
        command, cwd=workspace.root, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "300"}
    )
    assert done.returncode == 1, done.stderr
    assert f"unreadable  {secret}\n    permission denied" in done.stderr
    assert len(stored(workspace)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give one or more paths, or --camera N."),
        (("photos", "--camera", "0"), "Give one or more paths, or --camera N."),
        (("photos", "--faces", "some"), "'some' is not one of 'auto', 'all', 'largest', 'off'"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    workspace: Workspace, run_cli: RunCli, arguments: tuple[str, ...], message: str
) -> None:
    done = run_cli("collect", *arguments, cwd=workspace.root)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_missing_camera_is_exit_code_1(workspace: Workspace, run_cli: RunCli) -> None:
    pytest.importorskip("cv2")
    done = run_cli("collect", "--camera", "97", "--faces", "off", cwd=workspace.root)
    assert done.returncode == 1
    assert "Camera 97 cannot be opened" in done.stderr
    assert "fix:" in done.stderr


def test_a_dry_run_says_so_and_keeps_nothing(workspace: Workspace, tmp_path: Path, run_cli: RunCli) -> None:
    save(tmp_path / "in" / "a.png")
    done = run_cli("collect", str(tmp_path / "in"), "--faces", "off", "--dry-run", cwd=workspace.root)
    assert done.returncode == 0
    assert "Dry run: nothing kept" in done.stderr
    assert "would be added" in done.stderr
    assert stored(workspace) == []


def test_consent_and_group_are_kept(workspace: Workspace, tmp_path: Path, run_cli: RunCli) -> None:
    save(tmp_path / "in" / "subject_07" / "a.png")
    run_cli(
        "collect", str(tmp_path / "in"), "--faces", "off", "--consent", "form B", "--group-by", r"subject_(\d+)",
        cwd=workspace.root, check=True,
    )  # fmt: skip
    (sample,) = stored(workspace)
    assert (sample.consent, sample.group) == ("form B", "07")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../photso", "error: There is no ../photso."),
        ("../photso/*.jpg", "error: Nothing matches ../photso/*.jpg."),
    ],
)
def test_a_missing_path_is_one_error_and_leaves_no_log(
    workspace: Workspace, run_cli: RunCli, path: str, message: str
) -> None:
    done = run_cli("collect", path, cwd=workspace.root)
    fix = f"  fix: Check the spelling; relative paths start at {workspace.root}."
    assert (done.returncode, done.stderr.splitlines()) == (1, [message, fix])
    assert not workspace.logs.exists() or not list(workspace.logs.iterdir())


def test_one_missing_path_among_others_does_not_stop_them(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    save(tmp_path / "in" / "a.png")
    done = run_cli("collect", str(tmp_path / "in"), "nowhere", "--faces", "off", cwd=workspace.root)
    assert (done.returncode, len(stored(workspace))) == (1, 1)
    assert "not found  nowhere" in done.stderr


@pytest.mark.slow
def test_samples_that_no_split_can_divide_are_pointed_out(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    for i in range(4):
        save(tmp_path / "in" / f"person_{i % 2}" / f"{i}.png", i)
    wide = {"COLUMNS": "200"}
    command = ["collect", str(tmp_path / "in"), "--faces", "off", "--group-by"]
    for more, hint in ((["--dry-run"], "To divide them: another --group-by, folder or a REGEX"),
                       ([], "To divide them: collect other groups too, or begin a new workspace")):  # fmt: skip
        told = run_cli(*command, "(person)", *more, cwd=workspace.root, env=wide, check=True).stderr
        assert "! All 4 new samples are in one group, person; a group is never split." in told
        assert hint in told
    other = Workspace.init(tmp_path / "other", classes=("happiness", "sadness"))
    told = run_cli(*command, "folder", cwd=other.root, env=wide, check=True).stderr
    assert "in one group" not in told


@pytest.mark.slow
def test_with_a_model_the_next_step_is_a_suggestion_and_a_large_pool_is_not_sent_at_once(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    command = ["collect", str(tmp_path / "in"), "--faces", "off"]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=f"{i:064x}", media=f"media/{i}.png") for i in range(500)])
    save(tmp_path / "in" / "a.png", 1)
    assert "next: emolab label push -n 100\n" in run_cli(*command, cwd=workspace.root, check=True).stderr
    model = Model(
        id="m" * 64, path="m", classes=workspace.config.project.classes, config={}, snapshot="s", metrics={},
        created_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, model)
        models.set_alias(tx, "champion", model.id)
    save(tmp_path / "in" / "b.png", 2)
    told = run_cli(*command, "--set", "suggest.n=40", cwd=workspace.root, check=True).stderr
    assert "next: emolab suggest -n 40 --push\n" in told


@pytest.mark.slow
def test_ctrl_c_ends_between_two_inputs_and_the_next_run_goes_on(workspace: Workspace, tmp_path: Path) -> None:
    for i in range(1500):
        save(tmp_path / "in" / f"{i:04}.png", i, (64, 64))
    command = [sys.executable, "-m", "emolab", "collect", str(tmp_path / "in"), "--faces", "off", "--json"]
    process = subprocess.Popen(command, cwd=workspace.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(workspace.media.rglob("*.png")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    first = json.loads(output)
    assert first["stopped"] is True
    assert 0 < first["added"] < 1500
    assert len(stored(workspace)) == first["added"]
    again = subprocess.run(command, cwd=workspace.root, capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["added"] == 1500 - first["added"]


@pytest.mark.slow
@pytest.mark.shared
def test_faces_are_cut_out_with_box_landmarks_and_parent(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli, portrait: Image.Image
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    portrait.save(folder / "astronaut.jpg", quality=92)
    Image.new("RGB", (300, 200), "gray").save(folder / "empty_room.png")
    portrait.crop((150, 30, 300, 180)).resize((48, 48)).save(folder / "tight.png")
    done = run_cli("collect", str(folder), "--json", cwd=workspace.root, check=True)
    counts = json.loads(done.stdout)
    assert (counts["added"], counts["faces"], counts["without_face"]) == (3, 1, 1)
    face, room, tight = stored(workspace)
    assert face.box is not None
    assert face.landmarks is not None
    assert face.parent is not None
    assert face.quality["face"] > 0.9
    x, y, w, h = face.box
    assert all(x <= px <= x + w and y <= py <= y + h for px, py in face.landmarks)
    assert (face.width, face.height) == (round(h * 1.5), round(h * 1.5))
    assert room.quality["faces"] == 0
    assert (tight.box, tight.width) == (None, 48)
    assert "faces" not in tight.quality


@pytest.mark.slow
@pytest.mark.shared
def test_the_largest_face_or_all_or_none(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli, portrait: Image.Image
) -> None:
    pair = Image.new("RGB", (1024, 512), "gray")
    pair.paste(portrait, (0, 0))
    pair.paste(portrait.resize((300, 300)), (600, 100))
    pair.save(tmp_path / "pair.png")
    for mode, added in (("largest", 1), ("all", 1), ("off", 1)):
        done = run_cli("collect", str(tmp_path / "pair.png"), "--faces", mode, "--json",
                       cwd=workspace.root, check=True)  # fmt: skip
        assert json.loads(done.stdout)["added"] == added, mode
    large, small, whole = stored(workspace)
    assert large.parent == small.parent == whole.id
    assert (large.width or 0) > (small.width or 0)
    assert whole.box is None


@pytest.mark.shared
def test_faces_too_small_to_read_are_noted_and_the_image_kept(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli, portrait: Image.Image
) -> None:
    portrait.save(tmp_path / "a.jpg")
    done = run_cli("collect", str(tmp_path / "a.jpg"), "--set", "collect.min_face=200",
                   cwd=workspace.root)  # fmt: skip
    assert done.returncode == 0
    assert "1 smaller than 200 px left out (collect.min_face)" in done.stderr
    (sample,) = stored(workspace)
    assert sample.quality["faces"] == 0


@pytest.mark.slow
@pytest.mark.shared
def test_real_face_crops_pass_through_untouched(workspace: Workspace, shared_data: Path, run_cli: RunCli) -> None:
    done = run_cli("collect", str(shared_data / "ferplus_valid.zip"), "--json", cwd=workspace.root)
    counts = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (counts["items"], counts["added"], counts["existing"]) == (3579, 3553, 26)  # 26 are pixel-identical copies
    assert counts["ignored"] == {".csv": 1}
    with zipfile.ZipFile(shared_data / "ferplus_valid.zip") as archive:
        sample = stored(workspace)[0]
        member = str(sample.name).split(".zip/")[1]
        with archive.open(member) as stream, Image.open(stream) as there:
            kept = Image.open(workspace.locate(sample.media))
            assert kept.tobytes() == there.tobytes()


@pytest.mark.slow
def test_a_folder_of_40_000_files(workspace: Workspace, tmp_path: Path, run_apart: RunCli) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "000000.png")
    for i in range(1, 40_000):
        os.link(folder / f"{(i - 1) // 10_000 * 10_000:06}.png", folder / f"{i:06}.png") if i % 10_000 else save(
            folder / f"{i:06}.png", i
        )
    command = ["collect", str(folder), "--faces", "off", "--json"]
    counts = json.loads(run_apart(*command, cwd=workspace.root, check=True, timeout=600).stdout)
    assert (counts["items"], counts["added"], counts["existing"]) == (40_000, 4, 39_996)
    again = json.loads(run_apart(*command, cwd=workspace.root, check=True, timeout=300).stdout)
    assert (again["skipped"], again["added"]) == (40_000, 0)


@pytest.mark.slow
def test_faces_are_found_without_internet(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli, portrait: Image.Image
) -> None:
    portrait.save(tmp_path / "her.png")
    offline = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "https_proxy": "http://127.0.0.1:9"}
    done = run_cli("collect", str(tmp_path / "her.png"), "--json", cwd=workspace.root, env=offline, check=True)
    assert json.loads(done.stdout)["faces"] == 1
    assert not (tmp_path / "cache").exists()
