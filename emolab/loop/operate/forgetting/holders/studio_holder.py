"""Label Studio: tasks with their answers, uploaded files, exports, and the pages of its database.

The embedded server's own code deletes tasks, so that its counts stay right; what it leaves (rows of uploads, files,
deleted pages) is taken away on disk. Of another server the tasks and rows are deleted, and its files are named.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.catalog.storage.chunks import chunks
from emolab.errors import ConfigError, ServerError
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.server.installation import DATABASE, data_folder
from emolab.loop.operate.forgetting import scrub
from emolab.loop.operate.forgetting.holder import Erased, Held, Holder, Scene, holds, naming, told
from emolab.words import many

if TYPE_CHECKING:
    from emolab.labeling.label_studio.client import Studio
    from emolab.loop.operate.forgetting.traces import Traces

_PLACES = ("studio/*",)


def studio() -> Holder:
    """Tasks, answers and uploads on labelling servers."""
    return Holder(
        name="labelling server", about="tasks, answers and uploads in Label Studio", places=_PLACES, find=_find,
        erase=_erase, verify=_verify,
    )  # fmt: skip


def _find(scene: Scene) -> Held:
    here = sum(len(tasks) for tasks in _own_tasks(scene).values())
    uploads = [file for file in naming(scene, ("studio/data/media/*", "studio/data/export/*")) if file.is_file()]
    there = sum(len(tasks) for tasks in _elsewhere(scene).values())
    words = [many(here, "task"), many(len(uploads), "file")] + ([many(there, "task elsewhere")] if there else [])
    return Held(here + len(uploads) + there, ", ".join(words))


def _erase(scene: Scene) -> Erased:
    tasks = _own_tasks(scene)
    n = sum(map(len, tasks.values()))
    if n:
        with _running(scene) as client:
            for project, numbers in tasks.items():
                for part in chunks(numbers, 500):
                    client.delete_tasks(project, part)
    files = naming(scene, ("studio/data/media/*", "studio/data/export/*", "studio/data/test_data/*"))
    for file in files:
        file.unlink(missing_ok=True)
    database = _database(scene)
    if database.is_file() and any(holds(part, scene.traces) for part in _parts(database)):
        _clean(database, scene.traces)
    unreached, to_do, deleted = _erase_elsewhere(scene)
    words = [many(n, "task"), many(len(files), "file")] + ([many(deleted, "task elsewhere")] if deleted else [])
    return Erased(n + len(files) + deleted, ", ".join(words), unreached=unreached, to_do=to_do)


def _verify(scene: Scene) -> list[str]:
    files = [file for file in naming(scene, _PLACES) if not file.name.endswith("-shm")]
    return told(scene, files)


@contextmanager
def _running(scene: Scene) -> Iterator[Studio]:
    """A client of the embedded server, which is started where it is down, and stopped again then."""
    from emolab.labeling.label_studio.client import connect

    server = EmbeddedServer(scene.workspace)
    up = server.ready(progress=scene.progress)
    started = up is None
    up = up or server.start(progress=scene.progress).server
    try:
        with connect(up.url, server.token()) as client:
            yield client
    finally:
        if started:
            server.stop(progress=scene.progress)


def _database(scene: Scene) -> Path:
    return data_folder(scene.workspace.studio) / DATABASE


def _parts(database: Path) -> list[Path]:
    return [part for end in ("", "-wal") if (part := database.with_name(database.name + end)).is_file()]


def _own_tasks(scene: Scene) -> dict[int, list[int]]:
    """The embedded server's tasks about the samples, by project."""
    database, found = _database(scene), dict[int, list[int]]()
    if not database.is_file():
        return found
    with closing(
        sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=scrub.WAIT)
    ) as connection:
        for task, project, data in connection.execute("SELECT id, project_id, data FROM task"):
            if scene.traces.inside(str(data).encode()):
                found.setdefault(int(project), []).append(int(task))
    return found


def _clean(database: Path, traces: Traces) -> None:
    """Delete the rows that name a trace still, such as those of uploads, and write all pages anew."""
    with closing(sqlite3.connect(database, timeout=scrub.WAIT)) as connection:
        connection.create_function("holds_a_trace", 1, lambda value: _has(value, traces))
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA foreign_keys=ON")
        for table, columns in scrub.tables_of(connection).items():
            wanted = " OR ".join(f'holds_a_trace("{column}")' for column in columns)
            connection.execute(f'DELETE FROM "{table}" WHERE {wanted}')  # noqa: S608 (names from the database itself)
        connection.commit()
        scrub.rewrite(connection, database)


def _has(value: object, traces: Traces) -> bool:
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return isinstance(data, bytes) and traces.inside(data)


def _elsewhere(scene: Scene) -> dict[tuple[str, int], dict[int, str]]:
    """Tasks on servers that are not the embedded one, as the catalog knows them: sample by task, by server and project.

    Projects of the embedded server are those that its database has, where no other server is set.
    """
    from sqlalchemy import select

    from emolab.catalog.storage import schema
    from emolab.labeling.server.address import external_url

    tasks, projects, samples = schema.remote_tasks.c, schema.projects.c, schema.samples.c
    found: dict[tuple[str, int], dict[int, str]] = {}
    with scene.workspace.catalog() as catalog, catalog.connect() as conn:
        for part in chunks(scene.traces.ids, 500):
            query = (
                select(projects.server, projects.project, tasks.task, samples.id)
                .join(schema.projects, projects.pk == tasks.project)
                .join(schema.samples, samples.pk == tasks.sample)
                .where(samples.id.in_(part), tasks.task.is_not(None), tasks.state != "deleted", ~projects.gone)
            )
            for server, project, task, sample in conn.execute(query):
                found.setdefault((str(server), int(project)), {})[int(task)] = str(sample)
    if external_url(scene.workspace) is None:
        own = _own_projects(scene)
        found = {key: value for key, value in found.items() if key[1] not in own}
    return found


def _own_projects(scene: Scene) -> set[int]:
    database = _database(scene)
    if not database.is_file():
        return set()
    with closing(
        sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=scrub.WAIT)
    ) as connection:
        return {int(row[0]) for row in connection.execute("SELECT id FROM project")}


def _erase_elsewhere(scene: Scene) -> tuple[list[str], list[str], int]:
    """Delete tasks and rows of uploads on another server; what stays there in words, what to type, how many tasks."""
    wanted = _elsewhere(scene)
    if not wanted:
        return [], [], 0
    try:
        from emolab.labeling.server.address import open_studio

        with open_studio(scene.workspace) as client:
            return _delete_there(client, wanted)
    except (ServerError, ConfigError) as error:
        n = sum(map(len, wanted.values()))
        where = ", ".join(sorted({f"project {project}" for _, project in wanted}))
        return (
            [f"{many(n, 'task')} on a Label Studio that could not be reached ({where}): {error.message}"],
            [
                f"In project {project}, delete task {task}, and of its media folder upload/{project}/*-{sample}.*"
                for (_, project), tasks in wanted.items()
                for task, sample in tasks.items()
            ],
            0,
        )


def _delete_there(
    client: Studio, wanted: Mapping[tuple[str, int], Mapping[int, str]]
) -> tuple[list[str], list[str], int]:
    unreached, to_do, deleted = list[str](), list[str](), 0
    for (server, project), tasks in wanted.items():
        if server != client.server_id:
            unreached.append(
                f"{many(len(tasks), 'task')} in project {project} of a Label Studio that is not the one set now."
            )
            to_do += [
                f"There, delete task {task} of project {project}, and the files *-{tasks[task]}.*" for task in tasks
            ]
            continue
        samples = set(tasks.values())
        for part in chunks(sorted(tasks), 500):
            client.delete_tasks(project, part)
        deleted += len(tasks)
        uploads = [each for each in client.file_uploads(project) if any(sample in each.path for sample in samples)]
        for each in uploads:
            client.http.call("DELETE", f"/api/import/file-upload/{each.id}")
        unreached.append(
            f"{many(len(uploads), 'uploaded file')} and deleted pages of the database of Label Studio at {client.url}, "
            f"project {project}: its API deletes no file. On that machine, delete them in its media folder, and run "
            "VACUUM in its database."
        )
        to_do += [
            f"On the machine of {client.url}, in Label Studio's media folder: rm {_below_media(each.path)}"
            for each in uploads
        ]
    return unreached, to_do, deleted


def _below_media(path: str) -> str:
    return path.removeprefix("/data/").lstrip("/")


STUDIO_HOLDERS: Sequence[Any] = (studio,)
