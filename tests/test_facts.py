"""A sweep over data of one's own is read with the facts that were known as it began."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from adcore.datasets import DatasetError, describe, load
from adcore.datasets.own import forget
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.facts import FACTS, facts_of
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.stored_plan import read_record
from sweeps.gan_loss_weights import SPACE
from tests.own_images import stripes, write_images
from tests.shown_records import begun


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("b", "c"):
        write_images(tmp_path / "images" / name, stripes(20, standing=name == "b"))
    return tmp_path / "images"


def sweep_over(data: Path, *, with_facts: bool = True) -> SweepHome:
    """A sweep's folder whose search has proposed a configuration."""
    plan = make_plan("gan_loss_weights", SweepSettings(scale="smoke", dataset=f"folder:{data}"), SPACE)
    train = load(plan.base.dataset, "train")
    facts = {FACTS: facts_of({(plan.base.dataset, "train"): train})} if with_facts else {}
    begun(data.parent / "runs" / "mine", plan, **facts).propose(0)
    return SweepHome(data.parent / "runs" / "mine")


def test_a_class_that_has_come_since_does_not_rename_the_others(data: Path) -> None:
    home = sweep_over(data)
    write_images(data / "a", stripes(20, standing=True))
    forget()  # as in another process
    plan = read_record(home).plan
    assert describe(plan.base.dataset).class_names == ("b", "c")
    assert plan.classes == (0, 1)


def test_data_that_are_gone_are_missed_only_where_no_facts_are_on_record(data: Path) -> None:
    home = sweep_over(data)
    shutil.rmtree(data)
    forget()
    assert read_record(home).plan.classes == (0, 1)


def test_without_facts_on_record_the_line_names_the_data(data: Path) -> None:
    home = sweep_over(data, with_facts=False)
    shutil.rmtree(data)
    forget()
    with pytest.raises(DatasetError, match="no such folder"):
        read_record(home)


def test_published_data_need_no_facts(digits_train: object) -> None:
    assert facts_of({("digits", "train"): digits_train}) == {}  # type: ignore[dict-item]
