"""Events of models, and what follows from them: a pure function of their order, which a test tries with any order.

1. ``promoted`` gives a name (alias) to a model; the one before it is remembered, so that it can come back.
2. ``rolled_back`` gives the name back to a model that had it: what was promoted after that is forgotten.
3. ``retired`` takes a model out of use: a name it had goes to the one before, and nothing is rolled back to it.
   Whatever names or registers it again brings it back.
4. ``flagged`` adds a flag to a model; ``registered`` and ``judged`` say what was made and measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: What can happen to a model.
KINDS = ("registered", "judged", "promoted", "rolled_back", "retired", "flagged")
#: A flag: the files of a retired model were deleted.
FILES_DELETED = "files-deleted"
#: A flag: it learned from samples that were forgotten since, and that cannot be taken out of its weights.
CONTAINS_FORGOTTEN = "contains-forgotten"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEvent:
    """What happened to ``model`` (id): one of :data:`KINDS`, ``at`` a moment (ISO 8601, UTC), by ``actor``."""

    kind: str
    model: str
    alias: str | None = None
    at: str = ""
    actor: str = ""
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegistryState:
    """``names``: for each alias the models that have had it, the one of now last; ``retired`` models; ``flags``."""

    names: Mapping[str, tuple[str, ...]]
    retired: frozenset[str]
    flags: Mapping[str, frozenset[str]]

    @property
    def aliases(self) -> dict[str, str]:
        """Every alias and the id of the model that has it."""
        return {alias: models[-1] for alias, models in self.names.items() if models}

    def before(self, alias: str) -> str | None:
        """The model that had ``alias`` before the one of now; ``None``: there is none that could come back."""
        earlier = self.names.get(alias, ())[:-1]
        return earlier[-1] if earlier else None


class Registry:
    """Takes one event after the other; :meth:`state` is what holds then."""

    def __init__(self) -> None:
        self._names: dict[str, tuple[str, ...]] = {}
        self._retired: set[str] = set()
        self._flags: dict[str, set[str]] = {}

    def take(self, event: ModelEvent) -> None:
        """Let ``event`` happen."""
        model = event.model
        if event.kind == "judged":
            return
        if event.kind == "flagged":
            self._flags.setdefault(model, set()).add(str(event.detail.get("flag", "")))
            return
        if event.kind == "retired":
            self._retired.add(model)
            self._names = {alias: _without(models, model) for alias, models in self._names.items()}
            return
        self._retired.discard(model)
        self._flags.get(model, set()).discard(FILES_DELETED)
        if event.alias is None:
            return
        held = self._names.get(event.alias, ())
        if event.kind == "rolled_back":
            self._names[event.alias] = _back_to(held, model)
        elif event.kind == "promoted" and held[-1:] != (model,):
            self._names[event.alias] = (*held, model)

    def state(self) -> RegistryState:
        """What holds now."""
        return RegistryState(
            {alias: models for alias, models in self._names.items() if models},
            frozenset(self._retired),
            {model: frozenset(found) for model, found in self._flags.items() if found},
        )


def replay(events: Iterable[ModelEvent]) -> RegistryState:
    """What holds after ``events``, in their order."""
    registry = Registry()
    for event in events:
        registry.take(event)
    return registry.state()


def _without(models: tuple[str, ...], gone: str) -> tuple[str, ...]:
    """``models`` without one of them; neighbours that are now the same are one."""
    kept: list[str] = []
    for model in models:
        if model != gone and kept[-1:] != [model]:
            kept.append(model)
    return tuple(kept)


def _back_to(models: tuple[str, ...], model: str) -> tuple[str, ...]:
    """``models`` up to the last time before now that ``model`` had the name; else with it in place of the last one."""
    earlier = [place for place, one in enumerate(models[:-1]) if one == model]
    return models[: earlier[-1] + 1] if earlier else (*models[:-1], model)
