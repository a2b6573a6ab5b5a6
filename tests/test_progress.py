"""Progress within an epoch: what is counted, how often it is told, and what a terminal and a file show."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from adcore.datasets import ImageDataset
from adcore.train import progress, train
from adcore.train.__main__ import main
from adcore.train.progress import epoch_bar
from tests.train_runs import config, ignore

QUICK = ["--dataset", "digits", "--classes", "0,3", "--width", "2", "--sampling", "random", "--epochs", "2"]


def steps_by_epoch(data: ImageDataset, **options: int) -> tuple[dict[int, list[tuple[int, int]]], int]:
    """What was told in each epoch, and the images of an epoch."""
    told: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)

    def on_step(epoch: int, images: int, of: int) -> None:
        told[epoch].append((images, of))

    result = train(config(epochs=2), ignore, data=data, on_step=on_step, **options)
    return dict(told), result.images_per_epoch


@pytest.mark.parametrize("side_by_side", [2, 1])
def test_every_image_of_an_epoch_is_counted_also_where_experiments_take_turns(
    digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch, side_by_side: int
) -> None:
    monkeypatch.setattr(progress, "PERIOD", 0.0)
    told, images = steps_by_epoch(digits_train, side_by_side=side_by_side)
    assert list(told) == [1, 2]
    for steps in told.values():
        assert {of for _, of in steps} == {images}
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
        assert (steps[0][0], steps[-1][0]) == (0, images)
        assert len(steps) > 2, "told between the first and the last step, too"


def test_between_the_first_and_the_last_step_it_is_told_only_so_often(
    digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PERIOD", 3600.0)
    told, images = steps_by_epoch(digits_train)
    assert told == {1: [(0, images), (images, images)], 2: [(0, images), (images, images)]}


def test_a_terminal_shows_a_bar_below_the_lines_of_finished_epochs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # for rich, standard output is a terminal then
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main(QUICK)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", capsys.readouterr().out)
    assert ended.value.code == 0
    assert "preparing" in shown
    assert re.search(r"epoch 2 of 2", shown)
    assert re.search(r"(\d+) of \1 images \| \d+ images/s \| at most 0 s left", shown)
    lines = re.findall(r"^epoch \d  val AUROC .*images/s$", shown, re.MULTILINE)
    assert [line.split("  ")[0] for line in lines] == ["epoch 1", "epoch 2"]


def test_a_file_gets_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with epoch_bar(2) as (on_step, show):
        show("epoch 1  a line")
    assert on_step is None
    assert capsys.readouterr().out == "epoch 1  a line\n"


def test_time_left_counts_all_epochs_at_the_pace_since_the_first_step() -> None:
    pace = progress._Pace(4)
    assert pace.status(2, 0, 100, 10.0) == "0 of 100 images"  # resumed after the first epoch
    assert pace.status(2, 50, 100, 11.0) == "50 of 100 images | 50 images/s | at most 5 s left"
    # 100 images in 2 s; then a second of validation counts for the time left, not for the speed
    assert pace.status(3, 0, 100, 13.0) == "0 of 100 images | at most 6 s left"
    assert pace.status(3, 25, 100, 13.5) == "25 of 100 images | 50 images/s | at most 5 s left"
