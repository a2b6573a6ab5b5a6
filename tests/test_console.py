"""The installed commands: each is its script, by its own name, and completes flags for a shell."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tests.fresh_python import HEAVY, ROOT, fresh_python

COMMANDS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
#: What pip installs for a command: a program of the command's name that calls the function.
LAUNCHER = "import sys; from {module} import {function}; sys.argv[0] = {name!r}; sys.exit({function}())"


def called(name: str, *arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an installed command."""
    entry = EntryPoint(name, COMMANDS[name], "console_scripts")
    program = LAUNCHER.format(module=entry.module, function=entry.attr, name=f"/usr/bin/{name}")
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=240
    )


def test_there_is_a_command_for_each_script() -> None:
    scripts = {"", "-tune", "-baselines", "-ablation", "-predict", "-report", "-ui"}
    assert set(COMMANDS) == {f"adsweep{name}" for name in {*scripts, "-train", "-datasets", "-show"}}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_mistakes_show_the_name_that_was_called(name: str) -> None:
    shown = called(name, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"Usage: {name} ")
    wrong = called(name, "--no-such-flag")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("adsweep", "gan_loss_weights"),
        ("adsweep-ablation", "loss_ablation"),
        ("adsweep-baselines", "baselines"),
        ("adsweep-tune", "tune"),
    ],
)
def test_a_command_plans_what_its_script_does(name: str, script: str, tmp_path: Path) -> None:
    arguments = ["--plan", "--scale", "smoke", *(["--detector", "vae"] if name == "adsweep-tune" else [])]
    planned = called(name, *arguments, folder=tmp_path)
    assert planned.returncode == 0, planned.stderr
    path = str(ROOT / "sweeps" / f"{script}.py")
    by_script = subprocess.run([sys.executable, path, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert planned.stdout == by_script.stdout


#: The values in the answer that each shell's script reads.
ANSWERS: dict[str, Callable[[str], list[str]]] = {
    "bash": lambda text: [line.partition(",")[2] for line in text.splitlines()],
    "zsh": lambda text: text.splitlines()[1::3],  # kind, value, help
    "fish": lambda text: [line.partition(",")[2].partition("\t")[0] for line in text.splitlines()],
}


@pytest.mark.parametrize("shell", ANSWERS)
@pytest.mark.parametrize(
    ("name", "typed", "expected"),
    [
        ("adsweep", ["--normal"], ["--normal-class"]),
        ("adsweep", ["--scale", ""], ["smoke", "laptop", "workstation", "gpu", "paper"]),
        ("adsweep-train", ["--precision", "b"], ["bf16-mixed"]),
        ("adsweep-datasets", ["f"], ["fetch"]),
    ],
)
def test_a_shell_completes_flags_and_values(name: str, typed: list[str], expected: list[str], shell: str) -> None:
    current = typed[-1] if shell == "fish" else str(len(typed))  # fish gives the word itself, the others its place
    asked = {"COMP_WORDS": " ".join([name, *typed]), "COMP_CWORD": current}
    found = called(name, **{f"_{name.upper().replace('-', '_')}_COMPLETE": f"{shell}_complete"}, **asked)
    assert found.returncode == 0, found.stderr
    assert "plain" in found.stdout
    assert ANSWERS[shell](found.stdout) == expected


def test_a_shell_completes_the_names_of_sweeps(tmp_path: Path) -> None:
    for name in ("monday", "morning", "tuesday"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "study.db").touch()
    asked = {"COMP_WORDS": "adsweep-show mo", "COMP_CWORD": "1", "_ADSWEEP_SHOW_COMPLETE": "bash_complete"}
    assert called("adsweep-show", folder=tmp_path, **asked).stdout.split() == ["plain,monday", "plain,morning"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shells_completion_script_is_printed(shell: str) -> None:
    shown = called("adsweep", _ADSWEEP_COMPLETE=f"{shell}_source")
    assert shown.returncode == 0
    assert "_ADSWEEP_COMPLETE" in shown.stdout


def test_completion_answers_without_any_large_library() -> None:
    entry = EntryPoint("adsweep", COMMANDS["adsweep"], "console_scripts")
    asked = {"COMP_WORDS": "adsweep --sca", "COMP_CWORD": "1", "_ADSWEEP_COMPLETE": "bash_complete"}
    ended = fresh_python(f"from {entry.module} import {entry.attr} as call; call()", "adsweep", **asked)
    assert ended.out.splitlines() == ["plain,--scale"]
    assert (HEAVY | {"numpy"}) & ended.modules == set()
