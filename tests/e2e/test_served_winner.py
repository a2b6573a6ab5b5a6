"""A sweep's winner out of MLflow's registry: loaded, served over HTTP, and the same as in sweeps/predict.py."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from mlflow.pyfunc import load_model
from mlflow.tracking import MlflowClient

from adcore.datasets import load
from tests.e2e.mlflow_server import Server
from tests.loopback import answers, free_port
from tests.sweep_process import HANGS, ROOT, Begin, poll

pytestmark = pytest.mark.xdist_group("served winner")

NAME = "gan_loss_weights-digits"


def test_the_winner_is_registered_once_loaded_by_its_alias_and_served(
    server: Server, begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = begin(
        tmp_path, "--scale", "smoke", "--normal-class", "0,3", "--configs", "2", "--max-concurrent", "1", "--name", "s",
        uri=server.uri,
    )  # fmt: skip
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    resumed = begin(tmp_path, "--resume", "s", uri=server.uri)
    assert resumed.wait() == 0, resumed.err
    client = MlflowClient(server.uri, registry_uri=server.uri)
    [version] = client.search_model_versions(f"name = '{NAME}'")
    assert client.get_model_version_by_alias(NAME, "champion").version == version.version
    assert version.tags["sweep"] == "s"

    images = load("digits", "test").images[:6, 0].numpy()
    np.save(tmp_path / "images.npy", images)
    expected = [_predicted(tmp_path, index) for index in (0, 3)]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    winner = load_model(f"models:/{NAME}@champion")
    for index, rows in zip((0, 3), expected, strict=True):
        found = winner.predict({"image": images}, params={"class": str(index)})
        assert found["score"].tolist() == pytest.approx([float(row["score"]) for row in rows], rel=1e-5)
        assert found["decision"].tolist() == [row["decision"] for row in rows]

    answers = _served(server.uri, {"inputs": {"image": images.tolist()}, "params": {"class": "3"}})
    assert [row["score"] for row in answers] == pytest.approx([float(row["score"]) for row in expected[1]], rel=1e-5)


def _predicted(folder: Path, index: int) -> list[dict[str, str]]:
    """The rows of sweeps/predict.py."""
    command = [sys.executable, str(ROOT / "sweeps" / "predict.py"), "--sweep", "s", "--storage", str(folder / "runs")]
    words = ["--class", str(index), str(folder / "images.npy")]
    ran = subprocess.run([*command, *words], capture_output=True, text=True, timeout=HANGS, check=False, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    return list(csv.DictReader(ran.stdout.splitlines()))


def _served(uri: str, body: dict[str, object]) -> list[dict[str, float]]:
    """The answer of `mlflow models serve` to one request."""
    port = free_port()
    program = str(Path(sys.executable).with_name("mlflow"))
    words = ["models", "serve", "-m", f"models:/{NAME}@champion", "--env-manager", "local", "--workers", "1"]
    patient = {"MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(int(HANGS))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = subprocess.Popen(
        [program, *words, "--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, "MLFLOW_TRACKING_URI": uri, "PATH": path, **patient}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        poll(lambda: answers(f"{address}/ping"), "the served model")
        request = urllib.request.Request(
            f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=HANGS) as answer:
            return json.load(answer)["predictions"]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(HANGS)
