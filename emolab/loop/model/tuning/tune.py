"""Settings of the next training, searched within a budget of time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.progress import SILENT
from emolab.results import Result, Table
from emolab.words import many

if TYPE_CHECKING:
    from emolab.loop.model.tuning.tune_material import TuneMaterial
    from emolab.loop.model.tuning.tune_search import TuneSearch
    from emolab.progress import Progress
    from emolab.stats.search_space import SearchSpace
    from emolab.workspace import Workspace

#: A change of how trials are drawn, learned or judged needs a new number: their journals say other things.
VERSION = 1
#: Combinations that are tried at most where no number is given.
MOST = 500
#: What a search comes to.
BETTER, PERHAPS, NO_BETTER, KEPT, UNJUDGED, UNFINISHED = (
    "better", "perhaps better", "no better", "kept", "not judged", "unfinished",
)  # fmt: skip
#: Settings of the machine, which change nothing that is learned, or not on purpose.
_MACHINE = ("device", "threads", "engine", "tensorboard", "mlflow", "damaged", "seed")


@dataclass(frozen=True, kw_only=True)
class TunedSettings(Result):
    """What a search came to: the ``outcome`` in a word and why, the best ``settings`` by name and whether ``wrote``.

    ``samples``: how many of the training samples taught, and how many judged the choice and judged it afresh.
    ``fresh``: by figure, the settings as they are and the best ones on the samples of folds that chose nothing: of all,
    of the lowest and highest fold, and the difference with its 95 % interval. ``tried``: every combination, best first.
    """

    outcome: str
    reason: str
    settings: Mapping[str, Any]
    samples: Mapping[str, int]
    fresh: Mapping[str, Mapping[str, float]]
    tried: Sequence[Mapping[str, Any]]
    trainings: int
    seconds: float
    budget_s: float
    folder: Path
    report: Path
    wrote: Path | None = None

    def tables(self) -> list[Table]:
        """The outcome, what it bought, and the combinations that got furthest."""
        told = [("outcome", self.outcome), ("why", self.reason), ("trainings", self.trainings), ("report", self.report)]
        told += [(name, value) for name, value in self.settings.items()]
        columns = ("figure", "as they are", "best", "difference", "low", "high")
        bought = [
            (name, one["default"], one["best"], one["difference"], one["low"], one["high"])
            for name, one in self.fresh.items()
        ]
        rows = [(one["trial"], one["rung"], one["loss"], one["settings"]) for one in self.tried]
        return [
            Table("Settings", (), told),
            *([Table("On folds that chose nothing", columns, bought)] if bought else []),
            Table("Tried", ("number", "rung", "log loss", "settings"), rows),
        ]


def tune(
    workspace: Workspace,
    *,
    minutes: float = 30.0,
    trials: int | None = None,
    seed: int | None = None,
    write: bool = False,
    progress: Progress = SILENT,
) -> TunedSettings:
    """Search settings of the section training by successive halving on training samples alone, within ``minutes``.

    The minutes count over all calls with the same data and settings: a call goes on where an earlier one was stopped.
    ``trials`` is how many combinations are tried at most beside the settings as they are, ``seed`` draws them
    [training.seed]. ``write`` puts the best ones into ``emolab.toml`` where they are better on fresh folds. Raises
    :class:`DataError` for too few samples or groups, and where there is nothing to try.
    """
    from emolab.errors import MissingExtra

    try:
        from emolab.loop.model.tuning.tune_journal import TuneClock, TuneJournal
        from emolab.loop.model.tuning.tune_material import tune_material
        from emolab.loop.model.tuning.tune_search import TuneSearch
        from emolab.loop.model.tuning.tune_trials import trial_space
        from emolab.stats.search_space import drawn
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error

    seed = workspace.config.training.seed if seed is None else seed
    with workspace.lock("tune"):
        material = tune_material(workspace, seed=seed, progress=progress)
        space, alone = trial_space(workspace, material)
        folder = workspace.state / "tunings" / _identity(workspace, material, space, seed)[:16]
        journal = TuneJournal.open(folder)
        before, most = _as_written(workspace), trials or MOST
        known = max((int(fit["trial"]) for fit in journal.fits), default=0)  # an earlier call may have tried more
        if journal.fits:
            progress.note(f"Going on after {many(len(journal.fits), 'training')} of an earlier call.")
        with TuneClock(folder) as clock:
            search = TuneSearch(
                workspace=workspace,
                material=material,
                trials=[{}, *drawn(space, max(most, known), seed=seed, alone=alone)],
                most=1 + most,
                journal=journal,
                clock=clock,
                budget=60 * minutes,
                progress=progress,
            )
            search.choose()
            winner = search.judge()
        return _told(search, winner, before if write else None)


def _identity(workspace: Workspace, material: TuneMaterial, space: SearchSpace, seed: int) -> str:
    """Hex sha256 of all that results of trials depend on, besides the machine."""
    from emolab.modalities.own_models import own_learner

    config, data = workspace.config, material.data
    told = {key: value for key, value in asdict(config.training).items() if key not in _MACHINE}
    if own_learner(config.project.modality, config.training.weights) is None:
        from emolab.loop.model.tuning.tune_networks import plan_of

        plan = asdict(plan_of(workspace, material.media, data)[0])
        told |= {key: value for key, value in plan.items() if key not in _MACHINE}
    said = {
        "version": VERSION,
        "seed": [seed, config.training.seed],
        "training": told,
        "space": {name: repr(values) for name, values in space.items()},
        "data": data.snapshot,
        "units": material.units.tolist(),
        "judges": material.judges.tolist(),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _as_written(workspace: Workspace) -> dict[str, Any]:
    """The section training of ``emolab.toml`` as it stands there now."""
    import tomllib

    from emolab.config import FILE_NAME

    return dict(tomllib.loads((workspace.root / FILE_NAME).read_text(encoding="utf-8")).get("training", {}))


def _written(search: TuneSearch, settings: Mapping[str, Any], before: Mapping[str, Any]) -> Path | None:
    """``emolab.toml`` with ``settings`` in it; ``None`` where it cannot take them, which is said.

    They are better than the settings ``before`` the search. Whoever has changed those meanwhile wants others.
    """
    import tomllib

    from emolab import toml_edit
    from emolab.config import FILE_NAME
    from emolab.errors import ConfigError

    file = search.workspace.root / FILE_NAME
    try:
        if _as_written(search.workspace) == before:
            toml_edit.write(file, settings)
            return file
        why = f"the section training of {file} was changed while the search ran"
    except (OSError, tomllib.TOMLDecodeError) as error:
        why = f"{file} cannot be changed: {error}"
    except ConfigError as error:
        why = f"{file}: {error}"
    search.progress.warn(f"The settings are not written: {why}.")
    return None


def _told(search: TuneSearch, winner: int | None, before: Mapping[str, Any] | None) -> TunedSettings:
    """What the search came to, its page written, and the settings where they are better and asked for; ``before`` is
    then the section that they are written to, as it was at first.
    """
    from emolab.loop.model.tuning.tune_figures import compared, samples_of, tried
    from emolab.loop.model.tuning.tune_page import write_report

    fresh = {} if winner is None else compared(search, winner)
    outcome, reason = _outcome(search, winner, fresh)
    settings = {} if winner is None else dict(search.trials[winner])
    wrote = None
    if before is not None and outcome in (BETTER, PERHAPS):
        wrote = _written(search, settings, before)
    found = TunedSettings(
        outcome=outcome,
        reason=reason,
        settings=settings,
        samples=samples_of(search.material),
        fresh=fresh,
        tried=tried(search),
        trainings=len(search.journal.fits),
        seconds=round(search.clock.used, 1),
        budget_s=search.budget,
        folder=search.journal.folder,
        report=search.journal.folder / "report.html",
        wrote=wrote,
    )
    write_report(found)
    return found


def _outcome(search: TuneSearch, winner: int | None, fresh: Mapping[str, Mapping[str, float]]) -> tuple[str, str]:
    from emolab.loop.model.tuning.tune_search import AS_THEY_ARE

    others = len(search.losses().keys() - {AS_THEY_ARE})
    if winner is None and (search.winner() is None or others == 0):
        return UNFINISHED, "the time was over before any settings were tried in full; give it more minutes"
    if winner is None:
        return KEPT, f"none of {many(others, 'combination')} beat the settings as they are on the folds that choose"
    if not fresh:
        return UNJUDGED, "the time was over before the best settings were judged afresh; give it more minutes"
    loss = fresh["log_loss"]
    if loss["difference"] >= 0:
        return NO_BETTER, "on fresh folds the settings that were chosen are no better; keep what there is"
    lower = [name.replace("_f1", "-F1") for name in ("accuracy", "macro_f1") if fresh[name]["difference"] < 0]
    but = f"; {' and '.join(lower)} fell, though" if lower else ""
    if loss["high"] < 0:
        return BETTER, f"on fresh folds the whole interval of the difference in log loss lies below 0{but}"
    return PERHAPS, f"on fresh folds their log loss is lower by a little that may be chance: the interval holds 0{but}"
