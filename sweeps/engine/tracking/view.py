"""A sweep's table in MLflow: which runs and columns, in which order, and the link that opens it.

MLflow keeps a shared view as a tag of the experiment, and opens it by the tag's name in the address.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from adcore.metric_names import MINIMISED, mean_metric
from sweeps.engine.machine.locations import SQLITE
from sweeps.engine.tracking.means import seed_spread

__all__ = ["VIEW_TAG", "curves_link", "links", "view_key", "view_link", "view_state"]

#: What MLflow puts before a view's key, as the name of the experiment's tag.
VIEW_TAG = "mlflow.sharedViewState."
#: Where `mlflow ui` listens by default.
LOCAL = "http://127.0.0.1:5000"


def view_key(name: str, sweep_id: str) -> str:
    """The key of a sweep's view: its name, and enough of its id to tell it from another of that name."""
    return f"{name}-{sweep_id[:8]}"


def view_state(sweep_id: str, columns: Sequence[str], metric: str = "auroc") -> str:
    """The view: the confirmed configurations of a sweep, best mean of a metric first. columns: parameters to show."""
    means = [mean_metric(f"val_{metric}"), seed_spread(metric), mean_metric(f"test_{metric}")]
    state = {
        "searchFilter": f"tags.sweep_id = '{sweep_id}' and tags.level = 'config' and tags.stage = 'confirm'",
        "orderByKey": f"metrics.`{means[0]}`",
        "orderByAsc": metric in MINIMISED,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*(f"metrics.`{name}`" for name in means), *(f"params.`{name}`" for name in columns)],
    }
    return json.dumps(state)


def view_link(address: str, experiment_id: str, key: str) -> str:
    """The link that opens a view. address: MLflow's server, or the database that `mlflow ui` serves on this machine."""
    return _runs_link(address, experiment_id, viewStateShareKey=key)


def curves_link(address: str, experiment_id: str, sweep_id: str, configuration: int, seed: int) -> str:
    """The link that draws every metric of a confirmed training by epoch, each in one chart with a line for each class.

    address: as for `view_link`.
    """
    tags = {"sweep_id": sweep_id, "level": "class", "stage": "confirm", "configuration": configuration, "seed": seed}
    filters = " and ".join(f"tags.{name} = '{value}'" for name, value in tags.items())
    order = {"orderByKey": "metrics.`val_auroc`", "orderByAsc": "true"}  # sorted by time they fold under their parent
    return _runs_link(address, experiment_id, searchFilter=filters, **order, compareRunsMode="CHART", isPreview="true")


def _runs_link(address: str, experiment_id: str, **query: str) -> str:
    server = LOCAL if address.startswith(SQLITE) else address.rstrip("/")
    text = urlencode({"workflowType": "machine_learning", **query}, quote_via=quote)
    return f"{server}/#/experiments/{experiment_id}/runs?{text}"


def links(uri: str, address: str) -> list[tuple[str, str]]:
    """The sweeps that have a view, by name, with its link, the newest first. Raises MLflow's and requests' errors."""
    from mlflow.tracking import MlflowClient

    client, links_by_time = MlflowClient(uri), list[tuple[int, str, str]]()
    for experiment in client.search_experiments():
        keys = {tag.removeprefix(VIEW_TAG) for tag in experiment.tags if tag.startswith(VIEW_TAG)}
        runs = client.search_runs([experiment.experiment_id], "tags.level = 'sweep'") if keys else []
        for sweep in runs:
            name = sweep.info.run_name or ""
            if (key := view_key(name, sweep.data.tags["sweep_id"])) in keys:
                links_by_time.append((sweep.info.start_time, name, view_link(address, experiment.experiment_id, key)))
    return [(name, link) for _, name, link in sorted(links_by_time, reverse=True)]
