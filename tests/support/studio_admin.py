"""What administrators do to a project in Label Studio's own page."""

from __future__ import annotations

from tests.support.studio_screen import Screen

_SWITCH = "document.querySelector('input[name=show_collab_predictions]')"


def prelabel(person: Screen, on: bool) -> None:
    """Switch "Use predictions to prelabel tasks" in the project's settings."""
    page = person.page
    page.goto(f"{person.project}/settings/annotation")
    page.wait_for_function("() => (document.querySelector('textarea[name=expert_instruction]') || {}).value")
    page.wait_for_function(f"on => {_SWITCH}.checked !== on", arg=on)
    page.get_by_text("Use predictions to prelabel tasks").click()
    page.wait_for_function(f"on => {_SWITCH}.checked === on", arg=on)
    with page.expect_response(lambda r: r.request.method == "PATCH" and "/api/projects/" in r.url) as saved:
        page.get_by_role("button", name="Save").click()
    assert saved.value.ok and saved.value.json()["show_collab_predictions"] is on


def copy_all_predictions(person: Screen) -> None:
    """Select every task in the Data Manager and choose "Create Annotations From Predictions"."""
    page = person.page
    page.locator(".lsf-table-head input[type=checkbox]").first.click(force=True)
    page.get_by_role("button", name="Tasks Actions").click()
    page.get_by_text("Create Annotations From Predictions").click()
    with page.expect_response(lambda r: "id=predictions_to_annotations" in r.url) as done:
        page.get_by_role("button", name="Confirm").click()
    assert done.value.ok
