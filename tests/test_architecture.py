"""Which module may import which, and how little a light import brings in."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.fresh_python import HEAVY, ROOT, fresh_imports

FILES = sorted(path for package in ("adcore", "sweeps") for path in (ROOT / package).rglob("*.py"))

#: Rooms from the bottom up: a module imports only from its own room and from those above it in this list. What is not
#: listed is a room with the rest of its package, a command (`__main__`) is above all of its package.
ROOMS = (
    (
        "adcore.errors",
        "adcore.options",
        "adcore.files",
        "adcore.random_streams",
        "adcore.metric_names",
        "adcore.system",
    ),
    ("adcore.flag_types",),
    ("adcore.command_line",),
    ("adcore.datasets",),
    ("adcore.protocols",),
    (
        "adcore.losses",
        "adcore.networks",
        "adcore.augment",
        "adcore.pseudo_anomalies",
        "adcore.reconstruction",
        "adcore.metrics",
        "adcore.thresholds",
    ),
    ("adcore.detectors",),
    ("adcore.detector_catalog", "adcore.data_checks", "adcore.config"),
    ("adcore.train",),
    ("adcore.evaluation",),
    ("adcore.predict",),
    ("adcore.datasets.__main__", "adcore.train.__main__", "adcore.predict.__main__"),
    ("sweeps.engine.planning",),
    ("sweeps.engine.storage",),
    ("sweeps.engine.machine",),
    ("sweeps.engine.record",),
    ("sweeps.engine.remote",),
    ("sweeps.engine.search",),
    ("sweeps.engine.tracking",),
    ("sweeps.engine.live",),
    ("sweeps.engine.results",),
    ("sweeps.engine.show",),
    ("sweeps.engine.report",),
    ("sweeps.engine",),
    ("sweeps.engine.baselines",),
    ("sweeps",),
)
MOST_FILES = 18


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def imports(module: str, *, typing: bool = False) -> Iterator[str]:
    """Every module that is imported anywhere in `module`, inside functions too; for type checkers alone if `typing`."""
    tree = ast.parse(MODULES[module].read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only and not typing:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from [name if name in MODULES else node.module for name in names]


def ours(module: str, *, typing: bool = False) -> set[str]:
    return {name for name in imports(module, typing=typing) if name in MODULES} - {module}


def reached(module: str) -> set[str]:
    """`module` and every module of ours that its imports lead to."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(ours(name))
    return seen


def place(module: str) -> int:
    """The place of a module's room: of the longest name in ROOMS that it begins with."""
    named = [(len(name), at) for at, room in enumerate(ROOMS) for name in room if f"{module}.".startswith(f"{name}.")]
    assert named, f"{module} is in no room"
    return max(named)[1]


def test_every_package_is_looked_at() -> None:
    assert len(FILES) >= 100
    assert {"adcore", "adcore.train", "adcore.losses", "sweeps.engine.stages"} <= set(MODULES)
    assert "adcore.train.epoch_end" in reached("adcore.train"), "imports inside functions are not followed"
    for name in (name for room in ROOMS for name in room):
        assert name in MODULES, f"{name} is in ROOMS, and nowhere else"


@pytest.mark.parametrize("module", [name for name in MODULES if name != "adcore"])
def test_imports_go_one_way_between_rooms(module: str) -> None:
    for other in ours(module) - {"adcore"}:
        assert place(other) <= place(module), f"{module} imports {other}"


def test_there_is_no_import_cycle_not_even_for_type_checkers() -> None:
    graph = {name: ours(name, typing=True) for name in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"an import cycle: {' -> '.join(error.args[1])}")


def test_no_room_has_too_many_files() -> None:
    folders = {path.parent for path in FILES}
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {name: count for name, count in counts.items() if count > MOST_FILES} == {}


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("adcore")])
def test_the_science_knows_nothing_of_the_search(module: str) -> None:
    roots = {name.split(".")[0] for name in imports(module)}
    assert not roots & {"ray", "mlflow", "optuna", "sweeps", "tests"}


@pytest.mark.parametrize(
    "module",
    [
        "adcore.losses", "adcore.networks", "adcore.metrics", "adcore.augment", "adcore.reconstruction",
        "adcore.protocols.sampling", "adcore.protocols.definitions", "adcore.protocols.splits",
        "adcore.protocols.experiments", "adcore.train.datamodule", "adcore.detectors", "adcore.detectors.gan",
        "adcore.thresholds",
    ],
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
        "adcore.predict.__main__",
        "sweeps",
        "sweeps.engine.sweep",
        "sweeps.engine.show.main",
        "sweeps.console",
    ],
)
def test_importing_is_light(module: str) -> None:
    loaded = fresh_imports(module)
    assert module in loaded
    assert (HEAVY - {"matplotlib"}) & loaded == set()
