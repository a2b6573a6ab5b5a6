"""A program in a Python of its own, and the modules that were loaded when it ended: what a user waits for."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Large libraries, slow to import.
HEAVY = {
    "torch", "torchvision", "pytorch_lightning", "lightning", "sklearn", "matplotlib", "ray", "mlflow", "optuna",
}  # fmt: skip
#: Begins each program. Registered first, the function is called last, after all that a program may do at its end.
TOLD = """
import atexit, sys
atexit.register(lambda path: open(path, "w").write(" ".join(sys.modules)), sys.argv[1])
sys.argv[:] = sys.argv[2:]
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended, what it printed, and which modules it had loaded."""

    code: int
    out: str
    err: str
    modules: set[str]


def fresh_python(program: str, *argv: str, folder: Path = ROOT, **environment: str) -> Ended:
    """Run a program text in a folder. argv: all of sys.argv, the program's name included."""
    with tempfile.TemporaryDirectory() as made:
        told = Path(made) / "modules"
        ran = subprocess.run(
            [sys.executable, "-c", TOLD + program, str(told), *argv], cwd=folder, capture_output=True, text=True,
            timeout=240, check=False, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip
        return Ended(ran.returncode, ran.stdout, ran.stderr, set(told.read_text().split()))


def fresh_script(path: Path, *arguments: str, folder: Path) -> Ended:
    """Run a script, as `python PATH ARGUMENTS` does."""
    return fresh_python(
        "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')", str(path), *arguments, folder=folder
    )


def fresh_module(module: str, *arguments: str) -> Ended:
    """Run a module, as `python -m MODULE ARGUMENTS` does."""
    program = "import runpy; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    return fresh_python(program, module, *arguments)


def fresh_imports(*modules: str) -> set[str]:
    """What is loaded once these modules are."""
    ended = fresh_python(f"import {', '.join(modules)}")
    assert ended.code == 0, ended.err
    return ended.modules
