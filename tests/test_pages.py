"""Pages that list what the code has: they name all of it, and the same numbers."""

from __future__ import annotations

import pytest

from adcore.config import TrainConfig
from sweeps.engine.plan_cost import confirmed_count
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SCALES, SweepSettings
from sweeps.gan_loss_weights import SPACE
from tests.fresh_python import ROOT


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["adcore", "sweeps/engine"])
def test_the_architecture_names_every_file_in_the_row_of_its_folder(package: str) -> None:
    text = page("architecture.md")
    missing: list[str] = []
    for path in (ROOT / package).rglob("*.py"):
        folder = path.parent.relative_to(ROOT / package).as_posix()
        if path.stem.startswith("__") or folder == "detectors":  # a file for each detector
            continue
        rows = [text] if folder == "." else [line for line in text.splitlines() if line.startswith(f"| `{folder}/` |")]
        named = f"`{path.stem}.py`" if folder == "." else f"`{path.stem}`"
        missing += [] if any(named in row for row in rows) else [str(path.relative_to(ROOT))]
    assert missing == []


@pytest.mark.parametrize("name", SCALES)
def test_the_table_of_scales_has_their_numbers(name: str) -> None:
    [row] = [line.split(" | ") for line in page("running.md").splitlines() if line.startswith(f"| `{name}` | ")]
    plan = make_plan("gan_loss_weights", SweepSettings(scale=name), SPACE)
    base: TrainConfig = plan.base
    dataset, sizes, images, configs, confirmed = row[1:6]
    assert dataset.lower() == base.dataset
    batch = "1 + 1" if base.batch_size == 1 else str(base.batch_size)
    assert sizes.split(";")[0] == f"{base.width}, {batch}, {base.epochs}"
    assert ("searched at" in sizes) == bool(plan.search)
    assert images.replace(",", "") == str(base.images_per_class or "all")
    assert int(configs) == plan.configs
    assert confirmed == f"{confirmed_count(plan)} x {plan.seeds}"
