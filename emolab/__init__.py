"""emolab: from faces and a team of annotators to a calibrated emotion classifier, with the fewest votes.

>>> import emolab
>>> workspace = emolab.open("faces")  # doctest: +SKIP
>>> emolab.suggest(workspace, n=100)  # doctest: +SKIP

Every step of the loop is here, loaded when it is first asked for: see docs/python.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emolab.errors import ConfigError as ConfigError
    from emolab.errors import DataError as DataError
    from emolab.errors import EmolabError as EmolabError
    from emolab.loop.data.backup.restoring import check_backup as check_backup
    from emolab.loop.data.backup.restoring import restore as restore
    from emolab.loop.data.backup.writing import backup as backup
    from emolab.loop.data.collect import collect as collect
    from emolab.loop.data.data_snapshots import snapshot_create as snapshot_create
    from emolab.loop.data.data_snapshots import snapshot_diff as snapshot_diff
    from emolab.loop.data.data_snapshots import snapshot_list as snapshot_list
    from emolab.loop.data.data_snapshots import snapshot_restore as snapshot_restore
    from emolab.loop.data.data_snapshots import snapshot_show as snapshot_show
    from emolab.loop.data.features import features as features
    from emolab.loop.data.holdout import holdout_add as holdout_add
    from emolab.loop.data.holdout import holdout_list as holdout_list
    from emolab.loop.data.inspect import inspect as inspect
    from emolab.loop.data.inspect import pull_edits as pull_edits
    from emolab.loop.data.merge import merge as merge
    from emolab.loop.data.remove import remove as remove
    from emolab.loop.data.sheet.datasheet import datasheet as datasheet
    from emolab.loop.data.split import draw_splits as draw_splits
    from emolab.loop.data.split import repair_splits as repair_splits
    from emolab.loop.data.split import set_split as set_split
    from emolab.loop.data.split import splits as splits
    from emolab.loop.data.undo import undo as undo
    from emolab.loop.label.advise import advise as advise
    from emolab.loop.label.aggregate import aggregate as aggregate
    from emolab.loop.label.backend.check_backend import check_studio as check_studio
    from emolab.loop.label.backend.connect_backend import connect_studio as connect_studio
    from emolab.loop.label.exchange.export_votes import export_votes as export_votes
    from emolab.loop.label.exchange.import_votes import import_votes as import_votes
    from emolab.loop.label.label_status import label_status as label_status
    from emolab.loop.label.nickname import nickname as nickname
    from emolab.loop.label.pull import pull as pull
    from emolab.loop.label.pull import watch as watch
    from emolab.loop.label.push import push as push
    from emolab.loop.label.simulate import simulate as simulate
    from emolab.loop.label.simulation.request import SimulationRequest as SimulationRequest
    from emolab.loop.label.studio import invite as invite
    from emolab.loop.label.studio import new_password as new_password
    from emolab.loop.label.studio import start_studio as start_studio
    from emolab.loop.label.studio import stop_studio as stop_studio
    from emolab.loop.label.studio import studio_url as studio_url
    from emolab.loop.label.suggest import suggest as suggest
    from emolab.loop.look.why import why as why
    from emolab.loop.model.card import card as card
    from emolab.loop.model.evaluate import evaluate as evaluate
    from emolab.loop.model.export import export as export
    from emolab.loop.model.film.predict_film import predict_film as predict_film
    from emolab.loop.model.models import model as model
    from emolab.loop.model.models import models as models
    from emolab.loop.model.predict import predict as predict
    from emolab.loop.model.pretrain import pretrain as pretrain
    from emolab.loop.model.registry.compare_models import compare_models as compare_models
    from emolab.loop.model.registry.model_history import model_history as model_history
    from emolab.loop.model.registry.promote import promote as promote
    from emolab.loop.model.registry.promote import rollback as rollback
    from emolab.loop.model.registry.retire import clean_models as clean_models
    from emolab.loop.model.registry.retire import retire as retire
    from emolab.loop.model.train import train as train
    from emolab.loop.model.tuning.tune import tune as tune
    from emolab.loop.operate.cycle.run_cycle import cycle as cycle
    from emolab.loop.operate.doctor import doctor as doctor
    from emolab.loop.operate.forgetting.forget import forget as forget
    from emolab.loop.operate.live.live import live as live
    from emolab.loop.operate.monitor.audit_round import audit as audit
    from emolab.loop.operate.monitor.drift_round import suggest_from_drift as suggest_from_drift
    from emolab.loop.operate.monitor.run_monitor import monitor as monitor
    from emolab.loop.operate.monitor.try_channels import try_channels as try_channels
    from emolab.loop.operate.privacy.consent import add_consent as add_consent
    from emolab.loop.operate.privacy.consent import consents as consents
    from emolab.loop.operate.privacy.consent import end_consent as end_consent
    from emolab.loop.operate.privacy.consent import export_consents as export_consents
    from emolab.loop.operate.privacy.privacy_report import privacy_report as privacy_report
    from emolab.loop.operate.serve_keys import add_serve_key as add_serve_key
    from emolab.loop.operate.serve_keys import revoke_serve_key as revoke_serve_key
    from emolab.loop.operate.serve_keys import serve_keys as serve_keys
    from emolab.loop.operate.serve_people import add_serve_person as add_serve_person
    from emolab.loop.operate.serve_people import revoke_serve_person as revoke_serve_person
    from emolab.loop.operate.serve_people import serve_people as serve_people
    from emolab.loop.operate.status import repair_counts as repair_counts
    from emolab.loop.operate.status import status as status
    from emolab.progress import SILENT as SILENT
    from emolab.progress import Progress as Progress
    from emolab.workspace import Workspace as Workspace

__version__ = "0.1.0"

#: The steps of the loop by the name they have here -> "module:function".
STEPS = {
    # data
    "collect": "emolab.loop.data.collect:collect",
    "merge": "emolab.loop.data.merge:merge",
    "splits": "emolab.loop.data.split:splits",
    "set_split": "emolab.loop.data.split:set_split",
    "draw_splits": "emolab.loop.data.split:draw_splits",
    "repair_splits": "emolab.loop.data.split:repair_splits",
    "holdout_add": "emolab.loop.data.holdout:holdout_add",
    "holdout_list": "emolab.loop.data.holdout:holdout_list",
    "remove": "emolab.loop.data.remove:remove",
    "undo": "emolab.loop.data.undo:undo",
    "features": "emolab.loop.data.features:features",
    "datasheet": "emolab.loop.data.sheet.datasheet:datasheet",
    "why": "emolab.loop.look.why:why",
    "snapshot_create": "emolab.loop.data.data_snapshots:snapshot_create",
    "snapshot_list": "emolab.loop.data.data_snapshots:snapshot_list",
    "snapshot_show": "emolab.loop.data.data_snapshots:snapshot_show",
    "snapshot_diff": "emolab.loop.data.data_snapshots:snapshot_diff",
    "snapshot_restore": "emolab.loop.data.data_snapshots:snapshot_restore",
    "inspect": "emolab.loop.data.inspect:inspect",
    "pull_edits": "emolab.loop.data.inspect:pull_edits",
    "backup": "emolab.loop.data.backup.writing:backup",
    "restore": "emolab.loop.data.backup.restoring:restore",
    "check_backup": "emolab.loop.data.backup.restoring:check_backup",
    # label
    "check_studio": "emolab.loop.label.backend.check_backend:check_studio",
    "connect_studio": "emolab.loop.label.backend.connect_backend:connect_studio",
    "start_studio": "emolab.loop.label.studio:start_studio",
    "stop_studio": "emolab.loop.label.studio:stop_studio",
    "studio_url": "emolab.loop.label.studio:studio_url",
    "invite": "emolab.loop.label.studio:invite",
    "new_password": "emolab.loop.label.studio:new_password",
    "push": "emolab.loop.label.push:push",
    "pull": "emolab.loop.label.pull:pull",
    "watch": "emolab.loop.label.pull:watch",
    "label_status": "emolab.loop.label.label_status:label_status",
    "nickname": "emolab.loop.label.nickname:nickname",
    "export_votes": "emolab.loop.label.exchange.export_votes:export_votes",
    "import_votes": "emolab.loop.label.exchange.import_votes:import_votes",
    "aggregate": "emolab.loop.label.aggregate:aggregate",
    "suggest": "emolab.loop.label.suggest:suggest",
    "advise": "emolab.loop.label.advise:advise",
    "simulate": "emolab.loop.label.simulate:simulate",
    # model
    "pretrain": "emolab.loop.model.pretrain:pretrain",
    "train": "emolab.loop.model.train:train",
    "tune": "emolab.loop.model.tuning.tune:tune",
    "evaluate": "emolab.loop.model.evaluate:evaluate",
    "predict": "emolab.loop.model.predict:predict",
    "predict_film": "emolab.loop.model.film.predict_film:predict_film",
    "export": "emolab.loop.model.export:export",
    "models": "emolab.loop.model.models:models",
    "model": "emolab.loop.model.models:model",
    "card": "emolab.loop.model.card:card",
    "promote": "emolab.loop.model.registry.promote:promote",
    "compare_models": "emolab.loop.model.registry.compare_models:compare_models",
    "rollback": "emolab.loop.model.registry.promote:rollback",
    "model_history": "emolab.loop.model.registry.model_history:model_history",
    "retire": "emolab.loop.model.registry.retire:retire",
    "clean_models": "emolab.loop.model.registry.retire:clean_models",
    # operate
    "live": "emolab.loop.operate.live.live:live",
    "status": "emolab.loop.operate.status:status",
    "add_serve_key": "emolab.loop.operate.serve_keys:add_serve_key",
    "serve_keys": "emolab.loop.operate.serve_keys:serve_keys",
    "revoke_serve_key": "emolab.loop.operate.serve_keys:revoke_serve_key",
    "add_serve_person": "emolab.loop.operate.serve_people:add_serve_person",
    "serve_people": "emolab.loop.operate.serve_people:serve_people",
    "revoke_serve_person": "emolab.loop.operate.serve_people:revoke_serve_person",
    "add_consent": "emolab.loop.operate.privacy.consent:add_consent",
    "consents": "emolab.loop.operate.privacy.consent:consents",
    "end_consent": "emolab.loop.operate.privacy.consent:end_consent",
    "export_consents": "emolab.loop.operate.privacy.consent:export_consents",
    "forget": "emolab.loop.operate.forgetting.forget:forget",
    "privacy_report": "emolab.loop.operate.privacy.privacy_report:privacy_report",
    "repair_counts": "emolab.loop.operate.status:repair_counts",
    "cycle": "emolab.loop.operate.cycle.run_cycle:cycle",
    "monitor": "emolab.loop.operate.monitor.run_monitor:monitor",
    "audit": "emolab.loop.operate.monitor.audit_round:audit",
    "suggest_from_drift": "emolab.loop.operate.monitor.drift_round:suggest_from_drift",
    "try_channels": "emolab.loop.operate.monitor.try_channels:try_channels",
    "doctor": "emolab.loop.operate.doctor:doctor",
}
#: What steps take and raise -> "module:name".
TYPES = {
    "Workspace": "emolab.workspace:Workspace",
    "SimulationRequest": "emolab.loop.label.simulation.request:SimulationRequest",
    "EmolabError": "emolab.errors:EmolabError",
    "ConfigError": "emolab.errors:ConfigError",
    "DataError": "emolab.errors:DataError",
    "Progress": "emolab.progress:Progress",
    "SILENT": "emolab.progress:SILENT",
}


def open(path: str | Path | None = None, *, settings: Mapping[str, object] | None = None) -> Workspace:
    """The workspace at or above ``path`` [$EMOLAB_WORKSPACE, then the current folder].

    ``settings`` count for this object alone: ``{"training.epochs": 3}``. Raises :class:`ConfigError` where there is
    no workspace.
    """
    from emolab.notebook.command_names import python_hints
    from emolab.workspace import Workspace

    with python_hints():
        found = Workspace.find(None if path is None else Path(path).expanduser())
        return found.with_settings(settings or {})


def init(path: str | Path, *, classes: str | Sequence[str] = "ferplus8", modality: str = "image") -> Workspace:
    """Create a workspace in ``path``, or open the one that is there.

    ``classes`` is a preset (ferplus8, ekman7) or the names themselves. Raises :class:`ConfigError` where there is a
    workspace with other classes.
    """
    from emolab.notebook.command_names import python_hints
    from emolab.taxonomy import parse_classes
    from emolab.workspace import Workspace

    names = classes if isinstance(classes, str) else ",".join(classes)
    with python_hints():
        return Workspace.init(Path(path).expanduser(), classes=parse_classes(names), modality=modality)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    where = STEPS.get(name) or TYPES.get(name)
    if where is None:
        raise AttributeError(f"module 'emolab' has no attribute {name!r}")
    module, _, attribute = where.partition(":")
    found = getattr(import_module(module), attribute)
    if name in STEPS:
        found = _watched(found)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({"__version__", "init", "open", *STEPS, *TYPES})


def _watched(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` as it is called by hand: progress shows itself, and an error's hint says what it means in Python."""
    from inspect import isgeneratorfunction, signature

    from emolab.notebook.command_names import python_hints

    reports = "progress" in signature(step).parameters

    def shown(kwargs: dict[str, Any]) -> dict[str, Any]:
        if not reports or "progress" in kwargs:
            return kwargs
        from emolab.notebook.notebook_progress import watching

        return {**kwargs, "progress": watching()}

    @functools.wraps(step)
    def called(*args: Any, **kwargs: Any) -> Any:
        with python_hints(step.__name__):
            return step(*args, **shown(kwargs))

    @functools.wraps(step)
    def each(*args: Any, **kwargs: Any) -> Any:
        with python_hints(step.__name__):
            yield from step(*args, **shown(kwargs))

    return each if isgeneratorfunction(step) else called
