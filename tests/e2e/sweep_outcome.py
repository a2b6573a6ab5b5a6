"""Everything that a sweep leaves and that a fault must not change: for the comparison of two sweeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna

from sweeps.engine.record.study import open_study
from tests.sweep_process import MlflowRuns

#: Facts of a study that name places, times, this very sweep or its code, which somebody may be working on.
OWN_FACTS = ("sweep_id", "settings", "test_openings", "code", "stage", "drivers")


def outcome(home: Path, uri: str) -> dict[str, Any]:
    """Record, tables and MLflow tree of a finished sweep, without names, places, times and speeds."""
    runs = MlflowRuns(uri)
    runs.assert_whole()
    results = json.loads((home / "results.json").read_text())
    del results["seconds"]
    results["test_openings"] = len(results["test_openings"])
    return {
        "study": _study(home),
        "table": (home / "results.csv").read_text(),
        "results": results,
        "mlflow": {key: _run(runs, key) for key in runs.by_key},
    }


def _study(home: Path) -> dict[str, Any]:
    study = open_study(home / "study.db", create=False)
    trials = [_trial(trial) for trial in study.trials]
    return {"trials": trials, "facts": {name: v for name, v in study.user_attrs.items() if name not in OWN_FACTS}}


def _trial(trial: optuna.trial.FrozenTrial) -> list[Any]:
    return [trial.params, trial.state.name, repr(trial.value), trial.user_attrs, trial.intermediate_values]


def _run(runs: MlflowRuns, key: str) -> dict[str, Any]:
    run = runs.by_key[key]
    metrics = {name: runs.history(key, name) for name in run.data.metrics if name != "images_per_second"}
    tags = {name: run.data.tags[name] for name in ("level", "stage", "state", "seed")}
    return {
        "status": run.info.status,
        "tags": tags,
        "params": run.data.params,
        "metrics": repr(sorted(metrics.items())),
    }
