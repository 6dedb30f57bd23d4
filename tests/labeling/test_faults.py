"""Whatever breaks between emolab and a real Label Studio: no vote lost, none doubled, no task doubled."""

from __future__ import annotations

import resource
import signal
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import emolab
from benchmarks.kills import kill_pulls, kill_pushes
from emolab.errors import EmolabError, ServerError
from emolab.labeling.label_studio import retry
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.label_studio.queries import model_versions
from emolab.labeling.sync import outbox, task_payload
from emolab.labeling.sync.pull import pull, watch
from emolab.labeling.sync.push import PushReport, push
from emolab.workspace import Workspace
from tests.support.proxy import Proxy
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, command, environment, ledger, named, other_machine, say, task_of, there

pytestmark = pytest.mark.labelstudio
IMPORT = r"POST /api/projects/\d+/import\?.*return_task_ids"
VERSIONS = r"DELETE /api/projects/\d+/model-versions"
UPLOAD = r"POST /api/projects/\d+/import\?commit_to_project=false"


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    """A workspace with seven samples and a project of its own."""
    made = named(workspace, f"fault {uuid.uuid4().hex[:8]}")
    add_samples(made, 7)
    return made


@pytest.fixture
def proxy(label_studio: LabelStudioServer) -> Iterator[Proxy]:
    with Proxy(label_studio.url) as made:
        yield made


@pytest.fixture
def broken(proxy: Proxy, label_studio: LabelStudioServer) -> Iterator[Studio]:
    """A client whose requests go through the proxy."""
    with connect(proxy.url, label_studio.token) as client:
        yield client


def title(workspace: Workspace) -> str:
    return workspace.config.labeling.project


def assert_each_once(workspace: Workspace, studio: Studio, n: int = 7) -> None:
    found = there(studio, title(workspace))
    assert (len(found), set(found.values())) == (n, {1})


def assert_votes_are(workspace: Workspace, studio: Studio, labels: dict[str, int]) -> None:
    """The ledger holds exactly these votes, and pulling everything again changes nothing."""
    assert Counter(str(vote.label) for vote in ledger(workspace)) == labels
    assert pull(workspace, studio, reconcile=True).changed is False


@pytest.mark.parametrize("action", ["drop_answer", "502_after", "drop_request", "cut_request", "502", "cut_answer"])
def test_an_import_that_breaks_in_any_way_makes_every_task_once(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "TASKS_PER_IMPORT", 4)
    monkeypatch.setattr(retry, "SETTLE", 1.0)
    fault = proxy.fault(IMPORT, action, skip=1)
    report = push(team, broken)
    assert (fault.hits, report.looked_up) == (1, 1)
    assert report.created + report.adopted == 7
    assert_each_once(team, studio)
    assert push(team, studio).chosen == 0


@pytest.mark.parametrize("action", ["drop_answer", "502_after", "cut_request", "502"])
def test_an_upload_that_breaks_is_repeated_without_harm(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy, action: str
) -> None:
    fault = proxy.fault(UPLOAD, action, times=2)
    push(team, broken)
    assert fault.hits == 2
    assert_each_once(team, studio)


def test_creating_the_project_with_the_answer_lost_makes_one_project(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy
) -> None:
    proxy.fault(r"POST /api/projects/$", "drop_answer")
    push(team, broken)
    assert sum(project.title == title(team) for project in studio.projects()) == 1
    assert_each_once(team, studio)


def test_a_request_that_comes_through_after_it_was_given_up_leaves_no_double(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy
) -> None:
    proxy.fault(IMPORT, "again")
    push(team, broken)
    proxy.replay()
    assert set(there(studio, title(team)).values()) == {2}, "the late request made doubles"
    elsewhere = named(other_machine(team, n=7), title(team))
    add_samples(team, 1, first=70)
    assert push(elsewhere, studio).twins_removed == 7
    assert push(team, studio).created == 1
    assert_each_once(team, studio, 8)
    assert pull(team, studio, reconcile=True).tasks_deleted == 0


def test_many_bad_gateways_in_a_row_are_waited_out(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "SETTLE", 0.5)
    proxy.fault(r".", "502", times=12, skip=3)
    push(team, broken)
    assert_each_once(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    say(studio, task_of(studio, project.id, next(iter(there(studio, title(team))))), "sadness")
    proxy.fault(r".", "502", times=9)
    assert pull(team, broken).new == 1
    assert_votes_are(team, studio, {"sadness": 1})


def test_a_server_that_restarts_in_mid_push_ends_with_every_task_once(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy, label_studio: LabelStudioServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(outbox, "TASKS_PER_IMPORT", 3)
    running = label_studio.server.running()
    assert running is not None

    def start() -> None:
        end = time.monotonic() + 100
        while True:
            try:
                label_studio.server.start(port=running.port, timeout=200)
            except EmolabError:  # a connection of the past may hold the port for a while
                if time.monotonic() > end:
                    raise
                time.sleep(0.3)
            else:
                return

    restarts = threading.Thread(target=start)

    def stop() -> None:
        label_studio.server.stop(grace=0.5)
        restarts.start()

    proxy.fault(IMPORT, "call", skip=1, action_on=stop)
    report = push(team, broken)
    restarts.join()
    assert report.created + report.adopted == 7
    assert_each_once(team, studio)


def test_a_server_that_stays_away_ends_the_push_and_the_next_one_goes_on(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PATIENCE", 0.5)
    monkeypatch.setattr(retry.patiently, "__kwdefaults__", {"patience": 0.5, "progress": retry.SILENT})
    down = lambda: proxy.fault(r"GET /api/", "502", times=10_000)  # noqa: E731
    fault = proxy.fault(IMPORT, "drop_answer", action_on=down)
    with pytest.raises(ServerError, match=r"failed with 502"):
        push(team, broken)
    assert fault.hits == 1
    proxy.faults.clear()
    report = push(team, broken)
    assert (report.created, report.adopted, report.resumed) == (0, 7, 7)
    assert_each_once(team, studio)


def test_a_token_revoked_in_mid_push_is_explained_and_another_one_goes_on(
    team: Workspace, studio: Studio, proxy: Proxy, label_studio: LabelStudioServer
) -> None:
    _, leaver = label_studio.annotator("leaver")
    token = str(leaver.http.call("POST", "/api/current-user/reset-token/")["token"])  # whether or not it has one yet
    revoke = lambda: leaver.http.call("POST", "/api/current-user/reset-token/")  # noqa: E731
    proxy.fault(IMPORT, "call", action_on=revoke)
    with connect(proxy.url, token) as client, pytest.raises(ServerError) as refused:
        push(team, client)
    assert refused.value.status == 401
    assert "does not know this legacy token: it was revoked" in refused.value.message
    assert token not in str(refused.value)
    report = push(team, studio)
    assert (report.created, report.resumed) == (7, 7)
    assert_each_once(team, studio)


def interrupted(process: subprocess.Popen[str]) -> str:
    """What the process says on Ctrl-C."""
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=120)[1]
    finally:
        process.kill()


def test_ctrl_c_in_mid_push_ends_at_once_and_the_next_push_goes_on(
    team: Workspace, studio: Studio, proxy: Proxy, label_studio: LabelStudioServer
) -> None:
    env = environment(proxy.url, label_studio.token)
    held = threading.Event()
    fault = proxy.fault(IMPORT, "call", action_on=lambda: held.wait(300))
    push_it = subprocess.Popen(command("label", "push"), cwd=team.root, env=env, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not fault.hits and time.monotonic() < deadline:
        time.sleep(0.02)
    told = interrupted(push_it)
    held.set()
    assert (push_it.returncode, "stopped; run the same command again to go on." in told) == (130, True), told
    report = push(team, studio)
    assert (report.resumed, report.created + report.adopted) == (7, 7)
    assert_each_once(team, studio)


def test_two_pushes_at_once_from_two_machines_make_every_task_once(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    elsewhere = named(other_machine(team, n=7), title(team))
    barrier = threading.Barrier(2)

    def go(workspace: Workspace) -> PushReport:
        with label_studio.client() as client:
            client.version()
            barrier.wait()
            return push(workspace, client)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(go, (team, elsewhere)))
    assert sum(project.title == title(team) for project in studio.projects()) == 1
    assert_each_once(team, studio)
    pull(team, studio)
    pull(elsewhere, studio)
    assert (push(team, studio).chosen, push(elsewhere, studio).chosen) == (0, 0)
    assert_each_once(team, studio)


def current_order(workspace: Workspace, studio: Studio) -> tuple[str, list[str]]:
    """The order in force, and all that the server holds."""
    project = studio.find_project(title(workspace))
    assert project is not None
    return project.model_version, model_versions(studio, project.id)


def push_one_more(workspace: Workspace, broken: Studio) -> None:
    add_samples(workspace, 1, first=70)
    assert push(workspace, broken).created == 1


@pytest.mark.parametrize("after", [False, True], ids=["before the request", "with the answer lost"])
def test_an_earlier_order_that_is_gone_already_is_none_to_worry_about(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy, after: bool
) -> None:
    push(team, studio)
    first, _ = current_order(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    if after:
        fault = proxy.fault(VERSIONS, "drop_answer")
    else:
        fault = proxy.fault(VERSIONS, "call", action_on=lambda: studio.delete_model_version(project.id, first))
    push_one_more(team, broken)
    assert fault.hits == 1
    second, all_of_them = current_order(team, studio)
    assert (second > first, all_of_them) == (True, [second])


def test_an_order_that_another_machine_made_later_stays_in_force(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy
) -> None:
    push(team, studio)
    elsewhere = named(other_machine(team, n=7), title(team))
    theirs = lambda: push_one_more(elsewhere, studio)  # noqa: E731
    fault = proxy.fault(r"GET /api/projects/\d+/model-versions", "call", action_on=theirs)
    add_samples(team, 1, first=90)
    assert push(team, broken).created == 1
    assert fault.hits == 1
    now, all_of_them = current_order(team, studio)
    assert all_of_them == [now] != [""]


def test_an_order_removed_in_the_middle_of_its_own_push_is_sent_again(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy
) -> None:
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None

    def remove() -> None:
        for version in model_versions(studio, project.id):
            studio.delete_model_version(project.id, version)

    fault = proxy.fault(VERSIONS, "call", action_on=remove)
    push_one_more(team, broken)
    assert fault.hits == 1
    now, all_of_them = current_order(team, studio)
    assert all_of_them == [now] != [""]
    shown = studio.http.get("/api/tasks/", project=project.id, fields="all", include="id,predictions_score")["tasks"]
    assert [task["predictions_score"] is None for task in shown] == [False] * 8


def test_an_order_that_a_later_one_removes_again_and_again_leaves_that_one_in_force(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy
) -> None:
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    task = task_of(studio, project.id, next(iter(there(studio, title(team)))))
    later = "emolab 2999-01-01 00:00:00.000000"

    def remove() -> None:
        """What the push of another machine does: its own order in force, every older one removed."""
        studio.import_predictions(project.id, [{"task": task, **task_payload.prediction(0.5, later)}])
        studio.set_model_version(project.id, later)
        for version in model_versions(studio, project.id):
            if version != later:
                studio.delete_model_version(project.id, version)

    fault = proxy.fault(rf"PATCH /api/projects/{project.id}/?$", "call", action_on=remove, times=20)
    push_one_more(team, broken)
    assert 1 <= fault.hits < 20
    now, all_of_them = current_order(team, studio)
    assert (now, all_of_them) == (later, [later])


def test_two_pushes_at_once_in_one_workspace_one_goes_and_one_says_why_not(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    env = environment(label_studio.url, label_studio.token)
    both = [
        subprocess.Popen(command("label", "push"), cwd=team.root, env=env, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120)[1] for process in both]
    assert 0 in {process.returncode for process in both}
    for process, text in zip(both, told, strict=True):
        assert process.returncode == 0 or 'is busy with "push"' in text
    assert_each_once(team, studio)


def test_two_pulls_at_once_count_every_answer_once(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    for sample in there(studio, title(team)):
        say(studio, task_of(studio, project.id, sample), "neutral")
    env = environment(label_studio.url, label_studio.token)
    both = [
        subprocess.Popen(command("label", "pull"), cwd=team.root, env=env, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        text = process.communicate(timeout=120)[1]
        assert process.returncode == 0 or 'is busy with "pull"' in text
    assert_votes_are(team, studio, {"neutral": 7})


@pytest.mark.parametrize("action", ["drop_request", "drop_answer", "502", "cut_answer"])
def test_a_pull_that_breaks_anywhere_reads_everything_in_the_end(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy, action: str
) -> None:
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    for sample in there(studio, title(team)):
        say(studio, task_of(studio, project.id, sample), "neutral")
    for request in (r"GET /api/projects/\d+", r"GET /api/tasks/", r"GET /api/users/"):
        proxy.fault(request, action)
    pull(team, broken)
    assert_votes_are(team, studio, {"neutral": 7})


def test_a_token_revoked_between_pulls_keeps_what_was_read(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    one, two, *_ = there(studio, title(team))
    say(studio, task_of(studio, project.id, one), "neutral")
    email, leaver = label_studio.annotator("leaver")
    assert pull(team, leaver).new == 1
    say(studio, task_of(studio, project.id, two), "sadness")
    who = next(user.id for user in studio.users().values() if user.email == email)
    studio.http.call("DELETE", f"/api/users/{who}/")
    with pytest.raises(ServerError, match=r"token.* no longer exists on|token.*was removed"):
        pull(team, leaver)
    assert len(ledger(team)) == 1
    pull(team, studio)
    assert_votes_are(team, studio, {"neutral": 1, "sadness": 1})


def test_watching_survives_a_server_that_goes_away(
    team: Workspace, studio: Studio, broken: Studio, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry.patiently, "__kwdefaults__", {"patience": 0.1, "progress": retry.SILENT})
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    reports = watch(team, broken, every=0.05)
    assert next(reports).changed is False
    say(studio, task_of(studio, project.id, next(iter(there(studio, title(team))))), "neutral")
    proxy.fault(r".", "drop_request", times=12)
    assert next(reports).new == 1
    assert_votes_are(team, studio, {"neutral": 1})


def test_a_disk_that_fills_up_while_pulling_keeps_the_ledger_whole(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    first, *rest = there(studio, title(team))
    say(studio, task_of(studio, project.id, first), "neutral")
    pull(team, studio)
    for sample in rest:
        for _ in range(30):
            say(studio, task_of(studio, project.id, sample), "sadness")
    room = 40_000  # bytes that any file may hold: less than the write-ahead log of these votes
    full = subprocess.run(
        command("label", "pull"), cwd=team.root, env=environment(label_studio.url, label_studio.token), text=True,
        capture_output=True, timeout=120, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )  # fmt: skip
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    with team.catalog() as catalog:
        assert catalog.problems() == []
    assert Counter(str(v.label) for v in ledger(team)) == {"neutral": 1}
    pull(team, studio)
    assert_votes_are(team, studio, {"neutral": 1, "sadness": 6})
    assert len(ledger(team, rejected=True)) == 1 + 6 * 30


def test_a_label_removed_from_the_form_keeps_its_votes(team: Workspace, studio: Studio) -> None:
    from emolab.labeling.form import controls

    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    one, two, *_ = there(studio, title(team))
    say(studio, task_of(studio, project.id, one), "sadness")
    pull(team, studio)
    say(studio, task_of(studio, project.id, two), "sadness")
    studio.update_project(project.id, label_config=controls.render(("happiness", "neutral")))
    pull(team, studio)
    assert_votes_are(team, studio, {"sadness": 2})


def test_twenty_kills_at_random_instants_lose_and_double_nothing(
    workspace: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    team = named(workspace, f"kills {uuid.uuid4().hex[:8]}")
    rng = np.random.default_rng(20)
    pushes = kill_pushes(team, studio, token=label_studio.token, kills=10, rng=rng)
    assert (pushes.lost, pushes.doubled, pushes.killed) == (0, 0, 10)
    assert pushes.expected == (2 + pushes.runs) * 5
    pulls = kill_pulls(team, studio, token=label_studio.token, kills=10, rng=rng)
    assert (pulls.lost, pulls.doubled, pulls.altered, pulls.killed) == (0, 0, 0, 10)
    assert_no_debris(team)


def test_kills_in_mid_pull_lose_and_double_no_answer_of_several_labels_and_no_label_of_one(
    tmp_path: Path, studio: Studio, label_studio: LabelStudioServer
) -> None:
    team = Workspace.init(tmp_path / "words", classes=("anger", "sadness", "happiness"), modality="text")
    team = named(team, f"kills {uuid.uuid4().hex[:8]}")
    with (team.root / "emolab.toml").open("a") as file:
        file.write('several = true\naggregator = "soft"\n')
    team = Workspace.open(team.root)
    (tmp_path / "lines.txt").write_text("".join(f"Sentence number {i} of the day.\n" for i in range(6)))
    assert emolab.collect(team, [tmp_path / "lines.txt"]).report.added == 6
    pulls = kill_pulls(team, studio, token=label_studio.token, kills=8, rng=np.random.default_rng(21))
    assert (pulls.lost, pulls.doubled, pulls.altered, pulls.killed) == (0, 0, 0, 8)
    assert pulls.expected == (2 + pulls.runs) * 2
    assert {len(vote.labels) for vote in ledger(team)} == {1, 2, 3}
    assert_no_debris(team)


def assert_no_debris(workspace: Workspace) -> None:
    with workspace.catalog() as catalog:
        assert catalog.problems() == []
    leftovers = [p for p in Path(workspace.state).rglob("*.part")]
    assert leftovers == []
    with pytest.raises(EmolabError), workspace.lock("push"), workspace.lock("push"):
        pass


def test_doubles_of_a_late_request_go_with_the_next_pull_or_push(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    one, two, *rest = there(studio, title(team))
    late = [{"data": {"image": "/data/x.png", "emolab_uid": sample}} for sample in (one, two, *rest)]
    answered, *_ = studio.import_tasks(project.id, late)
    say(studio, answered, "sadness")
    assert pull(team, studio).doubles_removed == 7
    assert_each_once(team, studio)
    assert task_of(studio, project.id, one) == answered
    studio.import_tasks(project.id, late[1:3])
    assert push(team, studio).twins_removed == 2
    assert_each_once(team, studio)
    assert_votes_are(team, studio, {"sadness": 1})
