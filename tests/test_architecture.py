"""Which module may import which, and how little a light import brings in."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import adcore

PACKAGE = Path(adcore.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def imports(module: str) -> Iterator[str]:
    """Every module that is imported anywhere in `module`, inside functions too, unless for type checkers alone."""
    tree = ast.parse(MODULES[module].read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(module: str) -> set[str]:
    """`module` and every module of adcore that its imports lead to."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in MODULES and name not in seen:
            seen.add(name)
            waiting.extend(imports(name))
    return seen


def test_the_whole_package_is_looked_at() -> None:
    assert len(FILES) >= 25
    assert {"adcore", "adcore.train", "adcore.losses", "adcore.detectors.gan"} <= set(MODULES)
    assert "adcore.train.epoch_end" in reached("adcore.train"), "imports inside functions are not followed"


@pytest.mark.parametrize("module", MODULES)
def test_the_science_knows_nothing_of_the_search(module: str) -> None:
    roots = {name.split(".")[0] for name in imports(module)}
    assert not roots & {"ray", "mlflow", "optuna", "sweeps", "tests"}


@pytest.mark.parametrize(
    "module", ["adcore.losses", "adcore.networks", "adcore.metrics", "adcore.augment", "adcore.protocols.sampling",
               "adcore.protocols.definitions", "adcore.protocols.splits", "adcore.protocols.experiments", "adcore.train.datamodule",
               "adcore.detectors", "adcore.detectors.gan", "adcore.evaluation.thresholds", "adcore.reconstruction"]
)  # fmt: skip
def test_below_train_nothing_knows_the_configuration(module: str) -> None:
    forbidden = {"adcore.config", "adcore.options", "adcore.train", "adcore.command_line"}
    assert module in MODULES
    assert not reached(module) & forbidden


@pytest.mark.parametrize("module", ["adcore.losses", "adcore.networks"])
def test_losses_and_networks_are_torch_alone(module: str) -> None:
    others = {name.split(".")[0] for name in imports(module)} - sys.stdlib_module_names - {"__future__"}
    assert others == {"torch"}


@pytest.mark.parametrize(
    "module",
    [
        "adcore",
        "adcore.train",
        "adcore.config",
        "adcore.datasets",
        "adcore.protocols.definitions",
        "adcore.train.__main__",
        "adcore.detector_catalog",
        "adcore.evaluation.figures",
    ],
)
def test_importing_is_light(module: str) -> None:
    heavy = "('torch', 'torchvision', 'pytorch_lightning', 'lightning', 'sklearn', 'ray', 'mlflow', 'optuna')"
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules], {module!r} in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)
    assert ran.stdout.strip() == "[] True"
