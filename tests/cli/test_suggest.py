"""``emolab suggest`` as a person and a script see it, with a model's predictions on disk."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import numpy as np
import pytest

from emolab.catalog import models, samples, votes
from emolab.catalog.campaign import remotes, rounds
from emolab.errors import DataError
from emolab.inference import prediction_store
from emolab.loop.label.suggest import suggest
from emolab.records import Model, Predictions, Sample, Vote
from emolab.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]
IDS = [f"{i:064x}" for i in range(40)]


@pytest.fixture
def pool(workspace: Workspace) -> Workspace:
    """40 samples: 0..4 have votes, 5 is a copy of 4, 6 of 7, 8 belongs to the test split."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=i, media=f"media/{i}.png") for i in IDS])
        votes.append(tx, [Vote(sample_id=i, annotator="ann", label="sadness", origin=f"test:{i}") for i in IDS[:5]])
        samples.set_representatives(tx, {IDS[5]: IDS[4], IDS[6]: IDS[7]})
        samples.set_splits(tx, {IDS[8]: "test"})
    return workspace


@pytest.fixture
def trained(pool: Workspace) -> Workspace:
    """The same with a champion that has looked at every sample."""
    model = Model(
        id="m" * 64,
        path=".emolab/models/m",
        classes=pool.config.project.classes,
        config={},
        snapshot="s",
        metrics={},
        created_at="2026-01-01T00:00:00Z",
    )
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([1.0, 1.0, 1.0], len(IDS)).astype(np.float32)
    probs[20] = [0.45, 0.44, 0.11]
    probs[21:] = [0.9, 0.05, 0.05]
    probs[9:20] = [0.8, 0.1, 0.1]
    prediction_store.append(
        pool.predictions_folder / model.id,
        Predictions(
            model_id=model.id,
            classes=model.classes,
            samples=IDS,
            probs=probs,
            embeddings=rng.normal(size=(len(IDS), 8)).astype(np.float16),
        ),
    )
    with pool.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, model)
        models.set_alias(tx, "champion", model.id)
    return pool


def test_the_first_round_is_random_and_says_so(pool: Workspace, run_cli: Run) -> None:
    done = run_cli("suggest", "-n", "5", cwd=pool.root, check=True)
    assert "No model has been trained yet, so this round is drawn at random." in done.stderr
    assert "Round 1: 5 of 32 samples, random" in done.stderr
    assert "next: emolab label push --suggestions" in done.stderr


def test_asking_for_a_model_that_is_not_there_is_an_error(pool: Workspace, run_cli: Run) -> None:
    done = run_cli("suggest", "-n", "5", "--strategy", "margin", cwd=pool.root)
    assert done.returncode == 1
    assert 'The strategy "margin" needs a model, and none has been trained yet.' in done.stderr
    assert "--strategy random" in done.stderr


def test_margin_picks_the_torn_one_and_stores_why(trained: Workspace, run_cli: Run) -> None:
    pytest.importorskip("torch", reason="reading a model's predictions of the pool needs torch")
    done = run_cli("suggest", "-n", "3", "--strategy", "margin", "--json", cwd=trained.root, check=True)
    found = json.loads(done.stdout)
    first = found["suggestions"][0]
    assert (first["sample"], first["reason"]) == (IDS[20], "the model wavers between happiness 45% and sadness 44%")
    assert sum(found["composition"].values()) == pytest.approx(3, abs=1e-3)
    with trained.catalog() as catalog, catalog.connect() as conn:
        stored = rounds.suggestions(conn, round_number=1)
        (head,) = rounds.list_all(conn)
    assert [s.sample_id for s in stored] == [s["sample"] for s in found["suggestions"]]
    assert [s.reason for s in stored] == [s["reason"] for s in found["suggestions"]]
    assert (head.strategy, head.model, head.n) == ("margin", "m" * 64, 3)


def test_the_default_says_what_it_decided_on_and_why(trained: Workspace, run_cli: Run) -> None:
    pytest.importorskip("torch", reason="reading a model's predictions of the pool needs torch")
    done = run_cli("suggest", "-n", "4", cwd=trained.root, env={"COLUMNS": "160"}, check=True)
    assert "Round 1: 4 of 32 samples, auto by model" in done.stderr
    assert "Uherding: 0 labelled samples are too few to tell strategies apart." in done.stderr
    with trained.catalog() as catalog, catalog.connect() as conn:
        assert sorted(s.strategy for s in rounds.suggestions(conn)) == ["random", "uherding", "uherding", "uherding"]
        (head,) = rounds.list_all(conn)
    assert head.settings["note"].startswith("uherding: 0 labelled samples")


def test_a_balanced_round_and_a_cap_per_person(trained: Workspace) -> None:
    pytest.importorskip("torch", reason="reading a model's predictions of the pool needs torch")
    made = suggest(trained, n=6, strategy="margin", balance=True)
    assert made.composition is not None and min(made.composition.values()) > 0.6
    with pytest.raises(DataError, match="can be chosen with at most 1 of one group"):
        with trained.catalog() as catalog, catalog.begin() as tx:
            samples.add(tx, [Sample(id=f"{i:064x}", media="m", group="ann") for i in range(100, 104)])
            remotes.want(
                tx,
                remotes.add_project(tx, server="s", project=1, title="team"),
                [remotes.TaskRequest(i, rank, 3) for rank, i in enumerate(IDS[5:])],
            )
        suggest(trained, n=3, strategy="random", per_group=1)


def test_the_time_of_the_team_is_told_at_its_own_speed(pool: Workspace) -> None:
    assert suggest(pool, n=4, strategy="random").seconds is None
    with pool.catalog() as catalog, catalog.begin() as tx:
        votes.append(
            tx,
            [
                Vote(sample_id=IDS[i], annotator="bob", label="sadness", origin=f"timed:{i}", lead_time=2.0 + i)
                for i in range(3)
            ],
        )
    assert suggest(pool, n=4, strategy="random").seconds == 4 * 3 * 3.0
    with pool.catalog() as catalog, catalog.begin() as tx:
        project = remotes.add_project(tx, server="s", project=1, title="team")
        remotes.adopt(tx, project, {IDS[0]: 1}, overlap=2)
    assert suggest(pool, n=4, strategy="random").seconds == 4 * 2 * 3.0, "the project asks two, whatever settings say"


def test_a_round_may_be_as_long_as_the_team_has_time(pool: Workspace, run_cli: Run) -> None:
    refused = run_cli("suggest", "--minutes", "1", cwd=pool.root)
    assert refused.returncode == 1
    assert "nobody's answers have been timed yet" in refused.stderr and "Use -n for this round" in refused.stderr
    with pool.catalog() as catalog, catalog.begin() as tx:
        votes.append(
            tx, [Vote(sample_id=IDS[0], annotator="bob", label="sadness", origin="timed:0", lead_time=3.0)]
        )  # three votes of three seconds a sample
    assert len(suggest(pool, minutes=0.5, strategy="random").suggestions) == 3
    assert len(suggest(pool, minutes=0.01, strategy="random").suggestions) == 1
    everybody = suggest(pool, minutes=600, strategy="random")
    assert len(everybody.suggestions) == everybody.candidates
    both = run_cli("suggest", "--minutes", "1", "-n", "3", cwd=pool.root)
    assert both.returncode == 2 and "use one of them" in both.stderr


def test_the_table_shows_reasons_and_the_expected_classes(trained: Workspace, run_cli: Run) -> None:
    pytest.importorskip("torch", reason="reading a model's predictions of the pool needs torch")
    shown = run_cli("suggest", "-n", "14", "--strategy", "coreset", cwd=trained.root, check=True).stderr
    assert "unlike anything labelled or chosen so far" in shown
    assert "and 2 more; --json lists all of them." in shown
    assert "What the model expects in this batch" in shown


def test_rounds_never_overlap_and_the_end_is_a_clear_error(pool: Workspace) -> None:
    first = suggest(pool, n=20, strategy="random")
    second = suggest(pool, n=12, strategy="random")
    chosen = [s.sample_id for s in (*first.suggestions, *second.suggestions)]
    assert (first.round, second.round, len(set(chosen))) == (1, 2, 32)
    assert not {*IDS[:7], IDS[8]} & set(chosen)
    with pytest.raises(DataError) as error:
        suggest(pool, n=1, strategy="random")
    assert error.value.message == (
        "None of the 40 samples can be suggested: 5 are labelled, 32 wait for an answer, "
        "1 is kept for validation or test, 2 are duplicates."
    )
    assert error.value.hint == "32 suggestions wait to be sent: emolab label push --suggestions"


def test_when_everything_lies_with_the_team_the_answers_are_what_is_missing(pool: Workspace, run_cli: Run) -> None:
    with pool.catalog() as catalog, catalog.begin() as tx:
        project = remotes.add_project(tx, server="s", project=1, title="team")
        remotes.want(tx, project, [remotes.TaskRequest(i, rank, 3) for rank, i in enumerate(IDS[5:])])
    done = run_cli("suggest", "--strategy", "margin", cwd=pool.root, env={"COLUMNS": "200"})
    assert done.returncode == 1
    assert "None of the 40 samples can be suggested: 5 are labelled, 35 wait for an answer." in done.stderr
    assert "fix: Wait for 35 answers: emolab label pull. Or bring in more samples with: emolab collect" in done.stderr


def test_without_samples_the_first_thing_to_do_is_collect(workspace: Workspace) -> None:
    with pytest.raises(DataError, match=r"There are no samples to suggest from\..*emolab collect PATH"):
        suggest(workspace)


def test_the_same_seed_gives_the_same_round(pool: Workspace, tmp_path_factory: pytest.TempPathFactory) -> None:
    import shutil

    twin = tmp_path_factory.mktemp("twin") / "faces"
    shutil.copytree(pool.root, twin)
    ours, theirs = suggest(pool, n=8, seed=3), suggest(Workspace.find(twin), n=8, seed=3)
    assert [s.sample_id for s in ours.suggestions] == [s.sample_id for s in theirs.suggestions]


def test_an_unknown_strategy_names_the_nearest(pool: Workspace, run_cli: Run) -> None:
    done = run_cli("suggest", "-n", "1", "--strategy", "core_set", cwd=pool.root)
    assert done.returncode == 1
    assert 'Unknown strategy "core_set". Did you mean "coreset"?' in done.stderr
