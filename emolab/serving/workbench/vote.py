"""Voting: the form, the next faces, their pictures; answers, each stored before it is confirmed, and their undoing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emolab.errors import DataError, EmolabError
from emolab.loop.label.voting.desk import AnsweredAlready, GivenAnswer, NextFaces, VoteFace, VotingDesk
from emolab.loop.label.voting.vote_form import example_pictures, vote_form
from emolab.loop.label.voting.writer import VoteWriter, WriteThrough
from emolab.modalities.modality import open_modality
from emolab.ranges import WORDS
from emolab.serving.app.errors import JSONAnswer, RequestRefused
from emolab.serving.people import Person
from emolab.serving.workbench.session import APP, Workbench, allowed, json_body

#: Further labels that one answer may name.
MOST_LABELS = 64
#: A picture never changes under its address; nobody but the person's own browser keeps it.
KEPT = {"cache-control": "private, max-age=86400, immutable"}


@dataclass
class Voting:
    """What the routes of voting share."""

    desk: VotingDesk
    writer: VoteWriter
    _examples: Mapping[str, Sequence[bytes]] | None = field(default=None)

    def examples(self, bench: Workbench) -> Mapping[str, Sequence[bytes]]:
        """Example pictures by class, read once."""
        if self._examples is None:
            self._examples = example_pictures(bench.workspace)
        return self._examples

    def close(self) -> None:
        """Stop writing, then close the catalog."""
        self.writer.close()
        self.desk.close()


def open_voting(bench: Workbench) -> Voting:
    """The voting of a workspace, whose writer runs. Close it."""
    writer = VoteWriter(WriteThrough(bench.workspace))
    desk = VotingDesk(bench.workspace, bench.people, on_answer=writer.ask)
    writer.after = desk.refresh
    writer.start()
    return Voting(desk, writer)


def routes(bench: Workbench, voting: Voting) -> list[Route]:
    """The routes of voting."""
    api = f"{APP}/api/vote"
    return [
        Route(f"{api}/form", partial(form, bench=bench, voting=voting), methods=["GET"]),
        Route(
            f"{api}/examples/{{label}}/{{number:int}}", partial(example, bench=bench, voting=voting), methods=["GET"]
        ),
        Route(f"{api}/pictures/{{sample}}", partial(picture, bench=bench, voting=voting), methods=["GET"]),
        Route(f"{api}/next", partial(next_ones, bench=bench, voting=voting), methods=["POST"]),
        Route(f"{api}/last", partial(last, bench=bench, voting=voting), methods=["GET"]),
        Route(f"{api}/answers", partial(answers, bench=bench, voting=voting), methods=["POST"]),
        Route(f"{api}/undo", partial(undo, bench=bench, voting=voting), methods=["POST"]),
    ]


@allowed("annotator")
async def form(request: Request, bench: Workbench, person: Person, *, voting: Voting) -> Response:
    """What is asked, with the keys, in the language that the page speaks."""
    config = bench.workspace.config
    language = request.query_params.get("language", person.language or config.labeling.language)
    if language not in WORDS["labeling.language"]:
        raise RequestRefused(422, "unknown_language", "The pages do not speak that language.")
    try:
        pictures = await asyncio.to_thread(voting.examples, bench)
    except EmolabError as error:
        raise RequestRefused(500, "wrong_settings", error.message, error.hint) from None
    return JSONAnswer(vote_form(config, language, pictures).to_dict())


@allowed("annotator")
async def example(request: Request, bench: Workbench, person: Person, *, voting: Voting) -> Response:
    """One example picture of a class."""
    del person
    pictures = (await asyncio.to_thread(voting.examples, bench)).get(request.path_params["label"], ())
    number = request.path_params["number"]
    if number >= len(pictures):
        raise RequestRefused(404, "unknown_path", "There is no such example.")
    return Response(pictures[number], media_type="image/jpeg", headers=KEPT)


@allowed("annotator")
async def picture(request: Request, bench: Workbench, person: Person, *, voting: Voting) -> Response:
    """The picture or sound of a sample that the team is asked about, as :meth:`VotingDesk.shown` gives it."""
    del bench, person
    try:
        data = await asyncio.to_thread(voting.desk.shown, request.path_params["sample"])
    except OSError:
        data = None
    if data is None:
        raise RequestRefused(404, "unknown_sample", "There is no such picture.")
    modality = open_modality(voting.desk.workspace.config.project.modality)
    _, kind = modality.file_type(data) or ("", "application/octet-stream")
    return Response(data, media_type=kind, headers=KEPT)


@allowed("annotator")
async def next_ones(request: Request, bench: Workbench, person: Person, *, voting: Voting) -> Response:
    """Further faces, for a page that holds some already."""
    del bench
    holding, n = _holding(await json_body(request))
    return JSONAnswer(_told(await asyncio.to_thread(voting.desk.next_faces, person.name, holding, n), voting))


@allowed("annotator")
async def last(request: Request, bench: Workbench, person: Person, *, voting: Voting) -> Response:
    """The person's last answers, which may be taken back, the newest first."""
    del request, bench
    found = await asyncio.to_thread(voting.desk.last, person.name)
    return JSONAnswer({"answers": [{"id": number, "face": _face(face)} for number, face in found]})


@allowed("annotator")
async def answers(request: Request, bench: Workbench, person: Person, *, voting: Voting) -> Response:
    """Store an answer, once, however often it is sent; and the next faces."""
    body = await json_body(request)
    given, (holding, n) = _given(body), _holding(body)

    def stored() -> tuple[bool, NextFaces]:
        new = voting.desk.answer(person.name, given)
        return new, voting.desk.next_faces(person.name, holding, n)

    try:
        new, following = await asyncio.to_thread(stored)
    except AnsweredAlready as error:
        raise RequestRefused(409, "answered_already", error.message) from None
    except DataError as error:
        raise RequestRefused(422, "not_taken", error.message, error.hint) from None
    if new:
        bench.note(person, "skip" if given.label is None else "vote", {"sample": given.sample, "answer": given.id})
    return JSONAnswer({"stored": given.id, **_told(following, voting)})


@allowed("annotator")
async def undo(request: Request, bench: Workbench, person: Person, *, voting: Voting) -> Response:
    """Take an answer of one's own back, once; and its face again."""
    body = await json_body(request)
    undo_id, answer = _text(body, "id"), _text(body, "answer")
    holding, n = _holding(body)

    def taken() -> tuple[VoteFace | None, NextFaces]:
        face = voting.desk.undo(person.name, undo_id, answer)
        held = [*holding, *([] if face is None else [face.sample])]
        return face, voting.desk.next_faces(person.name, held, n)

    try:
        face, following = await asyncio.to_thread(taken)
    except DataError as error:
        raise RequestRefused(422, "not_taken", error.message, error.hint) from None
    bench.note(person, "undo", {"sample": None if face is None else face.sample, "answer": answer})
    return JSONAnswer({"face": None if face is None else _face(face), **_told(following, voting)})


def _face(face: VoteFace) -> dict[str, Any]:
    return {
        "sample": face.sample,
        "kind": face.kind,
        "guess": face.guess,
        "picture": f"{APP}/api/vote/pictures/{face.sample}",
    }


def _told(found: NextFaces, voting: Voting) -> dict[str, Any]:
    return {
        "faces": [_face(face) for face in found.faces],
        "left": found.left,
        "asked": found.asked,
        "waiting": found.counts.waiting,
        "refused": found.counts.refused,
        "studio": not voting.writer.problem,
    }


def _given(body: Mapping[str, Any]) -> GivenAnswer:
    """The answer in a body. Raises :class:`RequestRefused` for another form."""
    label = None if body.get("skip") is True else _text(body, "label")
    stars, seconds = body.get("stars"), body.get("seconds")
    if stars is not None and (isinstance(stars, bool) or not isinstance(stars, int)):
        raise RequestRefused(422, "wrong_form", '"stars" is no whole number.')
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
        raise RequestRefused(422, "wrong_form", '"seconds" is no number.')
    return GivenAnswer(
        id=_text(body, "id"),
        sample=_text(body, "sample"),
        label=label,
        second=None if body.get("second") is None else _text(body, "second"),
        stars=stars,
        seconds=seconds,
        shown=None if body.get("shown") is None else _text(body, "shown"),
        also=_labels(body),
    )


def _labels(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Further labels of the answer in a body."""
    also = body.get("also", [])
    if not isinstance(also, list) or len(also) > MOST_LABELS or not all(isinstance(one, str) for one in also):
        raise RequestRefused(422, "wrong_form", '"also" is a list of labels.')
    return tuple(also)


def _holding(body: Mapping[str, Any]) -> tuple[list[str], int]:
    """The samples that a page holds, and how many more it wants."""
    holding, n = body.get("holding", []), body.get("n", 1)
    whole = isinstance(n, int) and not isinstance(n, bool) and n >= 0
    if not whole or not isinstance(holding, list) or not all(isinstance(one, str) for one in holding):
        raise RequestRefused(422, "wrong_form", '"holding" is a list of samples, "n" how many more are wanted.')
    return holding, n


def _text(body: Mapping[str, Any], key: str) -> str:
    found = body.get(key)
    if not isinstance(found, str) or not 0 < len(found) <= 200:
        raise RequestRefused(422, "wrong_form", f'There is no text "{key}" in the JSON.')
    return found
