"""Identify the code that a sweep runs, so that driver, workers and record can be compared."""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import adcore
from adcore.errors import UserError
from sweeps.engine.machine.nodes import ask_every_node

__all__ = [
    "ROOT",
    "UNKNOWN_CODE",
    "Code",
    "check_one_root",
    "code_copy",
    "code_has_changed",
    "code_tags",
    "current_code",
    "require_same_code",
]

#: The folder that holds this package.
ROOT = Path(__file__).resolve().parents[3]
#: The packages that decide the results, by name: on a cluster's nodes each lies in a folder of its own.
PACKAGES = {"adcore": Path(str(adcore.__file__)).resolve().parent, "sweeps": ROOT / "sweeps"}


class Code(NamedTuple):
    """version: of the installed package; commit: of git, with "+" if files differ from it; sources: a hash of them."""

    version: str
    commit: str
    sources: str

    def __str__(self) -> str:
        commit = f", commit {self.commit[:12]}{'+' * self.commit.endswith('+')}" if self.commit else ""
        sources = f", sources {self.sources[:12]}" if self.sources else ""
        return f"version {self.version}{commit}{sources}"


#: Stands for code that the record of an older version does not name.
UNKNOWN_CODE = Code("unknown", "", "")


@functools.cache
def current_code() -> Code:
    """The code of this process, as its files were at the first call."""
    return Code(_version(), _commit(), _sources())


def code_has_changed() -> bool:
    """Whether the files have changed since."""
    try:
        return _sources() != current_code().sources
    except OSError:  # one of them is being removed
        return True


@contextmanager
def code_copy() -> Generator[list[str]]:
    """The folders of a temporary copy of both packages' source files."""
    with tempfile.TemporaryDirectory(prefix="code-") as folder:
        for name, path in _files():
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        yield [str(Path(folder, name)) for name in PACKAGES]


def code_tags(codes: Sequence[Sequence[str]]) -> dict[str, str]:
    """MLflow's tags for the versions of the code that a sweep was run with, in order."""
    return {
        f"code_{name}": ", ".join(dict.fromkeys(filter(None, values)))
        for name, values in zip(Code._fields, zip(*codes, strict=True), strict=True)
    }


def check_one_root() -> None:
    """Raises UserError if the running script, or adcore, belongs to another copy of the code than this package."""
    script = Path(getattr(sys.modules["__main__"], "__file__", None) or __file__).resolve()
    script_root = script.parent.parent
    if script.parent.name == "sweeps" and script_root != ROOT and (script_root / "sweeps" / "engine").is_dir():
        raise UserError(
            f"{script} is run with the code of {ROOT}, expected that of {script_root}; "
            f"set PYTHONPATH={script_root}, or run {ROOT / 'sweeps' / script.name}"
        )
    if (other := PACKAGES["adcore"].parent) != ROOT:
        raise UserError(f"adcore comes from {other} and sweeps from {ROOT}, expected one place; correct PYTHONPATH")


def _version() -> str:
    try:
        return metadata.version("adsweep")
    except metadata.PackageNotFoundError:  # a copy that was not installed
        return "unknown"


def _commit() -> str:
    if not (ROOT / ".git").exists():  # else git would report a repository around this folder
        return ""
    try:
        commit, changed = (
            subprocess.run(
                ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=True
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", *PACKAGES])
        )
    except (OSError, subprocess.SubprocessError):  # no git, or an unreadable repository
        return ""
    return commit + "+" * bool(changed)


def _sources() -> str:
    digest = hashlib.sha256()
    for name, path in _files():
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _files() -> Iterator[tuple[str, Path]]:
    """Every source file, with its name starting at the package."""
    for name, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            if path.is_file():  # an editor's lock is a dangling link
                yield f"{name}/{path.relative_to(folder).as_posix()}", path


def require_same_code() -> None:
    """Raises UserError if the workers of a node would run other code than this driver does, or cannot start."""
    driver_code = current_code()
    for node, (root, code) in ask_every_node(imported_code):
        if code.sources != driver_code.sources:
            raise UserError(
                f"node {node}: its workers take adcore and sweeps from {root} ({code}), this driver from {ROOT} "
                f"({driver_code}), expected the same code; remove that copy, or bring it up to date"
            )


def imported_code() -> tuple[str, Code]:
    """The folder and the version of the code that a worker imports."""
    return str(ROOT), current_code()
