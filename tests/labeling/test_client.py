"""The Label Studio client against a real server, and against servers that misbehave."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid

import pytest

from emolab.errors import ConfigError, DataError, ServerError
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.label_studio.tokens import TokenKind
from emolab.labeling.server.daemon import free_port
from tests.support.misbehaving import misbehaving
from tests.support.servers import FACES, LabelStudioServer

LEGACY = "0123456789abcdef0123456789abcdef01234567"
httpx = pytest.importorskip("httpx")

real = pytest.mark.labelstudio


def happy() -> list[dict[str, object]]:
    return choice("happiness")


def choice(label: str) -> list[dict[str, object]]:
    return [{"from_name": "emotion", "to_name": "image", "type": "choices", "value": {"choices": [label]}}]


def uids(n: int, salt: str = "") -> list[str]:
    return [hashlib.sha256(f"{salt}{i}".encode()).hexdigest() for i in range(n)]


def fill(studio: Studio, project: int, names: list[str]) -> list[int]:
    return studio.import_tasks(project, [{"data": {"image": "/x.jpg", "emolab_uid": uid}} for uid in names])


# -- who and where ---------------------------------------------------------------------------------------------------


@real
def test_both_kinds_of_token_say_who_they_belong_to(label_studio: LabelStudioServer) -> None:
    for token, kind in ((label_studio.token, TokenKind.PERSONAL), (label_studio.legacy_token, TokenKind.LEGACY)):
        with label_studio.client(token) as studio:
            assert studio.http.kind is kind
            assert studio.whoami().email == "admin@emolab.local"


@real
def test_the_server_has_a_name_that_does_not_depend_on_its_address(label_studio: LabelStudioServer) -> None:
    port = label_studio.url.rpartition(":")[2]
    with label_studio.client() as one, connect(f"http://localhost:{port}/projects/3/data", label_studio.token) as two:
        assert one.server_id == two.server_id
        assert len(one.server_id) == 16
        assert two.url == f"http://localhost:{port}"


@real
def test_version_and_users_are_read(label_studio: LabelStudioServer, studio: Studio) -> None:
    email, _ = label_studio.annotator("bob")
    assert studio.version().startswith("1.")
    assert email in {user.email for user in studio.users().values()}


@real
def test_an_access_token_gone_stale_is_replaced_before_and_after_a_refusal(studio: Studio) -> None:
    studio.whoami()
    auth = studio.http.client.auth
    auth._access = auth._access[:-4] + "AAAA"  # the server will say 401 to this one
    assert studio.whoami().id > 0
    first = auth._access
    auth._until = 0.0  # as if its five minutes were over
    assert studio.whoami().id > 0
    assert auth._until > 0.0
    assert first


@real
def test_a_revoked_token_is_explained(label_studio: LabelStudioServer) -> None:
    _, token = label_studio.annotator_token("carla")
    with label_studio.client(token) as studio:
        studio.whoami()
        studio.http.call("POST", "/api/token/blacklist/", json={"refresh": token})
    with label_studio.client(token) as studio, pytest.raises(ServerError) as caught:
        studio.whoami()
    assert caught.value.message == f"This personal access token was revoked on {label_studio.url}."
    assert "EMOLAB_STUDIO_TOKEN" in (caught.value.hint or "")
    assert caught.value.status == 401
    assert not caught.value.retryable


@real
def test_a_token_of_another_server_is_explained(label_studio: LabelStudioServer) -> None:
    strange = label_studio.token[:-6] + "AAAAAA"
    for token, words in ((strange, "belongs to another server"), (LEGACY, "does not know this legacy token")):
        with label_studio.client(token) as studio, pytest.raises(ServerError, match=words) as caught:
            studio.version() if token == strange else studio.users()
        assert token not in str(caught.value)


@real
def test_a_legacy_token_switched_off_is_explained(label_studio: LabelStudioServer, studio: Studio) -> None:
    studio.http.call("POST", "/api/jwt/settings", json={"legacy_api_tokens_enabled": False})
    try:
        with label_studio.client(label_studio.legacy_token) as old, pytest.raises(ServerError) as caught:
            old.users()
        assert "legacy tokens are switched off there" in caught.value.message
    finally:
        studio.http.call("POST", "/api/jwt/settings", json={"legacy_api_tokens_enabled": True})


@real
def test_an_access_token_is_refused_before_it_is_sent(label_studio: LabelStudioServer, studio: Studio) -> None:
    access = studio.http.call("POST", "/api/token/refresh/", json={"refresh": label_studio.token})["access"]
    with pytest.raises(ConfigError, match="lives only five minutes"):
        label_studio.client(access)


@real
def test_no_token_ever_reaches_a_log(
    label_studio: LabelStudioServer, project: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), label_studio.client() as studio:
        studio.whoami()
        fill(studio, project, uids(2))
        with pytest.raises(ServerError):
            studio.project(10**9)
        access = studio.http.client.auth._access
    assert access
    assert label_studio.token not in caplog.text
    assert access not in caplog.text
    assert label_studio.token not in repr(studio.__dict__)


# -- projects and tasks ----------------------------------------------------------------------------------------------


@real
def test_a_project_is_made_found_and_changed(studio: Studio) -> None:
    title = f"faces {uuid.uuid4().hex[:8]}"
    assert studio.find_project(title) is None
    made = studio.create_project(title, FACES, maximum_annotations=3, sampling="Uncertainty sampling")
    assert (made.maximum_annotations, made.sampling, made.show_predictions) == (3, "Uncertainty sampling", False)
    assert studio.find_project(title) == made
    assert studio.update_project(made.id, maximum_annotations=5).maximum_annotations == 5
    studio.delete_project(made.id)
    with pytest.raises(ServerError) as caught:
        studio.project(made.id)
    assert caught.value.status == 404


def test_a_project_name_of_the_wrong_length_is_refused() -> None:
    with connect("http://127.0.0.1:9", LEGACY) as studio, pytest.raises(DataError, match='"ab" has 2 characters'):
        studio.create_project("ab", FACES)


@real
def test_a_broken_config_is_explained_in_the_servers_words(studio: Studio) -> None:
    with pytest.raises(ServerError) as caught:
        studio.create_project("faces", "<View><Choices name='c' toName='nothing'/></View>")
    assert caught.value.status == 400
    assert caught.value.message.endswith("label_config: Validation failed on : 'Choice' is a required property")


@real
def test_files_are_staged_in_order_and_come_back_identical(studio: Studio, project: int) -> None:
    names = uids(103)
    blobs = [b"\xff\xd8\xff\xe0" + bytes([i]) * 50 for i in range(103)]
    files = [(f"{name}.jpg", blob, "image/jpeg") for name, blob in zip(names, blobs, strict=True)]
    staged = studio.upload_files(project, files)
    assert [name in upload.path for name, upload in zip(names, staged, strict=True)] == [True] * 103
    assert studio.list_task_ids(project) == {}
    got = studio.http.client.get(staged[102].path)
    assert got.content == blobs[102]
    assert {u.id for u in staged} <= {u.id for u in studio.file_uploads(project)}


@real
def test_tasks_are_imported_in_order_and_looked_up_by_sample_id(studio: Studio, project: int) -> None:
    names = uids(120)
    ids = fill(studio, project, names)
    found = studio.lookup_tasks(project, [*names, "f" * 64])
    assert [[t.id for t in found[name]] for name in names] == [[i] for i in ids]
    assert "f" * 64 not in found


@real
def test_a_sample_pushed_twice_shows_both_tasks_lowest_first(studio: Studio, project: int) -> None:
    (name,) = uids(1)
    ids = [*fill(studio, project, [name]), *fill(studio, project, [name])]
    assert [t.id for t in studio.lookup_tasks(project, [name])[name]] == ids


@real
def test_a_batch_with_one_bad_task_is_refused_whole(studio: Studio, project: int) -> None:
    with pytest.raises(ServerError) as caught:
        studio.import_tasks(project, [{"data": {"image": "/x.jpg"}}, {"data": {"picture": "/x.jpg"}}])
    assert caught.value.status == 400
    assert not caught.value.outcome_unknown
    assert studio.list_task_ids(project) == {}


@real
def test_only_changed_tasks_are_listed_and_with_whole_answers(
    label_studio: LabelStudioServer, studio: Studio, project: int
) -> None:
    ids = fill(studio, project, uids(5))
    before = max(task.updated_at for page in studio.changed_tasks(project) for task in page)
    _, ann = label_studio.annotator("ann")
    unique = str(uuid.uuid4())
    made = ann.create_annotation(ids[2], happy(), lead_time=1.5, unique_id=unique)
    (task,) = [task for page in studio.changed_tasks(project, before) for task in page]
    assert (task.id, task.uid) == (ids[2], uids(5)[2])
    (answer,) = task.annotations
    assert answer.id == made.id
    assert answer.result[0]["value"] == {"choices": ["happiness"]}
    assert (answer.completed_by, answer.lead_time, answer.was_cancelled) == (ann.whoami().id, 1.5, False)
    assert list(studio.changed_tasks(project, task.updated_at)) == []


@real
def test_skipped_edited_and_deleted_answers_are_seen(studio: Studio, project: int) -> None:
    ids = fill(studio, project, uids(3))
    skipped = studio.create_annotation(ids[0], [], was_cancelled=True)
    edited = studio.create_annotation(ids[1], happy())
    gone = studio.create_annotation(ids[2], happy())
    studio.update_annotation(edited.id, result=choice("sadness"))
    studio.delete_annotation(gone.id)
    tasks = {t.id: t for page in studio.changed_tasks(project) for t in page}
    assert [(a.id, a.was_cancelled) for a in tasks[ids[0]].annotations] == [(skipped.id, True)]
    assert tasks[ids[1]].annotations[0].result[0]["value"] == {"choices": ["sadness"]}
    assert tasks[ids[2]].annotations == ()


@real
def test_pages_of_tasks_leave_none_out_and_repeat_none(studio: Studio, project: int) -> None:
    ids = fill(studio, project, uids(23))
    pages = list(studio.pages(project, [], include="id", size=5))
    assert [len(p) for p in pages] == [5, 5, 5, 5, 3]
    assert [t.id for p in pages for t in p] == ids
    assert list(studio.list_task_ids(project)) == ids


@real
def test_deleted_tasks_vanish_from_the_listing_of_ids(studio: Studio, project: int) -> None:
    ids = fill(studio, project, uids(4))
    studio.delete_tasks(project, ids[:3])
    studio.delete_tasks(project, [])
    assert list(studio.list_task_ids(project)) == ids[3:]


@real
def test_a_repeated_unique_id_is_refused_so_that_an_answer_can_be_sent_again(studio: Studio, project: int) -> None:
    (task,) = fill(studio, project, uids(1))
    unique = str(uuid.uuid4())
    studio.create_annotation(task, happy(), unique_id=unique)
    with pytest.raises(ServerError) as caught:
        studio.create_annotation(task, happy(), unique_id=unique)
    assert caught.value.status == 409
    assert len(studio.task(task).annotations) == 1


@real
def test_each_annotator_is_shown_each_task_until_the_queue_is_empty_and_a_reopened_one_again(
    label_studio: LabelStudioServer, studio: Studio, project: int
) -> None:
    ids = fill(studio, project, uids(2))
    studio.update_project(project, maximum_annotations=1)
    _, ann = label_studio.annotator("ann")
    _, bob = label_studio.annotator("bob")
    seen = []
    while (task := ann.next_task(project)) is not None:
        seen.append(task.id)
        ann.create_annotation(task.id, happy())
    assert sorted(seen) == ids
    assert bob.next_task(project) is None
    studio.reopen_task(ids[0], overlap=2)
    again = bob.next_task(project)
    assert again is not None
    assert again.id == ids[0]


@real
def test_predictions_order_the_queue_and_dropped_ones_are_counted(studio: Studio, project: int) -> None:
    ids = fill(studio, project, uids(3))
    studio.update_project(project, sampling="Uncertainty sampling")
    rows = [
        {"task": task, "model_version": "r1", "score": score, "result": []}
        for task, score in zip(ids, (0.9, 0.1, 0.5), strict=True)
    ]
    assert studio.import_predictions(project, rows) == 3
    studio.set_model_version(project, "r1")
    assert studio.project(project).model_version == "r1"
    first = studio.next_task(project)
    assert first is not None
    assert first.id == ids[1]
    bad = {"task": ids[0], "model_version": "r2", "score": 0.5, "result": choice("boredom")}
    assert studio.import_predictions(project, [bad]) == 0
    studio.delete_model_version(project, "r1")


@real
def test_a_snapshot_holds_everything_and_is_cleaned_up(studio: Studio, project: int) -> None:
    ids = fill(studio, project, uids(4))
    unique = str(uuid.uuid4())
    studio.create_annotation(ids[1], happy(), unique_id=unique)
    tasks = {task.id: task for task in studio.snapshot(project)}
    assert sorted(tasks) == ids
    assert [a.unique_id for a in tasks[ids[1]].annotations] == [unique]
    assert studio.http.get(f"/api/projects/{project}/exports/") == []


@real
def test_signing_up_twice_gives_one_account_and_a_wrong_password_is_explained(
    label_studio: LabelStudioServer, studio: Studio
) -> None:
    from emolab.labeling.label_studio.accounts import create_annotator

    email = f"dora-{uuid.uuid4().hex[:8]}@team.example"
    first = create_annotator(studio, email, "correct horse")
    second = create_annotator(studio, email, "correct horse")
    assert first != second
    assert label_studio.client(second).whoami().email == email
    with pytest.raises(ServerError, match="User with this email already exists"):
        create_annotator(studio, email, "wrong horse")
    with pytest.raises(ServerError, match=r"password 8.128 characters"):
        create_annotator(studio, f"x{email}", "short")


@real
def test_nobody_signs_up_without_the_invitation(label_studio: LabelStudioServer) -> None:
    from emolab.labeling.label_studio.accounts import Browser

    with Browser(label_studio.url) as browser, pytest.raises(ServerError, match="invitation link is not valid"):
        browser.sign_up("/user/signup/?token=guess", "eve@team.example", "long enough")
    with Browser(label_studio.url) as browser, pytest.raises(ServerError, match="invitation link is not valid"):
        browser.sign_up("/user/signup/", "eve@team.example", "long enough")


# -- servers that misbehave ------------------------------------------------------------------------------------------


def test_a_server_that_is_down_is_named_and_the_command_that_starts_one() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with connect(url, LEGACY) as studio, pytest.raises(ServerError) as caught:
        studio.whoami()
    assert caught.value.message.startswith(f"Cannot reach Label Studio at {url}")
    assert "emolab studio up" in (caught.value.hint or "")
    assert (caught.value.retryable, caught.value.outcome_unknown) == (True, False)


@pytest.mark.slow
@pytest.mark.parametrize("status", [502, 500])
def test_a_write_is_sent_once_and_its_outcome_is_unknown_after_a_server_error(status: int) -> None:
    with misbehaving(lambda *_: (status, {}, "{}")) as (url, seen), connect(url, LEGACY) as studio:
        for write in (
            lambda: studio.import_tasks(1, [{"data": {}}]),
            lambda: studio.import_predictions(1, [{"task": 1, "result": []}]),
            lambda: studio.upload_files(1, [("a.jpg", b"x", "image/jpeg")]),
            lambda: studio.create_annotation(1, []),
        ):
            seen.clear()
            with pytest.raises(ServerError, match=f"failed with {status}") as caught:
                write()
            assert (caught.value.retryable, caught.value.outcome_unknown) == (True, True)
            assert len(seen) == 1


def test_a_write_whose_connection_is_cut_is_sent_once_and_its_outcome_is_unknown() -> None:
    with misbehaving(lambda *_: (0, {}, "")) as (url, seen), connect(url, LEGACY) as studio:
        for write in (lambda: studio.import_tasks(1, [{"data": {}}]), lambda: studio.create_annotation(1, [])):
            seen.clear()
            with pytest.raises(ServerError, match="broke") as caught:
                write()
            assert caught.value.outcome_unknown
            assert len(seen) == 1


def test_a_read_is_repeated_when_a_proxy_fails() -> None:
    answers = iter([(502, {}, ""), (503, {}, ""), (200, {}, json.dumps({"release": "1.23.2"}))])
    with misbehaving(lambda *_: next(answers)) as (url, seen), connect(url, LEGACY) as studio:
        assert studio.version() == "1.23.2"
        assert len(seen) == 3


def test_a_read_is_not_repeated_when_the_answer_is_final() -> None:
    with (
        misbehaving(lambda *_: (404, {}, '{"detail": "No such page."}')) as (url, seen),
        connect(url, LEGACY) as studio,
    ):
        with pytest.raises(ServerError, match="answered 404: No such page"):
            studio.project(7)
        assert len(seen) == 1


def test_a_page_instead_of_data_and_a_redirect_are_explained() -> None:
    for answer, words in (
        ((200, {"Content-Type": "text/html"}, "<html>Log in</html>"), "with a page, not with data"),
        ((301, {"Location": "https://studio.example/"}, ""), "redirects to https://studio"),
    ):
        with (
            misbehaving(lambda *_, a=answer: a) as (url, _),
            connect(url, LEGACY) as studio,
            pytest.raises(ServerError, match=words),
        ):
            studio.version()


def test_connections_are_kept_alive_except_where_that_is_slow() -> None:
    body = json.dumps({"release": "1"})
    with misbehaving(lambda *_: (200, {}, body)) as (url, _), connect(url, LEGACY) as studio:
        studio.version()
        assert studio.http.client.headers["Connection"] == "keep-alive"
    slow = {"Server": "WSGIServer/0.2 CPython/3.11"}
    with misbehaving(lambda *_: (200, slow, body)) as (url, _), connect(url, LEGACY) as studio:
        studio.http._seen(httpx.Response(200, headers=slow))
        studio.version()
        assert studio.http.client.headers["Connection"] == "close"


@pytest.mark.parametrize("url", ["localhost:8080", "studio.example", ""])
def test_a_url_without_a_scheme_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match='Write it like "http://localhost:8080"'):
        connect(url, LEGACY)
