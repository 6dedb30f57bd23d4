"""The form in Label Studio when the team has a hand in it: emolab's part is made again, the team's stays in place."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest

from emolab.errors import DataError
from emolab.labeling.form import controls, team_questions, translations
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.label_studio.records import RemoteProject
from emolab.labeling.sync.project import update
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.progress import SILENT
from emolab.workspace import Workspace
from tests.support.syncing import add_samples, ledger, named

CLASSES = ("happiness", "sadness", "neutral")
OURS = controls.render(CLASSES)
QUALITY = (
    '<Choices name="quality" toName="image" choice="single"><Choice value="sharp"/><Choice value="blurred"/></Choices>'
)


def before(tag: str, added: str, text: str = OURS) -> str:
    """The form with something put before a tag."""
    assert tag in text
    return text.replace(tag, added + tag, 1)


def names(text: str) -> list[str]:
    """The controls of a form in their order."""
    return [str(e.get("name")) for e in Xml.fromstring(text).iter() if e.get("toName")]


def keys(text: str) -> dict[str | None, str | None]:
    answer = next(e for e in Xml.fromstring(text).iter() if e.get("name") == "emotion")
    return {choice.get("value"): choice.get("hotkey") for choice in answer}


def added(inner: str) -> str:
    return before('<Choices name="emotion"', inner)


def control(tag: str, name: str, inner: str = "", **attributes: str) -> str:
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<{tag} name="{name}" toName="image"{more}>{inner}</{tag}>'


ADDED = {
    "before the question": added(QUALITY),
    "behind everything": OURS.removesuffix("</View>\n") + QUALITY + "</View>\n",
    "in a box of its own": added(f'<View style="margin: 2em"><Header value="Q"/>{QUALITY}</View>'),
    "a text": added(control("TextArea", "why")),
    "stars": added(control("Rating", "quality", maxRating="5")),
    "a number": added(control("Number", "age")),
    "a tree": added(control("Taxonomy", "kind", '<Choice value="a"><Choice value="b"/></Choice>')),
    "regions": added(control("RectangleLabels", "eyes", '<Label value="eye"/>')),
    "per region": added(control("Choices", "open", '<Choice value="yes"/>', perRegion="true")),
    "another object": added('<Text name="note" value="$note"/><TextArea name="why" toName="note"/>'),
    "only when chosen": added(f'<View visibleWhen="choice-selected" whenTagName="emotion">{QUALITY}</View>'),
    "a style and a comment": added(f"<!-- ours --><Style>.mine {{color: red}}</Style>{QUALITY}"),
}


@pytest.mark.parametrize("present", ADDED.values(), ids=ADDED)
def test_what_the_team_added_stays_in_its_place_when_the_classes_change(present: str) -> None:
    wanted = controls.render((*CLASSES, "calm"))
    made = team_questions.merge(present, wanted)
    assert names(made) == names(present)
    assert "calm" in controls.labels(made)
    assert controls.same(made.replace('<Choice value="calm" hotkey="4" />', ""), present)
    assert controls.same(team_questions.merge(made, wanted), made), "a second push changes nothing"
    assert team_questions.theirs(made)


def test_a_form_that_nobody_touched_is_simply_the_new_one() -> None:
    wanted = controls.render(("calm", *CLASSES), second=True, confidence=True)
    assert team_questions.merge(OURS, wanted) == wanted
    assert team_questions.theirs(OURS) == ()
    assert team_questions.merge("<View></View>", wanted) == wanted
    question = control("Choices", "emotion", '<Choice value="sad"/>')
    bare = f'<View><Image name="image" value="$image"/>{question}</View>'
    assert team_questions.merge(bare, wanted) == wanted


MANGLED = {
    "renamed a choice": OURS.replace('value="happiness"', 'value="joy"'),
    "removed the keys": OURS.replace(' hotkey="1"', "").replace(' hotkey="2"', ""),
    "several at once": OURS.replace('choice="single-radio"', 'choice="multiple"'),
    "made it optional": OURS.replace(' required="true"', ""),
    "another kind": OURS.replace("Choices", "Taxonomy"),
    "removed a choice": OURS.replace('<Choice value="sadness" hotkey="2" />', ""),
    "zoom": OURS.replace('zoom="true"', 'zoom="false"'),
}


@pytest.mark.parametrize("present", MANGLED.values(), ids=MANGLED)
@pytest.mark.parametrize("question", ["", QUALITY])
def test_what_the_manager_changed_of_emolabs_own_question_is_made_again(present: str, question: str) -> None:
    assert present != OURS
    made = team_questions.merge(before("<Header", question, present), OURS)
    assert controls.same(made, before("<Header", question))
    assert keys(made) == {"happiness": "1", "sadness": "2", "neutral": "3", "unknown": "9", "no face": "0"}


def test_the_teams_wording_stays_where_the_form_is_theirs_too() -> None:
    present = OURS.replace("Which expression do you see?", "Welche Emotion sehen Sie?")
    made = team_questions.merge(present, controls.render((*CLASSES, "calm")))
    assert "Welche Emotion" in made
    assert "calm" in controls.labels(made)


def test_optional_questions_come_behind_the_question_and_go_again_with_their_headings() -> None:
    theirs = before("<Header", QUALITY)
    both = team_questions.merge(theirs, controls.render(CLASSES, second=True, confidence=True))
    assert names(both) == ["quality", "emotion", "second", "confidence"]
    assert controls.same(team_questions.merge(both, OURS), theirs)
    only = team_questions.merge(both, controls.render(CLASSES, confidence=True))
    assert names(only) == ["quality", "emotion", "confidence"]
    assert "Second guess" not in only


def test_a_question_of_the_team_may_have_a_name_that_emolab_does_not_use_here() -> None:
    text = before("<Header", control("TextArea", "second") + control("Rating", "confidence", maxRating="5"))
    assert names(team_questions.merge(text, controls.render((*CLASSES, "calm")))) == ["second", "confidence", "emotion"]
    with pytest.raises(DataError, match='a question "second" of the team\'s own') as caught:
        team_questions.merge(text, controls.render(CLASSES, second=True))
    assert "labeling.second_guess = false" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("second", '<Choices name="second" toName="image"><Choice value="yes"/><Choice value="no"/></Choices>'),
        ("second", '<Choices name="second" toName="image"><Choice value="a man"/><Choice value="unknown"/></Choices>'),
        ("second", '<Rating name="second" toName="image" maxRating="3"/>'),
        ("confidence", '<Rating name="confidence" toName="image" maxRating="5"/>'),
        ("confidence", '<Rating name="confidence" toName="image"/>'),
    ],
)
def test_a_question_of_the_team_in_emolabs_name_is_never_replaced(name: str, theirs: str) -> None:
    text = before("<Header", theirs)
    assert controls.same(team_questions.merge(text, OURS), text)
    with pytest.raises(DataError, match=f'a question "{name}" of the team\'s own'):
        team_questions.merge(text, controls.render(CLASSES, second=True, confidence=True))


@pytest.mark.parametrize("classes", [("happiness", "calm"), ("calm", "bored")])
def test_emolabs_own_second_guess_follows_other_classes(classes: tuple[str, ...]) -> None:
    text = before("<Header", QUALITY, controls.render(CLASSES, second=True, confidence=True))
    wanted = controls.render(classes, second=True, confidence=True)
    assert controls.same(team_questions.merge(text, wanted), before("<Header", QUALITY, wanted))


def test_a_picture_by_another_name_gets_its_name_back_with_all_that_refers_to_it() -> None:
    text = before("<Header", QUALITY).replace('name="image"', 'name="img"').replace('toName="image"', 'toName="img"')
    assert controls.same(team_questions.merge(text, OURS), before("<Header", QUALITY))


@pytest.mark.parametrize("text", ["", "no form", "<View>", "<View><Choices name=emotion></View>", "{}"])
def test_a_form_that_is_no_xml_is_one_line(text: str) -> None:
    with pytest.raises(DataError, match="The form of the project in Label Studio is no XML: "):
        team_questions.merge(text, OURS)


@pytest.mark.parametrize(
    "text",
    [
        OURS.replace('name="emotion"', 'name="feeling"'),
        f"<View>{QUALITY}</View>",
        '<View><Text name="t" value="$t"/><TextArea name="x" toName="t"/></View>',
    ],
)
def test_a_form_without_emolabs_question_is_one_line(text: str) -> None:
    with pytest.raises(DataError, match='The form has no question called "emotion" any more'):
        team_questions.merge(text, OURS)


def test_answers_that_would_not_fit_a_form_are_named() -> None:
    assert team_questions.lacking(OURS, ["emotion|image|choices"]) == []
    assert team_questions.lacking(OURS, ["emotion|image|taxonomy", "second", "confidence|image|rating"]) == [
        "confidence", "emotion", "second",
    ]  # fmt: skip
    assert team_questions.lacking(OURS, ["emotion|img|choices"]) == ["emotion"]
    assert team_questions.lacking(OURS, ["eye_3|image|choices"]) == [], "a name by a pattern is the team's own matter"


@pytest.mark.parametrize(
    ("inner", "reserved"),
    [
        ("", set()),
        (control("Rating", "confidence", maxRating="3"), set()),
        (control("Rating", "confidence", maxRating="3", icon="heart"), set()),
        (control("Rating", "confidence", maxRating="5"), {"confidence"}),
        (control("Rating", "confidence"), {"confidence"}),
        (control("Choices", "confidence", '<Choice value="high"/>'), {"confidence"}),
        (control("Choices", "second", '<Choice value="sadness"/>'), set()),
        (control("Choices", "second", '<Choice value="glasses"/><Choice value="hat"/>'), {"second"}),
        (control("TextArea", "second"), {"second"}),
        (control("Rating", "confidence", maxRating="10") + control("TextArea", "second"), {"confidence", "second"}),
    ],
)
def test_questions_of_the_team_under_our_names_are_told_by_what_they_ask(inner: str, reserved: set[str]) -> None:
    assert team_questions.reserved(added(inner) if inner else OURS) == reserved


def test_a_form_that_is_no_xml_reserves_nothing() -> None:
    assert team_questions.reserved("<View><Choices") == frozenset()


# --- on a real Label Studio ------------------------------------------------------------------------------------------


@pytest.fixture
def team(workspace: Workspace, studio: Studio) -> Workspace:
    """A workspace with four samples that were pushed to a project of their own."""
    made = named(workspace, f"form {uuid.uuid4().hex[:8]}")
    add_samples(made, 4)
    push(made, studio)
    return made


def configured(workspace: Workspace, **labeling: object) -> Workspace:
    config = workspace.config
    return Workspace(workspace.root, replace(config, labeling=replace(config.labeling, **labeling)))  # type: ignore[arg-type]


def with_class(workspace: Workspace, name: str) -> Workspace:
    config = workspace.config
    return Workspace(
        workspace.root, replace(config, project=replace(config.project, classes=(*config.project.classes, name)))
    )


def remote_of(workspace: Workspace, studio: Studio) -> RemoteProject:
    found = studio.find_project(workspace.config.labeling.project)
    assert found is not None
    return found


def answer(studio: Studio, task: int, *more: dict[str, object], label: str = "neutral", **given: int | str) -> int:
    return studio.create_annotation(task, [*controls.answer(label, **given), *more], lead_time=2.0).id  # type: ignore[arg-type]


def said_to(name: str, kind: str, **value: object) -> dict[str, object]:
    return {"from_name": name, "to_name": "image", "type": kind, "value": value}


@pytest.mark.labelstudio
def test_a_question_of_the_team_lives_through_pushes_and_its_answers_come_back(team: Workspace, studio: Studio) -> None:
    project = remote_of(team, studio)
    added_there = before("<Header", QUALITY + control("TextArea", "why"), project.label_config)
    studio.update_project(project.id, label_config=added_there)
    tasks = list(studio.list_task_ids(project.id))
    quality, why = said_to("quality", "choices", choices=["sharp"]), said_to("why", "textarea", text=["the mouth"])
    first = answer(studio, tasks[0], quality, why)
    answer(studio, tasks[1], quality, label="happiness")
    studio.create_annotation(tasks[2], [quality], lead_time=1.0)
    assert pull(team, studio).rejected == {"no answer given": 1}
    kept = {(v.label, json.dumps(dict(v.extra))) for v in ledger(team, rejected=True)}
    assert kept == {
        ("neutral", '{"quality": "sharp", "why": "the mouth"}'),
        ("happiness", '{"quality": "sharp"}'),
        (None, '{"quality": "sharp"}'),
    }
    more = with_class(team, "calm")
    add_samples(more, 1, first=40)
    planned = push(more, studio, dry_run=True)
    done = push(more, studio)
    assert (planned.labels_added, planned.questions_kept) == (("calm",), ("quality", "why"))
    assert (done.labels_added, done.questions_kept) == (("calm",), ("quality", "why"))
    text = remote_of(team, studio).label_config
    assert names(text) == ["quality", "why", "emotion"]
    assert "calm" in controls.labels(text)
    studio.update_annotation(
        first, result=[*controls.answer("neutral"), said_to("quality", "choices", choices=["blurred"])]
    )
    report = pull(more, studio)
    assert (report.new, report.edited) == (0, 1)
    assert {json.dumps(dict(v.extra)) for v in ledger(team)} == {'{"quality": "blurred"}', '{"quality": "sharp"}'}


@pytest.mark.labelstudio
def test_five_stars_of_the_team_are_its_own_answers_also_where_three_would_be_ours(
    team: Workspace, studio: Studio
) -> None:
    project = remote_of(team, studio)
    theirs = control("Rating", "confidence", maxRating="5") + control("Choices", "second", '<Choice value="hat"/>')
    studio.update_project(project.id, label_config=before("<Header", theirs, project.label_config))
    tasks = list(studio.list_task_ids(project.id))
    answer(studio, tasks[0], said_to("confidence", "rating", rating=2), said_to("second", "choices", choices=["hat"]))
    answer(studio, tasks[1], said_to("confidence", "rating", rating=5))
    assert pull(team, studio).new == 2
    assert {(v.confidence, v.second, json.dumps(dict(v.extra))) for v in ledger(team)} == {
        (None, None, '{"confidence": 2, "second": "hat"}'),
        (None, None, '{"confidence": 5}'),
    }


@pytest.mark.labelstudio
def test_an_optional_question_that_was_answered_stays_when_it_is_switched_off(team: Workspace, studio: Studio) -> None:
    asking = configured(team, second_guess=True, confidence=True)
    add_samples(team, 1, first=30)
    push(asking, studio)
    project = remote_of(team, studio)
    answer(studio, next(iter(studio.list_task_ids(project.id))), second="sadness")
    add_samples(team, 1, first=31)
    for dry_run in (True, False):
        assert push(team, studio, dry_run=dry_run).optional_kept == ("second",)
    assert names(remote_of(team, studio).label_config) == ["emotion", "second"]
    add_samples(team, 1, first=32)
    push(team, studio)
    assert names(remote_of(team, studio).label_config) == ["emotion", "second"]


@pytest.mark.labelstudio
def test_a_form_that_label_studio_would_refuse_is_foreseen_by_a_dry_run(team: Workspace, studio: Studio) -> None:
    project = remote_of(team, studio)
    other = project.label_config.replace("Choices", "Taxonomy").replace(' choice="single-radio"', "")
    studio.update_project(project.id, label_config=other)
    task = next(iter(studio.list_task_ids(project.id)))
    studio.create_annotation(task, [said_to("emotion", "taxonomy", taxonomy=[["neutral"]])], lead_time=1.0)
    add_samples(team, 1, first=20)
    for dry_run in (True, False):
        with pytest.raises(DataError, match='Answers were given to the question "emotion" in another form') as caught:
            push(team, studio, dry_run=dry_run)
        assert "--project NAME" in str(caught.value.hint)
    assert controls.same(remote_of(team, studio).label_config, other)


@pytest.mark.labelstudio
def test_a_refusal_of_the_form_is_said_in_words(team: Workspace, studio: Studio) -> None:
    project = remote_of(team, studio)
    with pytest.raises(DataError, match=r'Label Studio refuses the new form of project "form \w+": .*'):
        update(studio, project, {"label_config": "<View><Choices/></View>"}, progress=SILENT)


@pytest.mark.labelstudio
def test_a_renamed_question_is_said_before_anything_is_sent(team: Workspace, studio: Studio) -> None:
    project = remote_of(team, studio)
    studio.update_project(project.id, label_config=project.label_config.replace('name="emotion"', 'name="feeling"'))
    add_samples(team, 1, first=25)
    with pytest.raises(DataError, match='no question called "emotion" any more'):
        push(team, studio)
    assert remote_of(team, studio).task_number == 4


@pytest.mark.parametrize("modality", ["audio", "text"])
@pytest.mark.parametrize("language", sorted(translations.WORDS))
def test_the_form_speaks_of_what_people_judge(modality: str, language: str) -> None:
    faces, others = translations.words(language), translations.words(language, modality=modality)
    assert others.question != faces.question
    assert others.task != faces.task
    assert others.name("no_face") != faces.name("no_face")
    assert others.cannot.count("{}") == faces.cannot.count("{}") == 2
    assert others.submit.count("{}") == faces.submit.count("{}") == 1
    assert translations.HEADINGS[others.question] == "question"  # so that a later push knows it as its own
    translations.check(others, ("happiness", "sadness"))


def test_clips_are_played_and_every_answer_is_stored_as_for_faces() -> None:
    form = controls.render(("sad", "happy"), modality="audio", words=translations.words("en", modality="audio"))
    assert '<Audio name="audio" value="$audio"' in form
    assert 'value="no voice" alias="no face"' in form
    assert controls.labels(form) == ["sad", "happy", "unknown", "no face"]
    assert controls.buttons(form) == {"sad": "sad", "happy": "happy", "unknown": "unknown", "no voice": "no face"}
