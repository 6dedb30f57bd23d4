"""The workspace's dataset in FiftyOne: its name, its fields, and how samples are written into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from emolab.catalog import Catalog, settings
from emolab.datasets.inspect import rows
from emolab.datasets.inspect.documents import DocumentField, Writer
from emolab.datasets.inspect.sync import Direct, Path, Public, agrees
from emolab.progress import Progress
from emolab.workspace import Workspace

LONGEST_NAME = 1000  # characters of a dataset's name; FiftyOne takes 1,551


def owner_id(workspace: Workspace, catalog: Catalog) -> str:
    """What tells this workspace's dataset from another one of the same name on the same database."""
    if workspace.read_only:
        with catalog.connect() as conn:
            return settings.get(conn, "inspect.owner") or workspace.writable.name
    with catalog.begin() as tx:
        return owner_of(tx)


def owner_of(tx: Connection) -> str:
    """The same, made and kept where there is none yet."""
    found = settings.get(tx, "inspect.owner")
    if found is None:
        found = uuid4().hex
        settings.put(tx, "inspect.owner", found)
    return found


def dataset_name(fo: Any, workspace: Workspace, owner: str) -> str:
    """The project's name, with the start of ``owner`` behind it where another workspace has a dataset of that name.

    FiftyOne wants a Latin letter or a digit in it, for its addresses.
    """
    name = workspace.config.project.name[:LONGEST_NAME]
    if not any(ch.isascii() and ch.isalnum() for ch in name):
        name = f"emolab {name}"
    if fo.dataset_exists(name):
        there = fo.load_dataset(name)
        holder = there.info.get("emolab", {}).get("owner")
        if holder != owner and (holder or len(there)):
            return f"{name}-{owner[:6]}"
    return name


def prepared(fo: Any, name: str, known: Sequence[DocumentField]) -> Any:
    """The dataset called ``name`` with all fields, made where missing."""
    dataset = fo.load_dataset(name) if fo.dataset_exists(name) else fo.Dataset(name, persistent=True)
    if dataset.media_type is None:
        dataset.media_type = "image"
    types = {
        "string": fo.StringField,
        "int": fo.IntField,
        "float": fo.FloatField,
        "bool": fo.BooleanField,
        "date": fo.DateTimeField,
    }
    have = dataset.get_field_schema(flat=True)
    for field in known:
        if field.name in have and all(f"{field.name}.{part}" in have for part, _ in field.parts):
            continue
        about: dict[str, Any] = {"description": field.about}
        if field.kind in types:
            dataset.add_sample_field(field.name, types[field.kind], **about)
            continue
        about["embedded_doc_type"] = fo.Classification if field.kind == "classification" else fo.DynamicEmbeddedDocument
        about["fields"] = [_named(types[kind](), part) for part, kind in field.parts] or None
        if field.kind == "list":
            about["subfield"] = fo.EmbeddedDocumentField
        dataset.add_sample_field(
            field.name, fo.ListField if field.kind == "list" else fo.EmbeddedDocumentField, **about
        )
    if "uid" not in dataset.list_indexes():
        dataset.create_index("uid", unique=True)
    return dataset


def _named(field: Any, name: str) -> Any:
    field.name = field.db_field = name
    return field


def writing_path(fo: Any, dataset: Any, classes: Sequence[str], path: str, progress: Progress) -> Path:
    """How to write: the path that was asked for, or the direct one where it can be trusted."""
    if path == "direct":
        return Direct(dataset)
    if path == "public":
        return Public(dataset, fo)
    difference = agrees(dataset, Writer(classes).document(rows.example(classes)), fo)
    if difference is None:
        return Direct(dataset)
    progress.note(
        f"FiftyOne {fo.__version__} stores samples in another way than emolab knows ({difference}); "
        "writing through its public API, which takes many times longer."
    )
    return Public(dataset, fo)
