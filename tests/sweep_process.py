"""A sweep script as a process of its own, and what it left: MLflow's runs and the study."""

from __future__ import annotations

import functools
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

from sweeps.engine.tracking.runs import KEY_TAG
from sweeps.engine.tracking.store import make_database

ROOT = Path(__file__).parents[1]
SCRIPT = "gan_loss_weights"
#: Seconds after which something hangs, also on a slow machine with other work.
HANGS = 1000.0


@functools.cache
def new_database() -> bytes:
    """MLflow's empty tables, as a sweep makes them in a file that is not there: it takes seconds each time."""
    with tempfile.TemporaryDirectory(prefix="mlflow-") as folder:
        path = Path(folder) / "mlflow.db"
        make_database(path)
        assert [each.name for each in path.parent.iterdir()] == ["mlflow.db"], "nothing is left of its making"
        return path.read_bytes()


class SweepProcess:
    """`python sweeps/gan_loss_weights.py ...` in a process group of its own; storage and MLflow lie in `folder`.

    uri: another MLflow. storage: another folder for the record. script: another one of sweeps/.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        uri: str | None = None,
        storage: Path | None = None,
        script: str = SCRIPT,
    ) -> None:
        self.folder, self.uri = folder, uri or f"sqlite:///{folder / 'mlflow.db'}"
        if uri is None and not (folder / "mlflow.db").exists():
            (folder / "mlflow.db").write_bytes(new_database())
        own = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "ADCORE_DATA")}
        places = ["--storage", str(storage or folder / "runs"), "--tracking-uri", self.uri]
        self.log = (folder / f"output-{time.monotonic_ns()}.txt").open("w+")
        self.errors = (folder / f"errors-{time.monotonic_ns()}.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "sweeps" / f"{script}.py"), *arguments, *places],
            stdout=self.log,
            stderr=self.errors,
            cwd=folder,
            env={**own, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", **(env or {})},
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # the tests may run under nohup
        )

    def wait(self) -> int:
        """The exit code; the process and its group are ended if there is none in time."""
        try:
            return self.process.wait(HANGS)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"no end after {HANGS:.0f} s\n{self.out}\n{self.err}") from None

    @property
    def tree(self) -> list[psutil.Process]:
        """Its processes, Ray's among them."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def worker(self) -> psutil.Process | None:
        """A worker that trains at this moment."""
        for each in self.tree:
            with suppress(psutil.Error):
                if "ImplicitFunc" in " ".join(each.cmdline()):
                    return each
        return None

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it: to every process of the group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def hang_up(self) -> None:
        """A terminal that is closed: the system tells every process of the group."""
        os.killpg(self.process.pid, signal.SIGHUP)

    def end(self) -> None:
        """Kill what is left of the group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(HANGS)
        self.log.close()
        self.errors.close()

    @property
    def out(self) -> str:
        """What it printed."""
        return Path(self.log.name).read_text()

    @property
    def err(self) -> str:
        """What it printed to stderr."""
        return Path(self.errors.name).read_text()


#: Begin a sweep in a folder, with these arguments and settings of the environment: the fixture `begin`.
Begin = Callable[..., SweepProcess]


def poll(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of condition, asked again and again until it hangs."""
    deadline = time.monotonic() + HANGS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {HANGS:.0f} s: {what}")


def packs(home: Path) -> int:
    """How many packs of the search a sweep's record holds; 0 while it is being made."""
    path = home / "study.db"
    if not path.exists():
        return 0
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        query = "SELECT count(*) FROM study_user_attributes WHERE key LIKE 'pack_%'"
        return int(database.execute(query).fetchone()[0])
    return 0


class MlflowRuns:
    """All runs of the one experiment in a database, by key within the sweep."""

    def __init__(self, uri: str, experiment: str = SCRIPT, sweep_id: str | None = None) -> None:
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(uri)
        found = self.client.get_experiment_by_name(experiment)
        assert found, f"no experiment {experiment}"
        query = f"tags.sweep_id = '{sweep_id}'" if sweep_id else ""
        self.runs = list(self.client.search_runs([found.experiment_id], query))
        self.by_key = {run.data.tags[KEY_TAG]: run for run in self.runs}
        assert len(self.by_key) == len(self.runs), "two runs with one key"

    def level(self, level: str, stage: str | None = None) -> dict[str, Any]:
        """Runs of a level: sweep, config or class; of one stage."""
        return {
            key: run
            for key, run in self.by_key.items()
            if run.data.tags["level"] == level and stage in (None, run.data.tags["stage"])
        }

    def history(self, key: str, metric: str) -> list[tuple[int, float]]:
        """(step, value) of a metric, in the order of steps."""
        found = self.client.get_metric_history(self.by_key[key].info.run_id, metric)
        return sorted((each.step, each.value) for each in found)

    def assert_whole(self) -> None:
        """Every run has ended and hangs under its parent; no metric has two values at one step."""
        ids = {run.info.run_id: key for key, run in self.by_key.items()}
        for key, run in self.by_key.items():
            assert run.info.status in ("FINISHED", "FAILED"), (key, run.info.status)
            assert run.data.tags["state"] in ("complete", "stopped", "diverged", "failed"), (key, run.data.tags)
            parent = None if key == "sweep" else "sweep" if key.count("/") == 2 else key.rsplit("/", 1)[0]
            assert ids.get(run.data.tags.get("mlflow.parentRunId", "")) == parent, key
            for metric in run.data.metrics:
                steps = [step for step, _ in self.history(key, metric)]
                assert len(set(steps)) == len(steps), (key, metric, steps)
