"""The looks of `emolab monitor` as a page shows them: alarms, accuracy estimated and audited, what moved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from emolab.results import Result

if TYPE_CHECKING:
    from emolab.loop.operate.monitor.look_record import LookRecord
    from emolab.workspace import Workspace

#: Looks that are shown, the newest ones.
SHOWN = 104


@dataclass(frozen=True, kw_only=True)
class MonitorView(Result):
    """What is known of ``model`` at work; ``models`` are those that may be asked for.

    ``state`` is looks, or why there are none: not_looked (answers are kept), not_logged; then ``next`` says what to
    type. ``looks`` are the newest, oldest first; ``moved`` are the samples that speak loudest of the last one.
    ``alarms`` are those that hold, each with whom it was ``told`` (channel -> when) and ``owed`` (channels). ``stamp``
    is another one as soon as there is something new.
    """

    state: str
    model: Mapping[str, Any]
    models: Sequence[Mapping[str, Any]]
    looks: Sequence[Mapping[str, Any]]
    moved: Mapping[str, Any] | None
    alarms: Sequence[Mapping[str, Any]]
    next: str | None
    stamp: str


def stamp_of(workspace: Workspace, *, serving: str, logging: bool, model: str | None = None) -> str:
    """Changes with whatever :func:`monitor_view` shows; costs a few looks at files."""
    from emolab.loop.operate.alerting import record_file

    record = record_file(workspace)
    seen = [repr((serving, logging, model))]
    files = [record, *sorted(record.parent.glob("*/*.json*")), *sorted((workspace.state / "served").glob("*"))]
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        # of a folder only that it is there: it changes with every day of the log
        seen.append(f"{file.name} {file.parent.name} {(status.st_mtime_ns, status.st_size) if file.is_file() else ''}")
    return blake2b("\n".join(seen).encode(), digest_size=12).hexdigest()


def monitor_view(workspace: Workspace, *, serving: str, logging: bool, model: str | None = None) -> MonitorView:
    """What is known of ``model`` (id) [the one that answers, ``serving``]; ``logging``: its answers are being kept.

    Raises :class:`UnknownName` for a model without looks that does not answer, :class:`DataError` for damaged looks.
    """
    from emolab.errors import UnknownName
    from emolab.loop.operate.monitor import look_record

    stamp = stamp_of(workspace, serving=serving, logging=logging, model=model)
    known = _models(workspace, serving)
    chosen = next((one for one in known if one["id"] == (model or serving)), None)
    if chosen is None:
        raise UnknownName("model with looks", str(model), [one["id"] for one in known])
    looks = look_record.read(workspace, chosen["id"])
    state, command = ("looks", None) if looks else _nothing(workspace, chosen, logging=logging)
    return MonitorView(
        state=state,
        model=chosen,
        models=known,
        looks=[_shown(look) for look in looks[-SHOWN:]],
        moved=_moved(workspace, looks),
        alarms=_alarms(workspace, looks),
        next=command,
        stamp=stamp,
    )


def _models(workspace: Workspace, serving: str) -> list[dict[str, Any]]:
    """The model that answers, and every other one that was looked at, with their names."""
    from emolab.catalog import models
    from emolab.loop.operate.alerting import record_file

    with workspace.catalog() as catalog, catalog.connect() as conn:
        named = models.aliases(conn)
    looked = {file.parent.name for file in record_file(workspace).parent.glob("*/looks.jsonl")}
    return [
        {"id": one, "aliases": sorted(name for name, model in named.items() if model == one), "serving": one == serving}
        for one in [serving, *sorted(looked - {serving})]
    ]


def _nothing(workspace: Workspace, model: Mapping[str, Any], *, logging: bool) -> tuple[str, str | None]:
    """Why there are no looks, and what to type."""
    if logging or (workspace.state / "served" / model["id"]).is_dir():
        return "not_looked", "emolab monitor" if "champion" in model["aliases"] else f"emolab monitor {model['id'][:8]}"
    return "not_logged", "emolab serve --app --set serve.log=true"


def _shown(look: LookRecord) -> dict[str, Any]:
    """A look with the surest test of each detector."""
    surest = {test.detector: test for test in sorted(look.tests, key=lambda test: (test.alarm, -test.p))}
    told = look.to_dict()
    told["tests"] = [surest[name].to_dict() for name in dict.fromkeys(test.detector for test in look.tests)]
    told["alarms"] = [{"key": alarm["key"], "title": alarm["title"]} for alarm in look.alarms]
    return told


def _moved(workspace: Workspace, looks: Sequence[LookRecord]) -> dict[str, Any] | None:
    """What was kept of the newest look; of an earlier one it would be another window's."""
    from emolab.loop.look.moved_record import read_moved

    found = read_moved(workspace, looks[-1].model) if looks else None
    if found is None or found.begin != looks[-1].window.begin:
        return None
    return {
        "words": found.words,
        "loudest": [{"sample": one, "away": away, "said": said} for one, away, said in found.loudest],
        "beside": list(found.beside),
    }


def _alarms(workspace: Workspace, looks: Sequence[LookRecord]) -> list[dict[str, Any]]:
    """The alarms that hold, with who was told of them."""
    from emolab.loop.operate.alerting import record_file
    from emolab.loop.operate.monitor.look_record import alarms_that_hold

    try:
        rows = json.loads(record_file(workspace).read_text(encoding="utf-8"))["keys"]
    except (OSError, ValueError, KeyError, TypeError):
        rows = {}  # nobody was told, or who was is not known; the next `emolab monitor` says so
    return [
        {
            **{name: alarm[name] for name in ("key", "title", "words", "window")},
            "told": rows.get(alarm["key"], {}).get("sent", {}),
            "owed": sorted(rows.get(alarm["key"], {}).get("owed", {})),
        }
        for alarm in alarms_that_hold(looks)
    ]
