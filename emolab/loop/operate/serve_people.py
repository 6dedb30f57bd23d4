"""People who come to the app of ``emolab serve --app`` by a personal link: invited, listed and taken back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.loop.operate.serve_keys import FOLDER
from emolab.results import Result, Table

if TYPE_CHECKING:
    from emolab.config import ServeConfig
    from emolab.serving.people import PeopleFile, Person
    from emolab.workspace import Workspace

#: Days that a link is valid where nothing else is said.
DAYS = 30.0
#: Addresses that stand for all of a machine's own.
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104


@dataclass(frozen=True, slots=True)
class NewPerson(Result):
    """The personal ``link`` of ``name``, which is nowhere else: only a hash of its token is kept.

    ``account`` is the address of this person in Label Studio. Who signs up there by it is the same person in both.
    """

    name: str
    role: str
    link: str
    expires_at: str
    account: str


@dataclass(frozen=True, slots=True)
class RevokedPerson(Result):
    """Whose link is not valid any more, and since when it had been."""

    name: str
    role: str
    created_at: str


@dataclass(frozen=True, slots=True)
class AppPeople(Result):
    """All ``people``, oldest first; to be counted and gone through like a list."""

    people: list[Person]

    def __iter__(self) -> Iterator[Person]:
        return iter(self.people)

    def __len__(self) -> int:
        return len(self.people)

    def to_dict(self) -> dict[str, Any]:
        """Who may come, as what, from when and until when, ready for JSON."""
        return {
            "people": [
                {
                    "name": one.name,
                    "role": one.role,
                    "created_at": one.created_at,
                    "expires_at": one.expires_at,
                    "expired": one.expired(),
                    "language": one.language,
                }
                for one in self.people
            ]
        }

    def tables(self) -> list[Table]:
        """One row a person."""
        rows = [[one.name, one.role, one.created_at, one.expires_at] for one in self.people]
        return [Table("People", ("name", "role", "made", "until"), rows)]


def add_serve_person(
    workspace: Workspace,
    name: str,
    *,
    role: str = "annotator",
    days: float = DAYS,
    language: str | None = None,
    url: str | None = None,
) -> NewPerson:
    """Make a personal link to the app for ``name``, valid for ``days``; a running server knows it at once.

    ``role`` is annotator (votes only), reader or owner. ``language`` is what the pages speak [labeling.language].
    ``url`` is where the server is reached [serve.host and serve.port].

    Raises :class:`DataError` for a name that is taken or cannot be one, :class:`ConfigError` for an unknown role or
    language.
    """
    from emolab.catalog import settings
    from emolab.errors import ConfigError
    from emolab.loop.given import check_given
    from emolab.loop.label.voting.studio_users import address_of
    from emolab.ranges import WORDS
    from emolab.serving.people import ROLES

    check_given({"option.days": days})
    if role not in ROLES:
        raise ConfigError(f'There is no role "{role}".', hint=f"Roles: {', '.join(ROLES)}.")
    if language is not None and language not in WORDS["labeling.language"]:
        raise ConfigError(
            f'The pages do not speak "{language}".', hint=f"Languages: {', '.join(WORDS['labeling.language'])}."
        )
    token, made = people_file(workspace).add(name, role, days=days, language=language)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        account = address_of(name, settings.secret(tx))
    return NewPerson(name, role, link_of(url or app_url(workspace.config.serve), token), made.expires_at, account)


def serve_people(workspace: Workspace) -> AppPeople:
    """Who has a personal link to the app, expired ones included; nobody is no error."""
    return AppPeople(list(people_file(workspace).all()))


def revoke_serve_person(workspace: Workspace, name: str) -> RevokedPerson:
    """Take the link of ``name`` back; a running server refuses it from now on. What was voted stays.

    Raises :class:`UnknownName` with the nearest name.
    """
    gone = people_file(workspace).revoke(name)
    return RevokedPerson(gone.name, gone.role, gone.created_at)


def people_file(workspace: Workspace) -> PeopleFile:
    """The file of the workspace's people."""
    from emolab.serving.people import PeopleFile

    return PeopleFile(workspace.state / FOLDER / "people.json")


def link_of(url: str, token: str) -> str:
    """The personal link: the token stands behind a #, so that no server and no log gets it with the address.

    >>> link_of("http://127.0.0.1:8000/", "abc")
    'http://127.0.0.1:8000/app#abc'
    """
    return f"{url.rstrip('/')}/app#{token}"


def app_url(settings: ServeConfig) -> str:
    """Where the server of these settings is reached; under the machine's name where it listens everywhere."""
    host = socket.gethostname() if settings.host in _EVERYWHERE else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
