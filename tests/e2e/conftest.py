"""Sweeps as processes of their own, ended with the test that began them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.kill_loop import KillLoop
from tests.e2e.mlflow_server import Server
from tests.e2e.smoke_sweep import SmokeSweep, smoke_sweep
from tests.sweep_process import SCRIPT, Begin, SweepProcess

#: Files whose tests wait for minutes.
WAITING = ("test_faults.py", "test_mlflow_away.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that mostly wait go first: they take little of the processors while others run."""
    items.sort(key=lambda item: (item.path.name not in WAITING, not _on_the_cluster(item)))


def _on_the_cluster(item: pytest.Item) -> bool:
    """Whether it is one of those that run one after another, with nodes to wait for."""
    return any("cluster" in mark.args for mark in item.iter_markers("xdist_group"))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmokeSweep]:
    """The smoke sweep, once for the files of the group "smoke"."""
    with smoke_sweep(tmp_path_factory.mktemp("smoke")) as sweep:
        yield sweep


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins a sweep and ends it, by its process group, if the test did not see its end."""
    begun: list[SweepProcess] = []

    def _begin(
        folder: Path,
        *arguments: str,
        uri: str | None = None,
        storage: Path | None = None,
        script: str = SCRIPT,
        **env: str,
    ) -> SweepProcess:
        begun.append(SweepProcess(folder, *arguments, env=env, uri=uri, storage=storage, script=script))
        return begun[-1]

    yield _begin
    for sweep in begun:
        sweep.end()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A running MLflow server with its files in the test's folder."""
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> KillLoop:
    """Uninterrupted sweeps to compare with, made once for all processes of this run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    shared = tmp_path_factory.getbasetemp().parent / f"references-{run}"
    shared.mkdir(exist_ok=True)
    return KillLoop(tmp_path_factory.mktemp("loop"), seed=7, shared=shared, kills=1)
