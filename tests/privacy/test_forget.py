"""``emolab forget``: nothing of the forgotten is left in any byte below the workspace, and nothing of others goes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

import emolab
from emolab.catalog import labels, samples, settings, votes
from emolab.catalog.privacy import renamed_annotators
from emolab.catalog.privacy.tombstones import Tombstones, unfinished
from emolab.catalog.storage import schema
from emolab.errors import DataError, EmolabError, UnknownName
from emolab.inference import prediction_store
from emolab.labeling.answers import pseudonyms
from emolab.loop.label.voting.studio_users import address_of
from emolab.loop.operate.forgetting import forget as step
from emolab.loop.operate.forgetting import forget_journal, search, traces
from emolab.loop.operate.forgetting.holder import every_file
from emolab.loop.operate.forgetting.registry import holder_of, holders
from emolab.progress import SILENT
from emolab.training.inputs import row_store
from emolab.training.learned import fingerprints, learned_images
from emolab.workspace import Workspace
from tests.support.calling import emolab as run
from tests.support.held_people import CLASSES, EACH, PEOPLE, Needle, crowd, files, needles, people, traces_left

WHO, OTHERS = PEOPLE[0], PEOPLE[1:]


@pytest.fixture(scope="module", params=["image", "audio"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three people in every place; tests take a copy."""
    if request.param == "audio":
        pytest.importorskip("soundfile")
    return crowd(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def held(made: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(made.root, tmp_path / "held")
    return Workspace.open(tmp_path / "held")


#: What goes whole: states to go on with, a page with pictures, chunks that have other names then.
GONE = tuple(
    f".emolab/{name}" for name in ("runs/", "pretrained/", "monitor/page-1", "monitor/b/", "snapshots/data/chunks")
)


def theirs(workspace: Workspace, who: str = WHO) -> list[str]:
    return [sample for sample, group in people(workspace).items() if group == who]


def test_no_byte_of_a_person_is_left_and_others_keep_all(held: Workspace) -> None:
    wanted, kept = needles(held, WHO), needles(held, OTHERS[0])
    before, others = traces_left(held.root, wanted), traces_left(held.root, kept)
    kinds = {
        (kind, *Path(name).parts[1:3][: len(Path(name).parts) - 2]) for name, found in before.items() for kind in found
    }
    assert len(kinds) >= 20, sorted(kinds)
    done = emolab.forget(held, subjects=WHO)
    assert traces_left(held.root, wanted) == {}
    after = traces_left(held.root, kept)
    for name, found in others.items():
        if not name.startswith(GONE):
            dropped = found - after.get(name, set()) - {"file, base64"}  # a page loses all its pictures
            assert not dropped, (name, dropped)
    assert done.samples == EACH and done.champion == "a" * 64
    assert done.certificate is not None and not unfinished(held)


def test_what_is_left_works(held: Workspace) -> None:
    ids, keep = theirs(held), [each for each in people(held) if each not in theirs(held)]
    said = prediction_store.read(held.predictions_folder / ("a" * 64))
    rows = {each: said.embeddings[n].tolist() for n, each in enumerate(said.samples)}
    emolab.forget(held, ids=[each[:20] for each in ids])
    with held.catalog() as catalog:
        assert catalog.problems() == catalog.miscounts() == []
        with catalog.connect() as conn:
            assert samples.count(conn) == len(keep)
            summary = labels.summary(conn)
            assert summary is not None and summary["n"] == len(keep)
    left = prediction_store.read(held.predictions_folder / ("a" * 64))
    assert list(left.samples) == keep
    assert all(left.embeddings[n].tolist() == rows[each] for n, each in enumerate(keep))
    array, places = row_store.fill(
        held.cache / "embeddings-test" / "features.f16", keep, pytest.fail, dtype=np.int64, shape=(4,)
    )
    assert array[places][:, 0].tolist() == [int(each[:3], 16) for each in keep]
    with pytest.raises(DataError, match="There is nothing to take back"):
        emolab.undo(held)  # by keys that may be given again
    emolab.aggregate(held)
    assert emolab.snapshot_create(held, name="after").rows["samples"] == len(keep)
    emolab.backup(held, held.root.parent / "held.backup")


def test_the_filter_of_a_model_is_made_again_of_the_others(held: Workspace) -> None:
    ids = [*people(held)]
    with held.catalog() as catalog, catalog.connect() as conn:
        paths = {each.id: each.media for each in samples.iterate(conn)}
    prints = fingerprints.fill(held.cache, ids, lambda each: held.root / paths[each])
    record = held.models / ("a" * 16) / learned_images.FILE
    trained = np.array([n % EACH != EACH - 1 for n in range(len(ids))])
    assert learned_images.read(record, of="a").has(prints).tolist() == trained.tolist()
    emolab.forget(held, subjects=WHO)
    after = learned_images.read(record, of="a")
    gone = np.array([each not in people(held) for each in ids])
    assert after.has(prints).tolist() == (trained & ~gone).tolist()
    assert (after.n, after.unknown) == (int((trained & ~gone).sum()), ())


def test_each_holder_finds_erases_and_verifies(held: Workspace) -> None:
    scene = search.scene_of(held, search.Wish(subjects=(WHO,)), SILENT)
    found = {holder.name: holder.find(scene).n for holder in holders()}
    empty = {name for name, n in found.items() if not n}
    assert empty <= {"served log", "labelling server", "FiftyOne", "annotators"}
    for holder in holders():
        if found[holder.name]:
            assert holder.verify(scene), holder.name
        holder.erase(scene)
        assert holder.verify(scene) == [], holder.name
    for holder in holders():
        again = holder.erase(scene)
        assert holder.find(scene).n == 0 and holder.verify(scene) == [], (holder.name, again)


def test_every_kind_of_file_has_a_holder(held: Workspace) -> None:
    names = [file.relative_to(held.state).as_posix() for file in every_file(held)]
    assert [name for name in names if holder_of(name) is None] == []
    assert len({name.partition("/")[0] for name in names}) >= 12


#: Where the source says that something lies below ``.emolab``: a new place needs a holder, and a line here.
KNOWN = {
    '"cycles"': "cycles/1/journal.jsonl", '"runs"': "runs/1/plan.json", "FOLDER": "serving/app-1.jsonl",
    "NAME": "pretrained/run-1/state.json", '"locks"': "locks/train.pid", '".gitignore"': ".gitignore",
    '"pretrained"': "pretrained/run-1/state.json", '"catalog.db"': "catalog.db-wal", '"media"': "media/ab/abc.png",
    '"models"': "models/a/report.html", '"predictions"': "predictions/a/00000.ids.txt", '"logs"': "logs/serve.log",
    '"snapshots"': "snapshots/0123456789abcdef/ids.npy", '"cache"': "cache/looks.db", "STATE": "catalog.db",
    '"monitor"': "monitor/alerts.json", '"served"': "served/a/about.json", '"tunings"': "tunings/0123/journal.jsonl",
    '"studio"': "studio/data/label_studio.sqlite3", '"fiftyone"': "fiftyone/db/a.wt",
}  # fmt: skip


def test_a_new_folder_below_the_state_needs_a_holder() -> None:
    source = Path(emolab.__file__).parent
    found = {
        match[1] for file in source.rglob("*.py")
        for match in re.finditer(r"(?:workspace|self)\.state / (\"[^\"]+\"|\w+)", file.read_text(encoding="utf-8"))
    }  # fmt: skip
    assert found - KNOWN.keys() - {"name"} == set()
    assert [name for name in KNOWN.values() if name and holder_of(name) is None] == []


def test_a_search_for_settings_goes_whole(held: Workspace) -> None:
    state = held.state / "tunings" / "0123" / "run" / "state.safetensors"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"weights")
    emolab.forget(held, subjects=WHO)
    assert not (held.state / "tunings" / "0123").exists()


@pytest.mark.slow
@pytest.mark.parametrize("stop", range(len(holders())))
def test_killed_at_any_holder_the_next_call_ends_it(held: Workspace, stop: int) -> None:
    wanted, holder = needles(held, WHO), holders()[stop]
    code = (
        "import os, sys\nfrom dataclasses import replace\nfrom emolab.loop.operate.forgetting import registry\n"
        "import emolab\nmade = list(registry.holders())\n"
        f"one = made[{stop}]\n"
        "def half(scene):\n    one.erase(scene)\n    os._exit(9)\n"
        f"made[{stop}] = replace(one, erase=half)\nregistry.holders = lambda: tuple(made)\n"
        f"emolab.forget(emolab.open({str(held.root)!r}), subjects={WHO!r})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert killed.returncode == 9, killed.stderr
    assert unfinished(held) and holder.name not in (forget_journal.read(held) or pytest.fail()).done
    said = run("-w", held.root, "status")
    assert "A forgetting is unfinished here. To go on with it: emolab forget" in said.err
    done = run("-w", held.root, "forget")
    assert done.code == 0 and "which an earlier call had begun" in done.err
    assert traces_left(held.root, wanted) == {} and not unfinished(held)


def test_a_forgotten_file_that_is_collected_again_is_left_out_and_counted(held: Workspace, made: Workspace) -> None:
    emolab.forget(held, subjects=WHO)
    again = run("-w", held.root, "collect", "--json", "--set", "collect.faces=off", made.root.parent / "photos")
    told = json.loads(again.out)
    assert (told["added"], told["notes"]["forgotten"]) == (0, EACH)
    assert not any(WHO in file.read_text(encoding="utf-8") for file in held.logs.glob("collect*"))
    back = emolab.collect(
        held.with_settings({"privacy.take_back": True, "collect.faces": "off"}), [made.root.parent / "photos"]
    )
    assert back.to_dict()["added"] == EACH
    assert emolab.collect(held, [made.root.parent / "photos"]).to_dict()["notes"] == {}


def test_the_same_picture_in_another_file_is_left_out(tmp_path: Path) -> None:
    from PIL import Image

    workspace = crowd(tmp_path)
    emolab.forget(workspace, subjects=WHO)
    other = tmp_path / "again" / "other.bmp"
    other.parent.mkdir()
    Image.open(tmp_path / "photos" / WHO / f"{WHO}-shot0.png").save(other)
    Image.open(tmp_path / "photos" / WHO / f"{WHO}-shot1.png").resize((96, 96)).save(other.with_suffix(".png"))
    done = emolab.collect(workspace, [other.parent], faces="off").to_dict()
    assert (done["added"], done["notes"]) == (0, {"forgotten": 2})


def test_a_backup_cannot_bring_it_back(held: Workspace, tmp_path: Path) -> None:
    wanted = needles(held, WHO)
    emolab.backup(held, tmp_path / "old.backup")
    done = emolab.forget(held, subjects=WHO)
    assert done.backups == [str(tmp_path / "old.backup")]
    back = emolab.restore(tmp_path / "old.backup", held.root, overwrite=True)
    assert back.forgotten == EACH and back.before is not None
    again = Workspace.open(held.root)
    assert traces_left(again.state, wanted) == {} and len(people(again)) == EACH * len(OTHERS)
    assert len(Tombstones(again)) >= EACH


def test_snapshots_and_models_with_the_forgotten_are_refused(held: Workspace) -> None:
    emolab.forget(held, subjects=WHO)
    with pytest.raises(DataError, match="Samples of snapshot before were forgotten, so it cannot be brought back"):
        emolab.snapshot_restore(held, "before")
    assert "(contains forgotten)" in run("-w", held.root, "snapshot", "list").err
    assert emolab.models(held).flags == {"a" * 64: frozenset({"contains-forgotten"})}
    with pytest.raises(DataError, match="learned from samples that were forgotten since") as refused:
        emolab.promote(held, "a" * 64, alias="next")
    assert refused.value.hint == "Train one without them: emolab train"
    foreseen = emolab.cycle(held, dry_run=True)
    assert foreseen.reason.startswith("the champion learned from samples that were forgotten since")
    assert emolab.why(held, "a" * 64).facts["data"]["forgotten"] == EACH


def test_the_certificate_names_nobody(held: Workspace) -> None:
    ids = theirs(held)
    done = emolab.forget(held, subjects=WHO)
    assert done.certificate is not None
    text = done.certificate.read_text(encoding="utf-8")
    told = json.loads(text)
    assert not any(each in text for each in (WHO, *ids))
    assert told["samples"] == EACH and len(told["tombstones"]) == EACH
    assert set(told["tombstones"]) == {Tombstones(held).of_id(each) for each in ids}
    assert set(told["removed"]) == {holder.name for holder in holders()}
    assert told["champion_is_one_of_them"] and told["models_that_learned_from_it"] == ["a" * 64]


def test_a_dry_run_tells_all_and_changes_nothing(held: Workspace) -> None:
    before = {file: file.read_bytes() for file in every_file(held) if "locks" not in file.parts}
    said = run("-w", held.root, "forget", "--subject", WHO, "--dry-run")
    assert said.code == 0 and "4 samples would be forgotten" in said.err
    after = {file: file.read_bytes() for file in every_file(held) if "locks" not in file.parts}
    assert {file for file in before if after.get(file) != before[file]} == set()
    refused = run("-w", held.root, "forget", "--subject", WHO)
    assert refused.code == 1 and "nothing was changed" in refused.err and "--yes" in refused.err
    assert len(people(held)) == EACH * len(PEOPLE) and not unfinished(held)


def test_what_cannot_be_erased_stops_it_and_is_named(held: Workspace) -> None:
    strange = held.state / "new" / "thing.bin"
    strange.parent.mkdir()
    strange.write_bytes(b"\0" + bytes.fromhex(theirs(held)[0]))
    with pytest.raises(EmolabError, match=r"still there. files of no known kind: .emolab/new/thing.bin"):
        emolab.forget(held, subjects=WHO)
    assert unfinished(held)
    strange.unlink()
    assert emolab.forget(held).continued and not unfinished(held)


def test_names_that_others_have_too_are_left_alone(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "w", classes=("happiness", "sadness"))
    folder = files(tmp_path / "photos", "image")
    for who in PEOPLE[:2]:
        for n, file in enumerate(sorted((folder / who).iterdir())):
            file.rename(file.with_name(f"portrait-{n}.png"))
    emolab.collect(workspace, [folder], faces="off", group_by=r"/([a-z]+)/portrait")
    log = workspace.logs / "notes.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("portrait-1.png seen\nannabella seen\n", encoding="utf-8")
    emolab.forget(workspace, subjects=WHO)
    assert log.read_text(encoding="utf-8").split("\n") == ["portrait-1.png seen", " " * len("annabella seen"), ""]


def test_of_an_annotator_the_person_goes_and_the_votes_stay(held: Workspace) -> None:
    emolab.nickname(held, "ann-1", "Mirabelle Quince")
    emolab.add_serve_person(held, "Mirabelle", role="annotator")
    (held.state / "serving" / "app-2026-01-02.jsonl").write_text('{"by": "Mirabelle", "at": "now"}\n', encoding="utf-8")
    with held.catalog() as catalog, catalog.begin() as tx:
        secret, table = settings.secret(tx), schema.annotators
        pseudonym = pseudonyms.pseudonym(secret, address_of("Mirabelle", secret))
        tx.execute(update(table).where(table.c.name == "ann-1").values(name=pseudonym))
        renamed_annotators.rename(tx, {pseudonym: pseudonym})  # the hashes of what was said follow
        tx.execute(update(table).where(table.c.name == pseudonym).values(nickname="Mirabelle Quince"))
        before = {vote.origin: vote for vote in votes.iterate(tx) if vote.annotator == pseudonym}
    emolab.snapshot_create(held, name="again")
    wanted = [Needle("name", text.encode()) for text in ("Mirabelle", "Quince", pseudonym)]
    assert len(traces_left(held.state, wanted)) >= 4
    foreseen = emolab.forget(held, annotators="mirabelle quince", dry_run=True)
    told = f"1 annotator, whose {len(before)} votes stay without the person, 0 accounts, 1 link"
    assert foreseen.holders["annotators"] == (2, told)
    done = emolab.forget(held, annotators="Mirabelle")
    assert traces_left(held.state, wanted) == {} and (done.annotators, done.samples) == (1, 0)
    with held.catalog() as catalog, catalog.connect() as conn:
        after = {vote.origin: vote for vote in votes.iterate(conn) if vote.annotator.startswith("forgotten-")}
        assert {origin: vote.label for origin, vote in after.items()} == {o: v.label for o, v in before.items()}
    with held.catalog() as catalog, catalog.begin() as tx:
        assert votes.append(tx, after.values()) == 0  # read again, they are the same
    assert emolab.snapshot_restore(held, "again", dry_run=True).votes_withdrawn == 0
    assert len(emolab.serve_people(held)) == 0 and emolab.models(held).flags == {}
    with pytest.raises(UnknownName, match='Unknown annotator "Mirabelle"'):
        emolab.forget(held, annotators="Mirabelle")
    with pytest.raises(DataError, match="Annotators are forgotten in a call of their own"):
        emolab.forget(held, annotators="ann-0", subjects=WHO)


def test_votes_in_a_file_bring_nobody_back(held: Workspace, tmp_path: Path) -> None:
    emolab.export_votes(held, tmp_path / "old.csv")
    emolab.forget(held, subjects=WHO)
    emolab.forget(held, annotators="ann-0")
    with held.catalog() as catalog, catalog.connect() as conn:
        before = {vote.origin: vote for vote in votes.iterate(conn)}
    again = run("-w", held.root, "label", "import", tmp_path / "old.csv", "--replace")
    n = sum(vote.annotator == "ann-1" for vote in before.values())
    assert again.code == 0
    told = " ".join(again.err.split())
    assert f"0 votes added ({n} known, {EACH * len(PEOPLE) - n} of forgotten samples or annotators left out)" in told
    with held.catalog() as catalog, catalog.connect() as conn:
        assert {vote.origin: vote for vote in votes.iterate(conn)} == before
    needed = [Needle("name", text) for text in (b"ann-0", WHO.encode())]
    assert traces_left(held.state, needed) == {}


def test_a_backup_does_not_bring_an_annotators_name_back(held: Workspace, tmp_path: Path) -> None:
    emolab.nickname(held, "ann-1", "Mirabelle Quince")
    emolab.backup(held, tmp_path / "old.backup")
    emolab.forget(held, annotators="ann-1")
    emolab.restore(tmp_path / "old.backup", held.root, overwrite=True)
    assert traces_left(held.state, [Needle("name", text) for text in (b"Mirabelle", b"ann-1")]) == {}


def test_traces_are_found_wherever_a_plain_search_finds_them() -> None:
    rng = np.random.default_rng(0)
    ids = [rng.bytes(32).hex() for _ in range(40)]
    texts = ("annabella", "ann shot-1.png", "photos/ann/é.png", "Ann & Bob")
    wanted = traces.Traces(ids=tuple(ids), names=(*texts, "ann"), texts=texts)
    raw = [re.escape(form) for each in ids for form in (each.encode(), bytes.fromhex(each))]
    written = [*texts, "Ann &amp; Bob", "Ann%20%26%20Bob", "photos/ann/%C3%A9.png", "photos\\/ann\\/é.png"]
    words = [
        rb"(?<![\w.-])" + re.escape(text.encode()) + rb"(?![\w-])" for text in [*written, "photos/ann/\\u00e9.png"]
    ]
    plain = re.compile(b"|".join([*raw, *words, b'"ann"']))
    cases = [rng.bytes(n) for n in (0, 1, 2, 3, 400, 5000)]
    for form in [ids[3].encode(), bytes.fromhex(ids[4]), bytes.fromhex(ids[4])[:31], ids[5].upper().encode(),
                 *(text.encode() for text in written), b'"ann"', b"ann", b"photos%2Fann"]:  # fmt: skip
        for before in (b"", b" ", b"x", b".", b"-", b"/", b'"', b"\xff"):
            cases += [before + form + after for after in (b"", b" ", b"x", b".", b"-", b"/", b'"', b"\x00")]
    expected = [plain.search(case) is not None for case in cases]
    assert [wanted.inside(case) for case in cases] == expected
    assert 100 < sum(expected) < len(cases) - 100


@pytest.mark.parametrize("name", ["neutral", "train", "champion", "07", "ann"])
def test_a_name_that_means_something_else_too_breaks_nothing(tmp_path: Path, name: str) -> None:
    workspace = crowd(tmp_path)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        tx.execute(update(schema.samples).where(schema.samples.c.group == WHO).values(group=name))
    config = (workspace.root / "emolab.toml").read_bytes()
    emolab.forget(workspace, subjects=name)
    assert (workspace.root / "emolab.toml").read_bytes() == config
    assert emolab.models(workspace)[0].aliases == ("champion",)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert labels.current(conn).classes == CLASSES  # type: ignore[union-attr]
        assert {vote.annotator for vote in votes.iterate(conn)} == {"ann-0", "ann-1"}
    emolab.aggregate(workspace)
    assert name not in people(workspace).values()


def test_unknown_samples_and_subjects_are_errors(held: Workspace) -> None:
    with pytest.raises(DataError, match=r'Unknown subject "annabela"\. Did you mean "annabella"\?'):
        emolab.forget(held, subjects="annabela")
    with pytest.raises(DataError, match="There is no sample whose id starts with"):
        emolab.forget(held, ids="zz")
    with pytest.raises(DataError, match="Nothing was named to forget"):
        emolab.forget(held)
    one = theirs(held)[0]
    emolab.forget(held, ids=one)
    with pytest.raises(DataError, match="was forgotten already"):
        emolab.forget(held, ids=one)


def test_a_source_goes_with_its_own_record(
    held: Workspace, made: Workspace, agree: Callable[..., None] = print
) -> None:
    assert step.forget(held, sources="collected", agree=agree).samples == EACH * len(PEOPLE)
    assert people(held) == {}
