"""emolab's form put into a form that the team has added questions to: its own part is made again, the rest stays.

The team may put controls, headings, styles and boxes of their own anywhere in the form. What emolab made is known by
its names and its words; it is replaced where it stands. Everything else is left as it is, in its place.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree as Xml

from emolab.errors import DataError
from emolab.labeling.form import controls
from emolab.labeling.form import style as form_style

_OPTIONAL = (controls.SECOND, controls.CONFIDENCE)


def merge(present: str, wanted: str) -> str:
    """``wanted`` with everything of ``present`` that is not emolab's, in its place.

    The same as ``wanted`` where the present form holds no control or nothing of the team's own. Raises
    :class:`DataError` for a form that is no XML, that lacks emolab's question, or that uses one of emolab's names
    for something else.
    """
    new = Xml.fromstring(wanted)  # noqa: S314 (made here)
    old = parse(present)
    if not any(True for _ in _controls(old)):
        return wanted
    if _named(old, controls.ANSWER) is None:
        raise DataError(
            f'The form has no question called "{controls.ANSWER}" any more, so nobody can answer what emolab asks.',
            hint=f'In Label Studio, Settings, Labeling Interface: call it name="{controls.ANSWER}" again. '
            "Or use another project: emolab label push --project NAME",
        )
    for name in _OPTIONAL:
        theirs, ours = _named(old, name), _named(new, name)
        if theirs is not None and ours is not None and not _is_emolabs(theirs, ours, old):
            raise DataError(
                f'The form has a question "{name}" of the team\'s own, and emolab wants to add one of that name.',
                hint=f"Rename yours in Label Studio, or switch emolab's off: labeling.{_SETTING[name]} = false",
            )
    if not any(not _is_own(element, new) for element in _parts(old)):
        return wanted
    _put_in(old, new)
    return Xml.tostring(old, encoding="unicode").strip() + "\n"


def parse(config: str) -> Xml.Element:
    """A form as a tree, with its comments. Raises :class:`DataError` for what is no XML."""
    builder = Xml.TreeBuilder(insert_comments=True)
    try:
        return Xml.fromstring(config, Xml.XMLParser(target=builder))  # noqa: S314 (from the project's own server)
    except Xml.ParseError as error:
        raise DataError(
            f"The form of the project in Label Studio is no XML: {error}.",
            hint="Fix it in Label Studio, Settings, Labeling Interface, or use another project: "
            "emolab label push --project NAME",
        ) from None


def theirs(config: str) -> tuple[str, ...]:
    """The names of the controls that the team has put on a form, in its order."""
    names = (str(control.get("name")) for control in _controls(parse(config)))
    return tuple(name for name in names if name not in (controls.ANSWER, *_OPTIONAL))


def reserved(config: str) -> frozenset[str]:
    """Names of emolab's optional questions that a form uses for a question of the team's own: five stars, say.

    Empty for a form that is no XML: nobody can answer with it, so nothing is known of what its controls were.
    """
    try:
        view = parse(config)
    except DataError:
        return frozenset()
    found = set()
    for name in _OPTIONAL:
        present = _named(view, name)
        if present is not None and not _is_emolabs(present, controls.optional(name, str(present.get("toName"))), view):
            found.add(name)
    return frozenset(found)


def lacking(config: str, used: Iterable[str]) -> list[str]:
    """Names of controls that answers were given with and that a form has not, or has in another way.

    ``used`` are controls as ``name|toName|type``, or names alone. Controls of the team's own may be named by a pattern,
    and this never removes them; so of those only the ones that the form has by their name are looked at.
    """
    view = parse(config)
    found = set()
    for name, target, kind in ((*text.split("|"), "", "")[:3] for text in used):
        control = _named(view, name)
        if control is None:
            if name in (controls.ANSWER, *_OPTIONAL):
                found.add(name)
        elif kind and kind != "textarea":
            same = target in str(control.get("toName", "")).split(",") and control.tag.lower() == kind.lower()
            found |= set() if same else {name}
    return sorted(found)


_SETTING = {controls.SECOND: "second_guess", controls.CONFIDENCE: "confidence"}


def _put_in(old: Xml.Element, new: Xml.Element) -> None:
    """Bring emolab's part of ``old`` to what ``new`` says, in place."""
    _put_object(old, new)
    for style in old.iter("Style"):
        if _is_own(style, new):
            style.text = next(new.iter("Style")).text
    _put_headings(old, new)
    after = controls.ANSWER
    for name in (controls.ANSWER, *_OPTIONAL):
        present, made = _named(old, name), _named(new, name)
        if present is not None and made is not None:
            tail = present.tail
            present.clear()
            present.tag, present.text, present.tail = made.tag, made.text, tail
            present.attrib.update(made.attrib)
            present.extend(copy.deepcopy(list(made)))
        elif made is not None:
            _insert(old, new, made, after=after)
        elif present is not None and _is_own(present, new):
            _remove(old, present, new)
        after = name if _named(old, name) is not None else after


def _put_headings(old: Xml.Element, new: Xml.Element) -> None:
    """emolab's own headings in the words, and that is the language, of the new form."""
    roles = {
        controls.HEADINGS[text]: text for e in new.iter("Header") if (text := str(e.get("value"))) in controls.HEADINGS
    }
    for header in old.iter("Header"):
        role = controls.HEADINGS.get(str(header.get("value")))
        if role in roles:
            header.set("value", roles[role])


def _put_object(old: Xml.Element, new: Xml.Element) -> None:
    """The picture itself: where the team gave it another name, it and what refers to it get the old one back."""
    made = next(e for e in new.iter() if str(e.get("value", "")).startswith("$"))
    name, value = str(made.get("name")), made.get("value")
    present = _named(old, name)
    if present is None:
        present = next((e for e in _parts(old) if e.tag == made.tag and e.get("value") == value), None)
    if present is None:
        old.insert(0, copy.deepcopy(made))
        return
    before = str(present.get("name"))
    for element in _parts(old):
        if before in (targets := str(element.get("toName", "")).split(",")):
            element.set("toName", ",".join(name if target == before else target for target in targets))
    present.attrib.clear()
    present.attrib.update(made.attrib)


def _insert(old: Xml.Element, new: Xml.Element, made: Xml.Element, *, after: str) -> None:
    """Add a control of emolab's, with its heading, behind another one and the headings that follow that."""
    anchor = _named(old, after)
    home = _parents(old)[anchor] if anchor is not None else old
    place = list(home).index(anchor) + 1 if anchor is not None else len(home)
    while place < len(home) and home[place].tag == "Header" and _is_own(home[place], new):
        place += 1
    siblings = list(_parents(new)[made])
    heading = siblings[siblings.index(made) - 1]
    for element in (made, heading):
        home.insert(place, copy.deepcopy(element))


def _remove(old: Xml.Element, present: Xml.Element, new: Xml.Element) -> None:
    """Take off a control of emolab's that is not wanted any more, and its heading."""
    home = _parents(old)[present]
    place = list(home).index(present)
    home.remove(present)
    if place > 0 and home[place - 1].tag == "Header" and _is_own(home[place - 1], new):
        del home[place - 1]


def _is_own(element: Xml.Element, new: Xml.Element) -> bool:
    """Whether emolab made an element: ``new`` is its own form."""
    name, tag = element.get("name"), element.tag
    if tag == "View":
        return not element.attrib or any(element.attrib == view.attrib for view in new.iter("View"))
    if tag == "Style":
        return f".{form_style.CLASS} .lsf-choices" in (element.text or "")
    if tag == "Header":
        return element.get("value") in controls.HEADINGS
    if name == controls.ANSWER:
        return True
    if name in _OPTIONAL:
        made = _named(new, name)
        return made is not None or element.attrib == controls.optional(name, str(element.get("toName"))).attrib
    return any(name == e.get("name") and e.tag == tag for e in new.iter() if e.get("value", "").startswith("$"))


def _is_emolabs(present: Xml.Element, made: Xml.Element, old: Xml.Element) -> bool:
    """Whether an optional question of a form asks what emolab's of that name asks, perhaps of other classes."""
    if present.tag != made.tag or present.get("maxRating") != made.get("maxRating"):
        return False
    asked = _named(old, controls.ANSWER)
    known = {controls.stored(choice) for e in (made, asked) if e is not None for choice in e.iter("Choice")}
    offered = {controls.stored(choice) for choice in present.iter("Choice")}
    return not offered or bool(offered & (known - set(controls.META_BUTTONS.values())))


def _parts(root: Xml.Element) -> Iterator[Xml.Element]:
    """Every element but what is inside emolab's own controls."""
    yield root
    if root.get("name") in (controls.ANSWER, *_OPTIONAL):
        return
    for child in root:
        yield from _parts(child)


def _controls(root: Xml.Element) -> Iterator[Xml.Element]:
    """Every element that people answer with."""
    return (element for element in root.iter() if element.get("name") and element.get("toName"))


def _named(root: Xml.Element, name: str) -> Xml.Element | None:
    return next((element for element in root.iter() if element.get("name") == name), None)


def _parents(root: Xml.Element) -> dict[Xml.Element, Xml.Element]:
    return {child: parent for parent in root.iter() for child in parent}
