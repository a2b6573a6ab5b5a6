"""Within a Ray job, whose folder is deleted, a sweep's places have to be elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweeps.engine.machine import commands
from sweeps.engine.machine.job import IN_JOB
from sweeps.engine.planning.settings import SweepSettings
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
    submit = "ray job submit --working-dir . -- env PYTHONPATH=. python sweeps/gan_loss_weights.py"
    assert line.endswith(f"expected `{submit} ... {works}`\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (
            ["--storage", "r\u00fcns of mine", *ADDRESS, "--tracking-uri", "http://mlflow:5000"],
            "--storage r\u00fcns of mine",
        ),
        (["--storage", "/s", *ADDRESS], "--tracking-uri sqlite:///mlflow.db"),
        (
            ["--storage", "/s", "--checkpoints", "c", *ADDRESS, "--tracking-uri", "http://mlflow:5000"],
            "--checkpoints c",
        ),
        (["--storage", "/s", "--tracking-uri", "sqlite:////s/mlflow.db"], "--address local"),
        (["--resume", "mine"], "--storage runs"),
        (["--resume", "mine", "--storage", "/s", "--checkpoints", "c"], "--checkpoints c"),
        (
            ["--storage", "~nosuch-user/x"],
            "--storage ~nosuch-user/x, --tracking-uri sqlite:///mlflow.db, --address local",
        ),
    ],
)
def test_only_what_is_wrong_is_named(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(arguments, capsys).startswith(f"error: {named}: within a Ray job")


def test_the_printed_command_submits_another_job_as_this_ones_code_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SweepSettings(storage="/s", address="auto")
    uploaded = tmp_path / "working_dir_files" / "_ray_pkg_1"
    monkeypatch.setattr(commands, "ROOT", uploaded)
    submit = "ray job submit --working-dir . -- env PYTHONPATH=. python sweeps/tune.py"
    places = "--address auto --storage /s"
    assert sorted(commands.resume_command("tune", settings, "mine").split()) == sorted(
        f"{submit} --resume mine {places}".split()
    )
    monkeypatch.setattr(commands, "ROOT", tmp_path)  # installed on every node
    assert f"{tmp_path}/sweeps/tune.py --resume mine" in commands.resume_command("tune", settings, "mine")


def test_ray_itself_names_the_folder_of_a_jobs_code() -> None:
    from ray._private.runtime_env import working_dir

    assert commands.UPLOADED in Path(working_dir.__file__).read_text(encoding="utf-8")


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
