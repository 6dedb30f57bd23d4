"""Labelling campaigns replayed on a data set that has all the votes already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.label.simulation import request_checks
from emolab.loop.label.simulation.budgets import plan_budgets
from emolab.loop.label.simulation.request import SimulationRequest
from emolab.progress import SILENT
from emolab.results import Result, plain_data

if TYPE_CHECKING:
    from emolab.active_learning.simulation.compare import StrategyVerdict
    from emolab.active_learning.simulation.partial_rounds import OrderVerdict
    from emolab.active_learning.simulation.records import CampaignData
    from emolab.active_learning.simulation.vote_costs import Votes
    from emolab.config import Config
    from emolab.loop.label.simulation.sides import Sides
    from emolab.progress import Progress
    from emolab.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Simulated(Result):
    """What was replayed (``about``), the verdict on each of ``strategies``, and where the ``report`` is.

    ``orders`` say what a queue that learns is worth where a team leaves a round half-way; none unless it was asked for.
    """

    about: dict[str, Any]
    strategies: list[StrategyVerdict]
    report: Path
    orders: list[OrderVerdict] = field(default_factory=list)

    @property
    def seeds_needed(self) -> int:
        """Seeds from which on a difference between so many strategies can be shown at all."""
        from emolab.active_learning.simulation.compare import seeds_to_tell

        return seeds_to_tell(len(self.strategies) - 1)

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        orders = {"orders": plain_data(self.orders)} if self.orders else {}
        return {**self.about, "strategies": plain_data(self.strategies), **orders, "report": str(self.report)}


def simulate(request: SimulationRequest, *, config: Config | None = None, progress: Progress = SILENT) -> Simulated:
    """Replay whole campaigns where every vote is known, and say what each strategy would have saved.

    From the same random start every strategy chooses, gets the votes people gave, learns and is judged, until the
    budget is spent; seeds are compared in pairs. A stopped simulation goes on when it is asked for again. ``config``
    defaults to :func:`campaign_config` without a workspace. Raises :class:`ConfigError` for a start network that knows
    the answers, :class:`UnknownName` for an unknown reader, strategy, oracle or aggregator.
    """
    from emolab.active_learning.simulation.campaign import EVERYTHING, check, worth
    from emolab.active_learning.simulation.compare import verdicts
    from emolab.active_learning.simulation.partial_rounds import verdicts as order_verdicts
    from emolab.active_learning.simulation.simulate import simulate as play
    from emolab.active_learning.simulation.vote_costs import Votes
    from emolab.errors import MissingExtra
    from emolab.modalities.preparing import require_speakers
    from emolab.plugins import AGGREGATORS

    try:
        from emolab.loop.label.simulation import stage
        from emolab.loop.label.simulation.sides import divide
        from emolab.training import simulation_trainer  # noqa: F401  what frozen features and fine-tuning need
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    names = request_checks.strategies(request)
    config = config or campaign_config(request, None, (), progress=progress)
    aggregator = request.aggregator or config.labeling.aggregator
    AGGREGATORS.load(aggregator)
    request_checks.oracle(request.oracle)
    require_speakers(config.training.normalise, None, "simulations")
    asking = Votes.parse(request.votes, request_checks.prices(request.price), sure=config.labeling.sure)
    request_checks.distinct(config, request.dataset)
    classes = config.project.classes
    sides = divide(
        request.dataset,
        request.judge,
        classes,
        options=request.options,
        allow_speaker_leak=request.allow_speaker_leak,
    )
    request_checks.unlearned(config, sides, mode=request.mode, progress=progress)
    pool = stage.field_of(sides)
    budgets = _budgets(request, asking, k=len(classes), most=worth(pool, asking))
    terms = _terms(request, config, asking, aggregator, budgets)
    check(pool, stage.terms_of(terms))
    progress.note(f"judge: {sides.protocol}")
    out, mode, width = request.out, request.mode, request.features
    everybody = [*names, EVERYTHING] if request.ceiling else names
    with stage.alone(out):
        kind = config.project.modality
        stage.prepare(out, sides, terms, config.training, mode=mode, width=width, modality=kind, progress=progress)
        played = play(out, stage.open_stage, everybody, range(request.seeds), jobs=request.jobs, progress=progress)
    whole = [one for one in played if one.strategy == EVERYTHING]
    campaigns = [one for one in played if one.strategy != EVERYTHING]
    found = verdicts(campaigns, budgets, whole=whole)
    about = {**_about(request, config, sides, pool, terms), "everything": _mean(whole)}
    orders = order_verdicts(campaigns)
    report = _write_report(out, about, found, orders, campaigns)
    return Simulated(about=about, strategies=found, report=report, orders=orders)


def campaign_config(
    request: SimulationRequest,
    workspace: Workspace | None,
    overrides: Sequence[str] = (),
    *,
    progress: Progress = SILENT,
) -> Config:
    """The settings of ``workspace``, else the defaults under ``overrides``, with the data set's classes if need be."""
    from dataclasses import replace

    from emolab import config as configuration
    from emolab.config import Config, ProjectConfig
    from emolab.datasets.voted_dataset import label_names
    from emolab.taxonomy import META, resolve

    request_checks.specs(request)
    if workspace is not None:
        return workspace.config
    found = configuration.apply(Config(), overrides)
    if any(text.strip().startswith("project.classes") for text in overrides):
        return found
    names = [name for name in label_names(request.dataset, options=request.options) if resolve(name, META) is None]
    known = [name for name in names if resolve(name, found.project.classes) is not None]
    if len(known) == len(names) or len(known) > 1:
        return found
    progress.note(f"Classes are the labels of the data set: {', '.join(names)}.")
    return replace(found, project=ProjectConfig(classes=tuple(names)))


def _budgets(request: SimulationRequest, asking: Votes, *, k: int, most: float) -> list[float]:
    return plan_budgets(
        asking,
        k=k,
        most=most,
        start=request.start,
        budget=request.budget,
        rounds=request.rounds,
        per_round=request.per_round,
    )


def _terms(
    request: SimulationRequest, config: Config, asking: Votes, aggregator: str, budgets: list[float]
) -> dict[str, Any]:
    return {
        "budgets": budgets,
        "votes": request.votes,
        "price": list(asking.price),
        "sure": asking.sure,
        "aggregator": aggregator,
        "prior": config.labeling.prior,
        "oracle": request.oracle,
        **({"relearn": request.relearn} if request.relearn else {}),
    }


def _about(
    request: SimulationRequest, config: Config, sides: Sides, pool: CampaignData, terms: Mapping[str, Any]
) -> dict[str, Any]:
    """What was replayed, for the report and for JSON."""
    return {
        "dataset": request.dataset,
        "judge": sides.protocol,
        "n_pool": len(pool.samples) - int(sides.excluded.sum()),
        "n_judge": len(sides.judges),
        "near_copies_of_judged": int(sides.excluded.sum()),
        "classes": list(config.project.classes),
        "mode": request.mode,
        "backbone": config.training.backbone,
        "weights": config.training.weights,
        "features": request.features if request.mode == "frozen" else None,
        "votes": request.votes,
        "price": terms["price"],
        "oracle": request.oracle,
        "labels": terms["aggregator"],
        "seeds": request.seeds,
        "budgets": terms["budgets"],
        **({"relearn": request.relearn} if request.relearn else {}),
    }


def _write_report(
    out: Path,
    about: Mapping[str, Any],
    found: Sequence[StrategyVerdict],
    orders: Sequence[OrderVerdict],
    campaigns: Sequence[Any],
) -> Path:
    from emolab.active_learning.simulation.curves import curves
    from emolab.files import write_text
    from emolab.loop.label.simulation.page import picture, render

    report = out / "report.html"
    write_text(report, render(about, found, campaigns, orders))
    write_text(out / "curves.svg", picture(curves(campaigns, about["budgets"], "accuracy"), "accuracy"))
    return report


def _mean(whole: Sequence[Any]) -> dict[str, float] | None:
    if not whole:
        return None
    scores = {name: sum(one.scores[name] for one in whole) / len(whole) for name in whole[0].scores}
    return {**scores, "votes": float(whole[0].votes), "samples": float(whole[0].samples)}
