"""The data of a sweep: both parts are whole before anything is trained, and a resume takes no others."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from adcore.datasets import load
from adcore.errors import UserError
from adcore.protocols.splits import require_every_class
from sweeps.engine.machine.data import load_data, require_same_data
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.stages import Stages
from sweeps.gan_loss_weights import SPACE
from tests.refusals import refused
from tests.small_idx import idx_images, idx_labels, write_part, write_train
from tests.sweep_parts import record_of, small_plan

pytestmark = pytest.mark.usefixtures("elsewhere")

FOLDER = Path("data/fashion-mnist")
FLAGS = ["--data-dir", "data", "--allow-unverified-data", "--scale", "laptop"]


def _settings() -> SweepSettings:
    return SweepSettings(data_dir="data", allow_unverified_data=True)


@pytest.fixture
def whole(elsewhere: None) -> None:
    """A small data set with every class in both parts."""
    write_train(FOLDER, idx_images(160), idx_labels(160, classes=10))
    write_part(FOLDER, "t10k", idx_images(30), idx_labels(30, classes=10))


@pytest.mark.usefixtures("whole")
def test_the_parts_that_are_asked_for_are_kept_and_all_are_hashed() -> None:
    found, hashes = load_data(("fashion-mnist",), ("train",), _settings())
    assert list(found) == [("fashion-mnist", "train")]
    assert set(hashes["fashion-mnist"]) == {"train", "test"}
    assert hashes["fashion-mnist"]["train"] == found["fashion-mnist", "train"].content_hash
    require_same_data(hashes, hashes, "mine")
    require_same_data(None, hashes, "a record of a version that noted none")


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("part", ["train", "test"])
def test_labels_in_another_order_are_other_data(part: str) -> None:
    _, before = load_data(("fashion-mnist",), ("train",), _settings())
    if part == "train":
        write_train(FOLDER, idx_images(160), idx_labels(160, first=1, classes=10))
    else:
        write_part(FOLDER, "t10k", idx_images(30), idx_labels(30, first=1, classes=10))
    _, now = load_data(("fashion-mnist",), ("train",), _settings())
    with pytest.raises(UserError, match=f"'mine' was started with other data: the {part} part of fashion") as error:
        require_same_data(before, now, "mine")
    for known in (before, now):
        assert known["fashion-mnist"][part][:12] in str(error.value)


@pytest.mark.usefixtures("whole")
def test_a_resume_with_other_data_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    settings = SweepSettings(scale="laptop", data_dir="data", allow_unverified_data=True, name="mine")
    plan = make_plan("gan_loss_weights", settings, SPACE)
    Path("runs/mine").mkdir(parents=True)
    record = record_of(plan, path=Path("runs/mine/study.db").resolve())
    for name, value in {"settings": vars(settings), "plan": plan.as_record()}.items():
        record.write(name, value)
    _, hashes = load_data(("fashion-mnist",), ("train",), settings)
    record.write("data", hashes)
    write_train(FOLDER, idx_images(160), idx_labels(160, first=3, classes=10))
    line = refused(["--resume", "mine"], capsys, left=("data", "notes.txt", "runs"))
    assert "started with other data: the train part of fashion-mnist" in line


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("kind", ["absent", "cut", "of nine classes"])
def test_a_test_part_that_is_not_whole_is_refused_before_anything_is_trained(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(FOLDER.glob("t10k-*"))
    assert len(files) == 2
    if kind == "absent":
        for file in files:
            file.unlink()
    elif kind == "cut":
        files[0].write_bytes(files[0].read_bytes()[:40])
    else:
        write_part(FOLDER, "t10k", idx_images(30), idx_labels(30, classes=9))
    line = refused(FLAGS, capsys, left=("data", "notes.txt"))
    expected = (
        "class 9 (Ankle boot) of the test part of fashion-mnist has 0 images"
        if kind == "of nine classes"
        else "t10k-images"
    )
    assert expected in line


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([], "class 0 of these has 0 images, expected at least 1"),
        ([0, 2], "class 1 of these has 0 images"),
        ([0, 1, 2, 3], "the labels of these go up to 3, expected 0 to 2"),
    ],
)
def test_labels_that_will_not_do_are_named(labels: list[int], reason: str) -> None:
    own: dict[str, Any] = {"at_least": 1, "of": "these"}
    require_every_class(torch.tensor([0, 1, 2]), "012", **own)
    with pytest.raises(UserError, match=reason):
        require_every_class(torch.tensor(labels, dtype=torch.int64), "012", **own)


def test_the_test_part_that_is_scored_is_the_one_that_the_sweep_began_with(tmp_path: Path) -> None:
    record = record_of(small_plan(), path=tmp_path / "study.db")
    record.write("inspected", 0)
    lines: list[str] = []
    sweep: Any = SimpleNamespace(
        plan=small_plan(), settings=SweepSettings(), record=record, home=tmp_path / "mine", copy_record=lambda: None,
        display=SimpleNamespace(print=lines.append),
    )  # fmt: skip
    own = load("digits", "test")
    for stored in (own.content_hash, "0" * 64):
        record.write("data", {"digits": {"train": "a", "test": stored}})
        if stored == own.content_hash:
            assert torch.equal(Stages._open_test(sweep, 0).labels, own.labels)
        else:
            with pytest.raises(UserError, match="'mine' was started with other data: the test part of digits"):
                Stages._open_test(sweep, 0)
    assert lines == ["final: opens the test part, to score all confirmed models"], "only where it was opened"
