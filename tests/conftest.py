"""One thread for torch, no GPU, a cluster cache of this run's own, and the data sets that many tests read."""

from __future__ import annotations

import os
import uuid

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, here and in child processes
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # equal to the bit is a claim about CPUs: a GPU adds in any order

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import HealthCheck, settings

from adcore.datasets import ImageDataset, load
from adcore.protocols import sampling
from adcore.train import TrainResult, train
from tests.detector_runs import config, ignore

if TYPE_CHECKING:
    from sweeps.engine.storage.object_store import ObjectStore
    from sweeps.engine.tracking.outbox import Outbox
    from sweeps.engine.tracking.writer import MlflowWriter

torch.set_num_threads(1)
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")  # how long an example takes says nothing about it
pytest.register_assert_rewrite("tests.pack_runs")  # its assertions say which numbers differ


@pytest.fixture(scope="session", autouse=True)
def _own_cluster_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's cache could hide a change in the clustering: what an older version found would be read back."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "platformdirs", SimpleNamespace(user_cache_dir=lambda name: str(folder / name)))
        yield


@pytest.fixture(scope="session")
def digits_train() -> ImageDataset:
    return load("digits", "train")


@pytest.fixture(scope="session")
def digits_test() -> ImageDataset:
    return load("digits", "test")


@pytest.fixture(scope="session")
def fashion_train() -> ImageDataset:
    return load("fashion-mnist", "train")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, with a file of the user's in it, and no settings of the environment."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("notes.txt").write_text("a list of things to buy")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("ADCORE_DATA", raising=False)


@pytest.fixture(scope="session")
def database() -> bytes:
    """A new MLflow database."""
    from tests.sweep_process import new_database

    return new_database()


@pytest.fixture(scope="session")
def whole_run(digits_train: ImageDataset) -> Callable[[str], TrainResult]:
    """Each detector's run of config(name), trained once."""
    results: dict[str, TrainResult] = {}

    def run(name: str) -> TrainResult:
        if name not in results:
            results[name] = train(config(name), ignore, data=digits_train)
        return results[name]

    return run


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory, database: bytes) -> str:
    """A database that tests share: each has a sweep of its own in it."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    path.write_bytes(database)
    return f"sqlite:///{path}"


@pytest.fixture
def sweep_id() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    from sweeps.engine.tracking.outbox import Outbox

    return Outbox(tmp_path / "outbox.db")


@pytest.fixture
def writer(uri: str, sweep_id: str, outbox: Outbox) -> Iterator[MlflowWriter]:
    from tests.mlflow_parts import writer_of

    writer = writer_of(uri, sweep_id, outbox)
    yield writer
    writer.close()


@pytest.fixture(scope="module")
def sweeps() -> Iterator[str]:
    """The address of a store."""
    from tests.s3_server import running_s3

    with running_s3() as server:
        yield server.address()


@pytest.fixture
def store(sweeps: str, tmp_path: Path) -> ObjectStore:
    """The store of this test's sweep."""
    from sweeps.engine.storage.check import open_store

    return open_store(sweeps).below(tmp_path.name)
