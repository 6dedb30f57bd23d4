"""What is held about somebody who votes, as one folder: a page, and the same as JSON (GDPR, Article 15)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emolab.loop.operate.privacy.report_folder import DATA, PAGE, PrivacyReport, cell
from emolab.words import many

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.workspace import Workspace

#: What is not searched, and what it holds.
UNREAD = {
    "elsewhere": "Labelling servers that are not the embedded one: each has its own page of an account.",
    "snapshots": "Snapshots of the data and backups hold votes under the pseudonym, as far as they had been cast.",
}


def annotator_report(workspace: Workspace, annotator: str, folder: Path) -> PrivacyReport:
    """Write what is held about ``annotator`` into the new ``folder``, as :func:`privacy_report` says."""
    from emolab.catalog.privacy import held_rows
    from emolab.errors import DataError
    from emolab.loop.operate.forgetting.holders.people_holder import accounts, find_annotators
    from emolab.loop.operate.serve_people import people_file

    with workspace.catalog() as catalog, catalog.connect() as conn:
        traces = find_annotators(workspace, conn, [annotator])
        name = traces.renamed[0][0]
        rows = held_rows.rows_of_annotator(conn, name, sorted(traces.exact))
        events = {row["pk"]: row for each in sorted(traces.exact) for row in held_rows.events_about(conn, each, [])}
    rows["events"] = [events[pk] for pk in sorted(events)]
    links = [
        {"name": one.name, "role": one.role, "created_at": one.created_at, "expires_at": one.expires_at}
        for one in people_file(workspace).all()
        if one.name in traces.exact
    ]
    users = [
        {"number": one.number, "email": one.email, "username": one.username}
        for one in accounts(workspace)
        if one.email in traces.exact
    ]
    told = {
        "annotator": name, "catalog": rows, "links_to_the_app": links, "accounts_in_label_studio": users,
        "not_searched": UNREAD,
    }  # fmt: skip
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        (part / DATA).write_text(json.dumps(told, indent=1), encoding="utf-8")
        (part / PAGE).write_text(_page(told), encoding="utf-8")
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise DataError(f"{folder} cannot be written: {error.strerror}.") from error
    counted = {**{table: len(found) for table, found in rows.items()}, "links": len(links), "accounts": len(users)}
    return PrivacyReport(
        subject=name, folder=folder, ids=[], rows=counted, files=[], models=[], predictions={}, missing=[],
        unread=UNREAD,
    )  # fmt: skip


def _page(told: Mapping[str, Any]) -> str:
    from emolab.pages.html import Section, facts, page, paragraph, table

    rows = told["catalog"]
    votes = rows.get("votes", [])
    pairs = {
        "Pseudonym": str(told["annotator"]),
        "Votes": f"{len(votes):,}, {sum(row['withdrawn'] is not None for row in votes):,} of them withdrawn",
        "Answers in the app": f"{len(rows.get('app_answers', [])):,}",
        "Accounts in the embedded Label Studio": str(len(told["accounts_in_label_studio"])),
        "Links to the app": str(len(told["links_to_the_app"])),
    }
    sections = [Section(title="In short", body=facts(pairs) + paragraph(f"{DATA} holds all of it as data."))]
    accounts, links = told["accounts_in_label_studio"], told["links_to_the_app"]
    tables = {"accounts in Label Studio": accounts, "links to the app": links}
    for title, found in (*tables.items(), *((f"catalog: {name}", some) for name, some in rows.items())):
        if found:
            cells = [[cell(value) for value in row.values()] for row in found]
            sections.append(Section(title=f"{title[0].upper()}{title[1:]}", body=table(list(found[0]), cells)))
    sections.append(Section(title="Not searched", body="".join(map(paragraph, told["not_searched"].values()))))
    return page(f"What is held about {told['annotator']}, {many(len(votes), 'vote')}", sections)
