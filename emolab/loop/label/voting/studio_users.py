"""Who a person of the app is at a Label Studio server: a user of their own, made when the first answer is sent."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emolab.errors import DataError, ServerError
from emolab.serving.people import OWNER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteUser
    from emolab.serving.people import PeopleFile


def known_user(catalog: Catalog, people: PeopleFile, person: str, server: str) -> int | None:
    """The number of ``person`` at a server, as far as it was needed before. Asks nobody."""
    from emolab.catalog import settings

    if person == OWNER:
        with catalog.connect() as conn:
            found = settings.get(conn, _owner_at(server))
        return None if found is None else int(found)
    return next((one.users.get(server) for one in people.all() if one.name == person), None)


@dataclass
class StudioUsers:
    """The users of people at one server; ``studio`` speaks with emolab's own account, whom the owner votes as."""

    catalog: Catalog
    people: PeopleFile
    studio: Studio
    _found: dict[str, int] = field(default_factory=dict)

    def of(self, person: str) -> int:
        """The number of ``person``, who is signed up where there is none.

        Raises :class:`ServerError` for a server that lets nobody be signed up.
        """
        if person not in self._found:
            server = self.studio.server_id
            known = known_user(self.catalog, self.people, person, server)
            self._found[person] = self._made(person, server) if known is None else known
        return self._found[person]

    def _made(self, person: str, server: str) -> int:
        from emolab.catalog import settings
        from emolab.labeling.label_studio.retry import patiently

        if person == OWNER:
            user = patiently(self.studio.whoami)
            with self.catalog.begin() as tx:
                settings.put(tx, _owner_at(server), str(user.id))
            return user.id
        with self.catalog.begin() as tx:
            email = address_of(person, settings.secret(tx))
        found = _by_email(patiently(self.studio.users), email)
        if found is None:
            self._sign_up(person, email)
            found = _by_email(patiently(self.studio.users), email)
        if found is None:
            raise ServerError(
                f"{self.studio.url} took the sign-up of {person}, but does not list the account.",
                hint="Give emolab's account the right to see all people of the organization.",
            )
        self._name(person, server, found)
        self.people.remember_user(person, server, found.id)
        return found.id

    def _sign_up(self, person: str, email: str) -> None:
        from emolab.labeling.label_studio.accounts import Browser, invitation
        from emolab.labeling.label_studio.retry import patiently

        try:
            link = patiently(lambda: invitation(self.studio))
            with Browser(self.studio.url) as browser:
                browser.sign_up(link, email, secrets.token_urlsafe(24))  # nobody logs in by it
        except ServerError as error:
            if error.retryable or error.outcome_unknown:
                raise
            raise ServerError(
                f"{self.studio.url} lets emolab make no account for {person}: {error.message}",
                hint=f"Let {email} sign up there by the invitation of the organization; the answers wait until then.",
                status=error.status,
            ) from error

    def _name(self, person: str, server: str, user: RemoteUser) -> None:
        """Give the person's votes the name that the owner has typed, where nothing stands against it."""
        from emolab.labeling.answers import pseudonyms

        with self.catalog.begin() as tx:
            name_annotator(tx, pseudonyms.remember(tx, server, [user.id], {user.id: user})[user.id], person)


def annotator_of(catalog: Catalog, people: PeopleFile, person: str) -> str:
    """The annotator whom the ledger knows, or will know, ``person`` as: the same as of answers at a server."""
    from emolab.catalog import settings
    from emolab.catalog.campaign import answers, remotes
    from emolab.labeling.answers.pseudonyms import pseudonym

    with catalog.connect() as conn:
        projects = remotes.projects(conn)
    for project in reversed(projects):
        user = known_user(catalog, people, person, project.server)
        with catalog.connect() as conn:
            known = answers.people(conn, project.server).get(user or 0)
        if known is not None:
            return known
    with catalog.begin() as tx:
        secret = settings.secret(tx)
    return pseudonym(secret, address_of(person, secret))


def name_annotator(tx: Connection, annotator: str, person: str) -> None:
    """Call an annotator by the name of ``person``, unless there is a name or something stands against it."""
    from emolab.catalog import nicknames

    if annotator not in nicknames.by_pseudonym(tx):
        try:
            nicknames.give(tx, annotator, person)
        except DataError:  # taken, too long or unprintable: the pseudonym stays
            return


def address_of(person: str, secret: bytes) -> str:
    """The address of a person's account: the same for ever, no letter ever arrives there.

    >>> address_of("Ann B.", b"secret")
    'ann-b-45a4bb0f@people.example'
    """
    plain = unicodedata.normalize("NFKD", person).encode("ascii", "ignore").decode().lower()
    slug = "-".join("".join(ch if ch.isalnum() else " " for ch in plain).split())[:32] or "person"
    digest = hmac.new(secret, f"app person {person}".encode(), hashlib.sha256).hexdigest()[:8]
    return f"{slug}-{digest}@people.example"


def _by_email(users: Mapping[int, RemoteUser], email: str) -> RemoteUser | None:
    return next((user for user in users.values() if user.email.lower() == email), None)


def _owner_at(server: str) -> str:
    return f"app owner {server}"[:64]
