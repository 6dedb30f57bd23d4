"""What a person does in a web browser: log in with the password shown, sign up through the link and answer."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from emolab.labeling.form import controls
from emolab.labeling.label_studio.client import connect
from emolab.labeling.server import installation
from emolab.labeling.server.embedded import EmbeddedServer
from tests.support.servers import CLASSES, LabelStudioServer
from tests.support.studio_screen import SIZE, chromium

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser]


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a fresh browser; ``page.elsewhere`` collects requests to any other machine."""
    with chromium() as browser:
        made = browser.new_context(viewport=SIZE).new_page()
        made.elsewhere = []
        made.on("request", lambda r: None if _here(r.url) else made.elsewhere.append(r.url))
        yield made


def _here(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "data:", "blob:"))


def test_the_administrator_logs_in_with_the_password_that_was_shown(embedded: EmbeddedServer, page: Any) -> None:
    url = embedded.start().server.url
    password = embedded.reset_password()
    page.goto(url)
    page.fill("input[name=email]", installation.ADMIN)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(f"{url}/")
    page.get_by_text("Create Project").first.wait_for()
    assert page.elsewhere == []


def test_the_invitation_leads_from_signing_up_to_the_queue_in_emolabs_order_and_an_answer(
    label_studio: LabelStudioServer, project: int, page: Any
) -> None:
    from emolab.labeling.label_studio.accounts import invitation

    email = f"eva-{uuid.uuid4().hex[:8]}@team.example"
    with label_studio.client() as studio:
        staged = studio.upload_files(project, [("a" * 64 + ".png", _picture(), "image/png")])
        studio.import_tasks(project, [{"data": {"image": staged[0].path, "emolab_uid": "a" * 64}}])
        page.goto(invitation(studio, project))
        page.fill("input[name=email]", email)
        page.fill("input[name=password]", "a long enough password")
        page.click("button[type=submit]")
        page.wait_for_url(re.compile(rf"/projects/{project}/data"))
        with page.expect_response(lambda response: "next_task" in response.url) as served:
            page.get_by_role("button", name=re.compile("Label All Tasks")).first.click()
        queue = served.value.json()["queue"]
        assert "Data manager queue" not in queue, "served past the order and the number of people per sample"
        page.get_by_text("sadness").first.click()
        page.get_by_role("button", name="Submit").first.click()
        page.get_by_text(re.compile("No more tasks|All done|no more annotations", re.I)).first.wait_for()
        (answers,) = [t.annotations for t in studio.lookup_tasks(project, ["a" * 64])["a" * 64]]
        assert answers[0].result[0]["value"] == {"choices": ["sadness"]}
        assert studio.users()[answers[0].completed_by or 0].email == email
    assert page.elsewhere == []


def test_emolabs_form_shows_face_and_answers_without_panels_and_takes_keys(embedded: EmbeddedServer, page: Any) -> None:
    url = embedded.start().server.url
    password = embedded.reset_password()
    with connect(url, embedded.token()) as studio:
        made = studio.create_project("looks", controls.render(CLASSES, confidence=True))
        staged = studio.upload_files(made.id, [("a" * 64 + ".png", _picture(), "image/png")])
        studio.import_tasks(made.id, [{"data": {"image": staged[0].path, "emolab_uid": "a" * 64}}])
        page.goto(url)
        page.fill("input[name=email]", installation.ADMIN)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_url(f"{url}/")
        page.goto(f"{url}/projects/{made.id}/data")
        page.get_by_role("button", name=re.compile("Label All Tasks")).first.click()
        page.get_by_text("no face").first.wait_for()
        for hidden in ("Labeled regions will appear here", "View region details", "Relations"):
            assert not any(found.is_visible() for found in page.get_by_text(hidden).all()), hidden
        answers = [found.bounding_box() for found in page.locator(".lsf-choice__checkbox").all()]
        assert len(answers) == len(CLASSES) + 2
        assert all(box["height"] >= 36 and box["width"] >= 250 for box in answers), answers
        face = page.locator(".lsf-image").first.bounding_box()
        assert face["width"] == pytest.approx(448, abs=2)
        assert face["x"] + face["width"] < answers[0]["x"] and answers[-1]["y"] < 700, "one glance holds them all"
        page.keyboard.press("2")
        page.keyboard.press("Control+Enter")
        page.get_by_text(re.compile("No more tasks|All done|no more annotations", re.I)).first.wait_for()
        (given,) = [t.annotations for t in studio.lookup_tasks(made.id, ["a" * 64])["a" * 64]]
        assert given[0].result[0]["value"] == {"choices": ["sadness"]}
    assert page.elsewhere == []


def _picture() -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "orange").save(stream, "PNG")
    return stream.getvalue()
