"""An annotator: the person goes, the votes stay, under a pseudonym that nothing links to the one before.

1. The account in the embedded Label Studio loses name, address, password and tokens; nobody can log in by it.
2. The personal link to the app goes, and the name under which answers were given there.
3. In the catalog the annotator gets another pseudonym, made at random, and no nickname.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.errors import UnknownName
from emolab.labeling.server.installation import DATABASE, data_folder
from emolab.loop.operate.forgetting import scrub
from emolab.loop.operate.forgetting.holder import Erased, Held, Holder, Scene
from emolab.loop.operate.forgetting.traces import Traces, tells
from emolab.words import many

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.workspace import Workspace

_USERS = "htx_user"


@dataclass(frozen=True)
class Account:
    """An account of the embedded Label Studio."""

    number: int
    email: str
    username: str


def find_annotators(workspace: Workspace, conn: Connection, wanted: Sequence[str]) -> Traces:
    """The traces of annotators by pseudonym, nickname, e-mail address, or name in the app.

    Raises :class:`UnknownName` for one of whom nothing is known.
    """
    from emolab.catalog import settings
    from emolab.catalog.privacy import renamed_annotators
    from emolab.labeling.answers.pseudonyms import pseudonym
    from emolab.loop.label.voting.studio_users import address_of
    from emolab.loop.operate.serve_people import people_file

    secret = bytes.fromhex(settings.get(conn, "secret") or "")
    known = renamed_annotators.known(conn)
    persons = renamed_annotators.persons(conn) | {one.name for one in people_file(workspace).all()}
    in_app = {name: pseudonym(secret, address_of(name, secret)) for name in persons}
    addressed = [(pseudonym(secret, one.email), one) for one in accounts(workspace)]
    called = {str(nickname).casefold(): name for name, nickname in known.items() if nickname}
    found, names = list[str](), list[str]()
    for each in wanted:
        by_address = pseudonym(secret, each)
        name = each if each in known else called.get(each.casefold()) or in_app.get(each)
        name = name or (by_address if by_address in known or any(by_address == of for of, _ in addressed) else None)
        if name is None:
            raise UnknownName("annotator", each, [*known, *(str(one) for one in known.values() if one), *persons])
        found.append(name)
        names += [name, str(known.get(name) or name), *(one for one, of in in_app.items() if of == name)]
        names += [text for of, one in addressed if of == name for text in (one.email, one.username)]
        names += [each] if "@" in each else []
    exact = tuple(dict.fromkeys(names))
    renamed = tuple((name, f"{renamed_annotators.PREFIX}{secrets.token_hex(4)}") for name in dict.fromkeys(found))
    return Traces(names=exact, texts=tuple(sorted(filter(tells, exact))), renamed=renamed)


def people() -> Holder:
    """What is known of the person behind votes."""
    return Holder(
        name="annotators", about="names, accounts and links of people who voted", places=("serving/people.json*",),
        find=_find, erase=_erase, verify=_verify,
    )  # fmt: skip


def _find(scene: Scene) -> Held:
    from emolab.catalog.privacy import renamed_annotators

    if not scene.traces.renamed:
        return Held(0, "nobody")
    with scene.workspace.catalog() as catalog, catalog.connect() as conn:
        known = renamed_annotators.known(conn)
        pseudonyms = [name for name, _ in scene.traces.renamed if name in known]
        votes = sum(renamed_annotators.votes_of(conn, name) for name in pseudonyms)
    theirs, links = _theirs(scene), _links(scene)
    n = len(pseudonyms) + len(theirs) + len(links)
    what = f"{many(len(pseudonyms), 'annotator')}, whose {many(votes, 'vote')} stay without the person, "
    return Held(n, what + f"{many(len(theirs), 'account')}, {many(len(links), 'link')}")


def _erase(scene: Scene) -> Erased:
    from emolab.catalog.privacy import renamed_annotators
    from emolab.loop.operate.serve_people import people_file

    if not scene.traces.renamed:
        return Erased(0, "nobody")
    held = _find(scene)
    with scene.workspace.catalog() as catalog:
        with catalog.connect() as conn:
            users = {user for name, _ in scene.traces.renamed for user in renamed_annotators.users_of(conn, name)}
            users |= {user for _, name in scene.traces.renamed for user in renamed_annotators.users_of(conn, name)}
        unreached = _elsewhere(scene, sorted(users))
        for name in _links(scene):
            people_file(scene.workspace).revoke(name)
        _without_person(scene)
        with catalog.begin() as tx:
            renamed_annotators.rename(tx, dict(scene.traces.renamed))
    return Erased(held.n, held.what, unreached=unreached)


def _elsewhere(scene: Scene, users: Sequence[tuple[str, int]]) -> list[str]:
    """Accounts on servers that are not the embedded one, in words."""
    own = {one.number for one in _theirs(scene)} | _renamed_before(scene)
    return [
        f"Account no. {user} of the Label Studio with the id {server} is that person's: delete or rename it there. "
        "Until then that server says whose answers these votes were."
        for server, user in users
        if user not in own
    ]


def _links(scene: Scene) -> list[str]:
    from emolab.loop.operate.serve_people import people_file

    return [one.name for one in people_file(scene.workspace).all() if one.name in scene.traces.exact]


def accounts(workspace: Workspace) -> Iterator[Account]:
    """Everybody with an account in the embedded Label Studio but its administrator."""
    from emolab.labeling.server.installation import ADMIN

    database = data_folder(workspace.studio) / DATABASE
    if not database.is_file():
        return
    with closing(_opened(database)) as connection:
        for row in connection.execute(f"SELECT id, email, username FROM {_USERS} WHERE email != ?", (ADMIN,)):  # noqa: S608
            yield Account(int(row[0]), str(row[1]), str(row[2]))


def _theirs(scene: Scene) -> list[Account]:
    return [one for one in accounts(scene.workspace) if one.email in scene.traces.exact]


def _renamed_before(scene: Scene) -> set[int]:
    """Accounts that lost their person already, by a run that was stopped."""
    aliases = {new for _, new in scene.traces.renamed}
    return {one.number for one in accounts(scene.workspace) if one.email.partition("+")[0] in aliases}


def _without_person(scene: Scene) -> None:
    """Take name, address, password and tokens from the accounts; those who are logged in are out at once."""
    theirs = _theirs(scene)
    if not theirs:
        return
    database = data_folder(scene.workspace.studio) / DATABASE
    alias = scene.traces.renamed[0][1]
    with closing(sqlite3.connect(database, timeout=scrub.WAIT)) as connection:
        connection.execute("PRAGMA secure_delete=ON")
        columns = set(scrub.tables_of(connection)[_USERS])
        for one in theirs:
            avatar = connection.execute(f"SELECT avatar FROM {_USERS} WHERE id = ?", (one.number,)).fetchone()[0]  # noqa: S608
            if avatar:
                (database.parent / "media" / str(avatar)).unlink(missing_ok=True)
            new = {
                "username": f"{alias}-{one.number}", "email": f"{alias}+{one.number}@people.invalid", "first_name": "",
                "last_name": "", "phone": "", "avatar": "", "password": "!", "is_active": 0, "last_login": None,
            }  # fmt: skip
            new = {name: value for name, value in new.items() if name in columns}
            given = ", ".join(f'"{name}" = ?' for name in new)
            connection.execute(f"UPDATE {_USERS} SET {given} WHERE id = ?", (*new.values(), one.number))  # noqa: S608
            _delete_tokens(connection, one.number)
        connection.commit()
        scrub.rewrite(connection, database)


def _delete_tokens(connection: sqlite3.Connection, user: int) -> None:
    """Delete the tokens of a user, and what refers to them."""
    tables = [name for name in scrub.tables_of(connection) if "token" in name]
    owned = {
        table: (row[3], row[4] or "id")
        for table in tables
        for row in connection.execute(f'PRAGMA foreign_key_list("{table}")')
        if row[2] == _USERS
    }
    for table, (column, _) in owned.items():
        for other in tables:
            for row in connection.execute(f'PRAGMA foreign_key_list("{other}")').fetchall():
                if row[2] == table:
                    theirs = f'SELECT "{row[4] or "id"}" FROM "{table}" WHERE "{column}" = ?'  # noqa: S608
                    connection.execute(f'DELETE FROM "{other}" WHERE "{row[3]}" IN ({theirs})', (user,))  # noqa: S608
        connection.execute(f'DELETE FROM "{table}" WHERE "{column}" = ?', (user,))  # noqa: S608


def _opened(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=scrub.WAIT)


def _verify(scene: Scene) -> list[str]:
    from emolab.catalog.privacy import renamed_annotators

    if not scene.traces.renamed:
        return []
    with scene.workspace.catalog() as catalog, catalog.connect() as conn:
        known = renamed_annotators.known(conn)
    left = ["an annotator of the catalog" for name, _ in scene.traces.renamed if name in known]
    left += [f"account {one.number} of Label Studio" for one in _theirs(scene)]
    return left + ["a personal link to the app" for _ in _links(scene)]


PEOPLE_HOLDERS: Sequence[Any] = (people,)
