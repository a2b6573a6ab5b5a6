"""Within a Ray job, whose folder is deleted, a sweep's places have to be elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweeps.engine.machine.job import IN_JOB
from tests.refusals import refused

ADDRESS = ["--address", "auto"]


@pytest.fixture(autouse=True)
def _in_a_job(elsewhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IN_JOB, json.dumps({"runtime_env": {}, "metadata": {}}))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")


def test_ray_itself_names_the_variable() -> None:
    from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

    assert RAY_JOB_CONFIG_JSON_ENV_VAR == IN_JOB


def test_the_defaults_are_refused_with_the_form_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused([], capsys)
    assert line.startswith(
        "error: --storage runs, --tracking-uri sqlite:///mlflow.db, --address local: within a Ray job"
    )
    works = "--storage /FOLDER/OF/ALL/NODES --tracking-uri sqlite:////FOLDER/OF/ALL/NODES/mlflow.db --address auto"
    assert line.endswith(f"expected {works}\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (
            ["--storage", "r\u00fcns of mine", *ADDRESS, "--tracking-uri", "http://mlflow:5000"],
            "--storage r\u00fcns of mine",
        ),
        (["--storage", "/s", *ADDRESS], "--tracking-uri sqlite:///mlflow.db"),
        (["--storage", "/s", "--tracking-uri", "sqlite:////s/mlflow.db"], "--address local"),
        (["--resume", "mine"], "--storage runs"),
    ],
)
def test_only_what_is_wrong_is_named(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(arguments, capsys).startswith(f"error: {named}: within a Ray job")


def test_places_elsewhere_pass_and_the_jobs_cluster_is_probed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--storage", str(tmp_path / "s"), "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db", "--scale", "smoke"]
    assert "nothing answers at 127.0.0.1:1 " in refused([*places, *ADDRESS], capsys)


def test_a_plan_opens_nothing_and_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from sweeps.engine.main import main
    from sweeps.gan_loss_weights import SPACE

    with pytest.raises(SystemExit) as ended:
        main("gan_loss_weights", "help", SPACE, ["--plan", "--scale", "smoke"])
    assert not ended.value.code
    assert "nothing is run" in capsys.readouterr().out
