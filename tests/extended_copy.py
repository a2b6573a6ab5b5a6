"""docs/extending.md as a reader meets it: its blocks applied to a copy of the code, its commands run there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.sweep_process import HANGS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
#: The page's examples by heading; a block is (language, text), commands have no language.
EXAMPLES: dict[str, list[tuple[str, str]]] = {
    title: re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    for title, text in re.findall(r"^## A (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
}


def commands(title: str) -> list[list[str]]:
    """What an example has typed after `python`, command by command."""
    lines = [line.split() for language, block in EXAMPLES[title] if not language for line in block.splitlines()]
    assert all(line[0] == "python" for line in lines)
    return [line[1:] for line in lines]


def lines_to_write(title: str) -> int:
    """Lines of an example's new files and those it adds to others."""
    count = 0
    for language, block in EXAMPLES[title]:
        lines = block.splitlines()[1:]  # the first one names the file
        count += len(lines) if language == "python" else sum(line.startswith("+") for line in lines)
    return count


def extended_copy(folder: Path) -> Path:
    """The code with all examples in it."""
    for package in ("adcore", "sweeps"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for blocks in EXAMPLES.values():
        for language, block in blocks:
            name, text = block.split("\n", 1)
            if language == "python":
                _create(folder / name.removeprefix("# "), text)
            elif language == "diff":
                _change(folder / name.removeprefix("+++ "), text)
    return folder


def _create(path: Path, text: str) -> None:
    assert not path.exists(), path
    path.write_text(text)


def _change(path: Path, text: str) -> None:
    """Add the lines with + where the others stand, which must be in the file once."""
    for hunk in text.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        assert {line[0] for line in lines} == {" ", "+"}, hunk
        before = "".join(line[1:] for line in lines if line[0] == " ")
        content = path.read_text()
        assert content.count(before) == 1, f"{path}: {before}"
        path.write_text(content.replace(before, "".join(line[1:] for line in lines)))


def run(folder: Path, *arguments: str) -> str:
    """What python prints in the copy; it must end with 0 and have nothing to complain of."""
    own = {name: value for name, value in os.environ.items() if name not in ("ADCORE_DATA", "RAY_ADDRESS")}
    own |= {"PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    own |= {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, *arguments]
    ran = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=HANGS)
    assert (ran.returncode, ran.stderr) == (0, ""), f"{arguments}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout
