"""Runs of a workspace on an MLflow server. Only the thread of :mod:`tracking_server` calls this."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

#: What MLflow's client reads from the environment, unless it is set there: short waits, and nothing told to its makers.
CLIENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
#: Rows of a training -> names of metrics.
NAMES = {
    "train_loss": "loss/train",
    "valid_loss": "loss/valid",
    "accuracy": "epoch/accuracy",
    "macro_f1": "epoch/macro_f1",
    "rate": "learning_rate",
}
#: Figures of a model that are told.
FIGURES = ("n", "accuracy", "macro_f1", "balanced_accuracy", "nll", "ece", "brier")
RUN, MODEL = "emolab.run", "emolab.model"
#: Runs that are looked through for models.
MOST = 1000


class MlflowRuns:
    """The experiment ``name`` on the server at ``address``, and the run that is under way."""

    def __init__(self, address: str, name: str) -> None:
        for variable, value in CLIENT.items():
            os.environ.setdefault(variable, value)
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient(tracking_uri=address)
        found = self._client.get_experiment_by_name(name)
        self._experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        self._run: str | None = None
        self._open = False

    def begin(self, identity: str, settings: Mapping[str, Any]) -> None:
        """Begin the run of the training ``identity``, or go on with it; one that is complete is left as it is."""
        found = self._client.search_runs([self._experiment], f"tags.`{RUN}` = '{identity}'", max_results=1)
        if found:
            self._run = found[0].info.run_id
            self._open = found[0].info.status != "FINISHED"
            if self._open:
                self._client.update_run(self._run, status="RUNNING")
            return
        from mlflow.entities import Param

        made = self._client.create_run(self._experiment, run_name=identity, tags={RUN: identity})
        self._run, self._open = made.info.run_id, True
        params = [Param(key, str(value)[:500]) for key, value in settings.items()]
        for start in range(0, len(params), 100):
            self._client.log_batch(self._run, params=params[start : start + 100])

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Tell the figures of one epoch."""
        self._measure({name: row.get(key) for key, name in NAMES.items()}, step=int(row["epoch"]))

    def finish(self, model: str, valid: Mapping[str, Any], others: Mapping[str, Any], card: str) -> None:
        """Tell the ``model`` (id) that came of it, its figures and its card; the run is complete."""
        if self._run is None or not self._open:
            return
        figures = {f"valid/{key}": valid.get(key) for key in FIGURES} if valid.get("n") else {}
        self._measure({**figures, **others}, step=0)
        self._client.set_tag(self._run, MODEL, model)
        self._client.log_text(self._run, card, "card.md")
        self._client.set_terminated(self._run)
        self._open = False

    def stop(self) -> None:
        """Mark the run that is under way as stopped; the same training goes on in it."""
        if self._run is not None and self._open:
            self._client.set_terminated(self._run, status="KILLED")

    def name(self, names: Mapping[str, Mapping[str, str]]) -> None:
        """Give the run of each model (id) its tags in ``names``, where it has others."""
        for run in self._client.search_runs([self._experiment], max_results=MOST):
            wanted = names.get(run.data.tags.get(MODEL, ""))
            for key, value in (wanted or {}).items():
                if run.data.tags.get(key, "") != value:
                    self._client.set_tag(run.info.run_id, key, value)

    def _measure(self, figures: Mapping[str, Any], *, step: int) -> None:
        from mlflow.entities import Metric

        if self._run is None or not self._open:
            return
        moment = int(time.time() * 1000)
        found = [Metric(key, float(value), moment, step) for key, value in figures.items() if value is not None]
        if found:
            self._client.log_batch(self._run, metrics=found)
