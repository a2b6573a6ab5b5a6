"""What `--plan` says, and the line at the start of a sweep."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch

from adcore.datasets import ImageDataset
from adcore.train import train
from sweeps.engine.plan_text import plan_in_words, sweep_in_a_line
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.time_budget import images_of, updates_of
from sweeps.gan_loss_weights import SPACE
from tests.own_images import stripes, write_images


def test_a_plan_in_words_tells_what_would_run() -> None:
    settings = SweepSettings(scale="laptop", normal_class=(0, 3), configs=5, name="mine")
    text = plan_in_words(make_plan("gan_loss_weights", settings, SPACE), settings)
    for part in ("nothing is run", "fashion-mnist", "classes 0,3", "5 configurations, each until stopped",
                 "classes x epochs: 1 x 2, 1 x 4, 2 x 4; 1 of 4 is promoted, 2 or more to the top",
                 "T-shirt/top, Dress", "sampler tpe",
                 "score      reconstruction error + 1 x latent distance\n", "2 configurations x 2 fresh seeds",
                 "; at most 184 updates in a training\n", "trained    with labelled anomalies of every other class",
                 "runs/mine", "weight_abc 0.1-10"):  # fmt: skip
        assert part in text, part
    # two of five are complete: 5 x 2 + (2 x 2 + 2 x 4) x 1.6 = 29 class-epochs of 3,000 images
    assert "29 class-epochs, 73% of the cost without stopping" in text
    assert "87,600 images in the search, 96,000 images to confirm" in text


@pytest.mark.parametrize(
    ("protocol", "parts"), [("paper", "2 x "), ("seen-unseen", "2 x "), ("leave-one-out", "2 x "), ("one-class", "")]
)
def test_a_plan_counts_about_as_many_images_as_training_takes(
    protocol: str, parts: str, digits_train: ImageDataset
) -> None:
    settings = SweepSettings(scale="smoke", protocol=protocol, normal_class=(0,), epochs=1, set=("batch_size=16",))
    plan = make_plan("gan_loss_weights", settings, SPACE)
    counted = re.search(rf"fresh seeds x 1 class x 1 epoch x {parts}(\d+) images", plan_in_words(plan, settings))
    assert counted
    config = dataclasses.replace(plan.base, detector="random")
    taken = train(config, lambda _: None, data=digits_train).images_per_epoch
    for count in (images_of(plan.base), (2 if parts else 1) * int(counted[1]), 16 * updates_of(plan.base)):
        assert 0.75 * taken <= count <= 1.25 * taken


def test_a_plan_says_what_is_waited_for() -> None:
    settings = SweepSettings(scale="smoke", address="10.0.0.1:6379", wait_for="16gpus", wait_minutes=60)
    line = "  cluster    begins once it has 16 GPUs; waits 60 minutes at most"
    assert line in plan_in_words(make_plan("gan_loss_weights", settings, SPACE), settings).splitlines()
    assert SweepSettings(wait_for="1nodes", address="auto").wait_in_words.startswith("begins once it has 1 node;")
    assert SweepSettings().wait_in_words == ""


@pytest.mark.parametrize(
    ("checkpoints", "words"),
    [(None, "beside the record"), ("s3://bucket/prefix?region=eu-central-1", "s3://bucket/prefix/n")],
)
def test_the_plan_says_where_checkpoints_go(checkpoints: str | None, words: str) -> None:
    settings = SweepSettings(scale="smoke", name="n", checkpoints=checkpoints)
    lines = plan_in_words(make_plan("gan_loss_weights", settings, SPACE), settings).splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("  checkpoints ")] == [words]


def test_trainings_of_few_updates_are_warned_of_whatever_the_scale() -> None:
    cases = [({"scale": "smoke"}, True), ({"scale": "smoke", "epochs": 20}, False), ({"scale": "laptop"}, False),
             ({"scale": "laptop", "set": ("images_per_class=40",)}, True)]  # fmt: skip
    for flags, warned in cases:
        settings = SweepSettings(**flags)
        text = plan_in_words(make_plan("gan_loss_weights", settings, SPACE), settings)
        assert ("too few to learn much" in text) == warned, flags


def test_a_plan_over_ones_own_data_says_that_no_image_was_opened(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        write_images(tmp_path / "own data" / name, stripes(20, standing=name == "good"))
    settings = SweepSettings(scale="smoke", dataset=f"folder:{tmp_path / 'own data'}")
    text = plan_in_words(make_plan("script", settings, SPACE), settings)
    show = f"python -m adcore.datasets show 'folder:{tmp_path / 'own data'}'"
    assert f"  images     counted, not opened; `{show}` reads them\n" in text
    published = SweepSettings(scale="smoke")
    assert "not opened" not in plan_in_words(make_plan("script", published, SPACE), published)


def test_normal_images_that_a_smaller_class_leaves_unused_are_told_of(tmp_path: Path) -> None:
    for name, count in {"good": 100, "bad": 20, "worse": 24}.items():
        write_images(tmp_path / name, stripes(count, standing=name == "good"))
    plan = make_plan(
        "script", SweepSettings(scale="smoke", dataset=f"folder:{tmp_path}", normal_class=("good",)), SPACE
    )
    labels = torch.arange(3).repeat_interleave(torch.tensor([12, 60, 14]))
    line = sweep_in_a_line(plan, [], labels, limit=10, slots=2)
    assert line.endswith(
        "; of 50 normal images 10 are trained on, as many as the smallest class has; all are if a class is called "
        "normal, which then is the only normal one"
    )
    alike = sweep_in_a_line(plan, [], torch.arange(3).repeat(30), limit=10, slots=2)
    assert alike.endswith("2 at a time")
