"""Large libraries: imported without collections in between, and not before they are needed."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from adcore.system.imports import large_imports


@pytest.fixture(autouse=True)
def _unfreeze() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_collection_waits_for_the_imports_and_leaves_them_out_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with large_imports():
        import colorsys

        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(found is vars(colorsys) for found in gc.get_objects())


def test_garbage_is_collected_where_nothing_was_imported() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.own = self

    left = weakref.ref(Cycle())
    with large_imports():
        pass
    gc.collect()
    assert left() is None


def test_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with large_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_collection_is_on_again_after_an_import_that_failed() -> None:
    with pytest.raises(ModuleNotFoundError), large_imports():
        import no_such_library  # noqa: F401  # pyright: ignore[reportMissingImports]
    assert gc.isenabled()


def test_a_sweep_trains_before_its_driver_has_loaded_what_only_its_end_needs() -> None:
    program = "import sys, sweeps.engine.driver, sweeps.engine.stages; print(*sys.modules)"
    root = Path(__file__).parents[1]
    loaded = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True).stdout.split()
    assert "sweeps.engine.stages" in loaded
    assert {"pytorch_lightning", "matplotlib", "mlflow"}.isdisjoint(loaded)
