"""A wall of samples: its pages, how many there are, the lists it can show, and their thumbnails."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.catalog import models, samples
from emolab.errors import DataError, UnknownName
from emolab.loop.label.advise import FILE, Advice, _round
from emolab.loop.label.aggregate import aggregate
from emolab.loop.look import wall as step
from emolab.loop.look.sample_lists import DOUBTFUL
from emolab.loop.look.thumbnails import Thumbnails
from emolab.loop.look.wall import Wall, WallRequest, wall, wall_choices, wall_count
from emolab.records import Model, Sample
from emolab.workspace import Workspace
from tests.support.voting import vote

H, S, N = "happiness", "sadness", "neutral"


def name(number: int) -> str:
    return f"{number:04d}" + "0" * 60


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    """Twelve voted samples, of which two are disputed, and three that nobody has seen."""
    said = {name(i): {"ann": (H, S, N)[i % 3], "bob": (H, S, N)[i % 3]} for i in range(12)}
    said[name(4)]["bob"] = H
    said[name(7)]["bob"] = N
    vote(workspace, said)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=name(i), media="m", source="camera", split="test") for i in (20, 21, 22)])
    aggregate(workspace)
    return workspace


def ids(found: Wall) -> list[int]:
    return [int(row.id[:4]) for row in found.samples]


def total(workspace: Workspace, request: WallRequest) -> int:
    n, after = 0, None
    while True:
        found = wall_count(workspace, request, after=after)
        n, after = n + found.n, found.next
        if after is None:
            return n


def test_pages_follow_each_other(team: Workspace) -> None:
    first = wall(team, WallRequest(), n=10)
    second = wall(team, WallRequest(), after=first.next, n=10)
    assert ids(first) + ids(second) == [22, 21, 20, *range(11, -1, -1)]
    assert second.next is None


def test_the_disputed_ones_come_first(team: Workspace) -> None:
    assert ids(wall(team, WallRequest(order="disagreement")))[:2] == [4, 7]
    assert sorted(ids(wall(team, WallRequest(agreement=0.5)))) == [4, 7]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (WallRequest(source="camera"), 3),
        (WallRequest(split="test"), 3),
        (WallRequest(split="none"), 12),
        (WallRequest(source="camera", split="test"), 3),
        (WallRequest(source="camera", order="disagreement"), 0),
        (WallRequest(order="disagreement"), 12),
        (WallRequest(order="disagreement", agreement=0.5), 2),
        (WallRequest(answered=False), 3),
        (WallRequest(label="none"), 3),
        (WallRequest(label="joy"), 0),
        (WallRequest(source="nowhere"), 0),
        (WallRequest(), 15),
    ],
    ids=str,
)
def test_the_count_is_that_of_all_pages(team: Workspace, request_: WallRequest, expected: int) -> None:
    assert total(team, request_) == expected == len(wall(team, request_, n=500).samples)


@pytest.mark.parametrize("label", [H, S, N])
def test_a_class_is_counted_as_its_pages_are(team: Workspace, label: str) -> None:
    there = len(wall(team, WallRequest(label=label), n=500).samples)
    assert there > 1 and total(team, WallRequest(label=label)) == wall_choices(team).classes[label] == there


def test_choices_say_how_many_there_are_of_each(team: Workspace) -> None:
    found = wall_choices(team)
    assert found.samples == 15 and found.unlabelled == 3
    assert sum(found.classes.values()) == 12 and list(found.classes) == [H, S, N]
    assert (found.sources, found.splits) == ({"camera": 3, "collected": 12}, {"none": 12, "test": 3})
    assert found.lists[DOUBTFUL] is None


def test_an_empty_workspace_has_an_empty_wall(workspace: Workspace) -> None:
    assert wall(workspace, WallRequest()).to_dict()["samples"] == []
    assert wall_choices(workspace).classes == {H: 0, S: 0, N: 0}


@pytest.mark.parametrize("after", ["x", "@1", "1", "1:", "1:x", "'; drop table samples; --"])
def test_a_page_that_nobody_told_of_is_refused(team: Workspace, after: str) -> None:
    with pytest.raises(DataError, match="No page begins behind"):
        wall(team, WallRequest(), after=after)


def test_an_unknown_list_is_refused_with_those_there_are(team: Workspace) -> None:
    with pytest.raises(UnknownName, match='Unknown list of samples "doubtfull"'):
        wall(team, WallRequest(of="doubtfull"))


def champion(workspace: Workspace) -> str:
    made = Model(
        id="c" * 64, path="models/c", classes=(H, S, N), config={"backbone": "x"}, snapshot="s" * 64,
        metrics={"valid": {"n": 0}, "n_train": 0}, created_at="2026-01-01T00:00:00.000Z",
    )  # fmt: skip
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, made)
        models.set_alias(tx, "champion", made.id)
    return made.id


def doubt(workspace: Workspace, model: str, doubtful: list[int]) -> None:
    """Keep an advice that doubts the labels of these samples, made from what there is now."""
    from emolab.catalog import labels, tallies

    with workspace.catalog() as catalog, catalog.connect() as conn:
        head, votes = labels.head(conn), tallies.count(conn)["people"]
    assert head is not None
    told = [{"sample": name(i), "label": H, "instead": S, "wrong": 0.9 - i / 100} for i in doubtful]
    made = Advice(
        sentence="Look.", next="emolab inspect", judge="valid", finding={"relabelling": {}}, doubtful=told,
        model=model, labels=head.version, votes=votes, round=_round(workspace),
    )  # fmt: skip
    folder = workspace.predictions_folder / model
    folder.mkdir(parents=True)
    (folder / FILE).write_text(json.dumps(made.__dict__))


def test_suspected_wrong_labels_come_worst_first_with_what_is_said_about_them(team: Workspace) -> None:
    doubt(team, champion(team), [9, 3, 6])
    first = wall(team, WallRequest(of=DOUBTFUL), n=2)
    assert ids(first) == [9, 3] and total(team, WallRequest(of=DOUBTFUL)) == 3
    assert first.notes[name(9)] == "happiness is wrong with a chance of 81%; look at sadness"
    assert ids(wall(team, WallRequest(of=DOUBTFUL), after=first.next, n=2)) == [6]
    assert wall_choices(team).lists == {DOUBTFUL: 3}


def test_doubts_from_before_the_last_votes_are_not_shown(team: Workspace) -> None:
    doubt(team, champion(team), [9])
    vote(team, {name(30): {"ann": H}})
    found = wall(team, WallRequest(of=DOUBTFUL))
    assert found.samples == [] and found.lacking is not None and "suggest --advise" in str(found.hint)


def test_a_long_list_is_read_in_parts(team: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "_TOGETHER", 1)
    monkeypatch.setattr(step, "_READINGS", 1)
    doubt(team, champion(team), list(range(12)))
    only = WallRequest(of=DOUBTFUL, label=N)
    found: list[int] = []
    after, pages = None, 0
    while pages == 0 or after is not None:
        page = wall(team, only, after=after, n=1)
        found, after, pages = found + ids(page), page.next, pages + 1
        assert len(page.samples) <= 1
    assert total(team, only) == len(found)
    assert found == [i for i in range(12) if i in {int(row.id[:4]) for row in wall(team, WallRequest(label=N)).samples}]
    assert pages > len(found) > 1, "a part of the list without any of them gives a page that only leads on"


def stored(workspace: Workspace, number: int, image: Image.Image, **options: object) -> str:
    media = workspace.media / f"{number}.jpg"
    media.parent.mkdir(parents=True, exist_ok=True)
    image.save(media, **options)  # type: ignore[arg-type]
    return str(media.relative_to(workspace.root))


def test_a_thumbnail_is_small_and_holds_nothing_but_pixels(workspace: Workspace) -> None:
    exif = Image.Exif()
    exif[0x010E] = "who this is"
    media = stored(workspace, 1, Image.new("RGB", (640, 320), "red"), exif=exif, comment=b"secret")
    made = Thumbnails(workspace).get(name(1), media)
    opened = Image.open(io.BytesIO(made))
    assert opened.size == (128, 64) and opened.format == "JPEG"
    assert not opened.getexif() and b"secret" not in made and b"Exif" not in made


def test_a_thumbnail_is_made_once_and_made_again_where_it_is_cut_off(workspace: Workspace) -> None:
    media = stored(workspace, 1, Image.new("L", (48, 48), 90))
    thumbnails = Thumbnails(workspace)
    made = thumbnails.get(name(1), media)
    workspace.locate(media).unlink()
    assert thumbnails.get(name(1), media) == made
    kept = next((workspace.cache / "thumbnails").rglob("*.jpg"))
    kept.write_bytes(made[:-20])
    with pytest.raises(DataError, match="cannot be shown: no such file"):
        thumbnails.get(name(1), media)
    thumbnails.forget([name(1), name(2)])
    assert not kept.exists()


def test_a_thumbnail_of_a_sentence_is_kept_whole_and_forgotten_with_what_earlier_versions_kept(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "words", classes=("joy", "anger"), modality="text")
    media = workspace.media / "1.txt"
    media.parent.mkdir(parents=True, exist_ok=True)
    media.write_text("It’s so nice", encoding="utf-8")
    thumbnails = Thumbnails(workspace)
    place = str(media.relative_to(workspace.root))
    made = thumbnails.get(name(1), place)
    assert thumbnails.media_type == "image/svg+xml" and "It’s so nice".encode() in made
    kept = next((workspace.cache / "thumbnails").rglob("*.svg"))
    kept.write_bytes(made[:-3])
    assert thumbnails.get(name(1), place) == kept.read_bytes() == made
    earlier = kept.with_suffix(".jpg")
    earlier.write_bytes(b"\xff\xd8\xff\xd9")
    thumbnails.forget([name(1)])
    assert not kept.exists() and not earlier.exists()


def test_only_so_many_thumbnails_are_kept(workspace: Workspace) -> None:
    media = stored(workspace, 1, Image.new("L", (48, 48), 90))
    thumbnails = Thumbnails(workspace, most=256 * 4)
    for number in range(50):
        thumbnails.get(name(number), media)
        assert len(list((workspace.cache / "thumbnails" / "00").iterdir())) <= 4
    assert (workspace.cache / "thumbnails" / "00" / f"{name(49)}.jpg").exists(), "the newest one stays"


def test_what_is_no_picture_says_so(workspace: Workspace) -> None:
    path = Path(workspace.media / "x.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.random.default_rng(0).bytes(200))
    with pytest.raises(DataError, match=f"The picture of sample {name(3)[:12]} cannot be shown"):
        Thumbnails(workspace).get(name(3), str(path.relative_to(workspace.root)))
