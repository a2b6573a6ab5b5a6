"""deploy/slurm.sh, with SLURM, Ray and the sweep replaced by programs that note how they are called."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep_process import poll

SCRIPT = Path(__file__).parents[1] / "deploy" / "slurm.sh"
#: What stands in for each program: bash, in a folder of its own in front of PATH.
PROGRAMS = {
    "hostname": "echo 192.0.2.7 192.0.2.8",
    "scontrol": 'echo "$@" >> "$LOG/scontrol"',
    # runs the command of a step: what follows its own options
    "srun": 'echo "$@" >> "$LOG/srun"; while [[ $1 == --* ]]; do shift; done; SLURM_CPUS_ON_NODE=6 exec "$@"',
    "ray": """
        echo "$@" >> "$LOG/ray"; echo "$RAY_AUTH_MODE $RAY_AUTH_TOKEN" >> "$LOG/token"
        [ -z "$RAY_WAITS" ] || exec sleep 100
        [ -z "$RAY_FAILS" ] || exit 0  # what symmetric-run returns then
        while [ "$1" != -- ]; do shift; done
        shift; "$@"; exit 0
    """,
}
SWEEP = """
import os, signal, sys, time
log = os.environ["LOG"]
print(*sys.argv[1:], file=open(f"{log}/sweep", "a"))
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(130))
open(f"{log}/ready", "w").close()
time.sleep(float(os.environ.get("SECONDS_OF_SWEEP", 0)))
sys.exit(int(os.environ.get("SWEEPS_CODE", 0)))
"""


class Job:
    """A job of SLURM's with two nodes, in a project of its own."""

    def __init__(self, folder: Path) -> None:
        self.project, self.log, programs = (folder / name for name in ("project", "log", "programs"))
        for made in (self.project / "sweeps", self.log, programs):
            made.mkdir(parents=True)
        (self.project / "sweeps" / "gan_loss_weights.py").write_text(SWEEP)
        for name, text in {**PROGRAMS, "python": f'exec {sys.executable} "$@"'}.items():
            (programs / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
            (programs / name).chmod(0o755)
        self.env = {
            "PATH": f"{programs}:{os.environ['PATH']}", "LOG": str(self.log), "TMPDIR": str(folder),
            "RAY_FAILS": "", "RAY_WAITS": "",
            "SLURM_JOB_ID": "987654321", "SLURM_JOB_NUM_NODES": "2", "SLURM_SUBMIT_DIR": str(self.project),
        }  # fmt: skip

    def begin(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", str(SCRIPT), *arguments], env={**self.env, **env}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *arguments: str, **env: str) -> tuple[int, str]:
        process = self.begin(*arguments, **env)
        out, _ = process.communicate(timeout=240)
        return process.returncode, out

    def noted(self, program: str) -> list[str]:
        """How a program was called, a line for each time."""
        path = self.log / program
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_shellcheck_finds_nothing() -> None:
    program = Path(sys.executable).with_name("shellcheck")
    ran = subprocess.run([program, SCRIPT], capture_output=True, text=True, timeout=240, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_a_new_job_starts_a_sweep_named_after_it_on_a_ray_of_all_nodes(job: Job) -> None:
    assert job.run("--scale", "gpu", "--set", "width=16") == (0, "")
    storage = job.project / "runs"
    assert job.noted("sweep") == [
        f"--name slurm-987654321 --address 192.0.2.7:24321 --storage {storage} --scale gpu --set width=16"
    ]
    [ray] = job.noted("ray")
    assert ray.startswith("symmetric-run --address 192.0.2.7:24321 --min-nodes 2 --num-cpus 6 -- ")


def test_every_job_has_a_token_of_its_own_that_no_command_line_shows(job: Job) -> None:
    job.run()
    job.run()
    first, second = job.noted("token")
    assert re.fullmatch("token [0-9a-f]{64}", first)
    assert first != second
    token = first.split()[1]
    assert not any(token in line for program in ("srun", "ray", "sweep") for line in job.noted(program))


def test_a_job_whose_sweep_is_on_record_resumes_it(job: Job, tmp_path: Path) -> None:
    record = tmp_path / "shared" / "mine" / "study.db"
    record.parent.mkdir(parents=True)
    record.touch()
    assert job.run(SWEEP_NAME="mine", SWEEP_STORAGE=str(tmp_path / "shared")) == (0, "")
    assert job.noted("sweep") == [f"--resume mine --address 192.0.2.7:24321 --storage {tmp_path / 'shared'}"]


@pytest.mark.parametrize("code", ["1", "2"])
def test_the_job_ends_as_the_sweep_does_whatever_its_launchers_return(job: Job, code: str) -> None:
    assert job.run(SWEEPS_CODE=code) == (int(code), "")
    assert job.noted("scontrol") == []


def test_before_its_time_is_up_the_sweep_is_told_alone_and_the_job_comes_back(job: Job) -> None:
    process = job.begin(SECONDS_OF_SWEEP="100")
    poll((job.log / "ready").exists, "the sweep has begun")
    process.send_signal(signal.SIGUSR1)
    out, _ = process.communicate(timeout=240)
    assert out == "the time of this job is up: it is requeued, and resumes slurm-987654321\n"
    assert job.noted("scontrol") == ["requeue 987654321"]


def test_a_job_whose_time_is_up_while_it_waits_for_nodes_comes_back(job: Job) -> None:
    process = job.begin(RAY_WAITS="yes")
    poll((job.log / "token").exists, "Ray has been called")
    process.send_signal(signal.SIGUSR1)
    out, _ = process.communicate(timeout=240)
    assert out == "the time of this job is up: it is requeued, and resumes slurm-987654321\n"
    assert job.noted("scontrol") == ["requeue 987654321"]


def test_a_ray_that_does_not_start_fails_the_job(job: Job) -> None:
    code, out = job.run(RAY_FAILS="yes")
    assert code == 1
    assert out == "error: Ray did not start on all nodes; its logs are in /tmp/ray-987654321 there\n"
    assert job.noted("scontrol") == []


def test_another_folder_than_the_projects_is_named(job: Job, tmp_path: Path) -> None:
    code, out = job.run(SLURM_SUBMIT_DIR=str(tmp_path))
    assert code == 2
    assert out == f"error: {tmp_path} has no sweeps/gan_loss_weights.py; call sbatch in the project's folder\n"
    assert job.noted("srun") == []


def test_the_script_asks_slurm_for_whole_nodes_a_warning_and_a_requeue() -> None:
    asked = re.findall(r"^#SBATCH --(\S+)$", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
    assert {"exclusive", "ntasks-per-node=1", "requeue", "open-mode=append", "signal=B:USR1@300"} <= set(asked)
