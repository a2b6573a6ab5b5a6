"""Names of configurations and classes."""

from __future__ import annotations

from typing import Any

import pytest

from adcore.config import TrainConfig
from adcore.detector_catalog import LATENT_SCORES
from adcore.detectors import DETECTORS
from sweeps.engine.planning.labels import class_label, configuration_label, over_classes, score_in_words
from sweeps.engine.planning.space import Choice, LogUniform, Space
from sweeps.gan_loss_weights import SPACE


def test_a_point_has_its_name() -> None:
    for name, point in SPACE.points.items():
        assert configuration_label(1, point, SPACE) == name


def test_of_many_fields_the_learning_rate_and_what_is_farthest_from_the_default_are_shown() -> None:
    params = {**SPACE.points["default"], "learning_rate": 8.123e-4, "weight_abc": 0.44, "weight_patch": 1.4}
    assert configuration_label(7, params, SPACE) == "007 · lr 0.00081 · abc 0.44"


def test_few_fields_are_all_shown_whatever_they_hold() -> None:
    space = Space(
        {"width": Choice((8, 16)), "norm": Choice(("batch", "group"))}, {"default": {"width": 8, "norm": "batch"}}
    )
    assert configuration_label(12, {"width": 16, "norm": "batch"}, space) == "012 · width 16 · norm batch"


def test_a_weight_of_zero_is_no_error() -> None:
    ranges = {f"weight_{name}": LogUniform(0.1, 1) for name in ("abc", "patch", "latent", "reconstruction")}
    default = dict.fromkeys(ranges, 0.0)
    assert configuration_label(3, {**default, "weight_patch": 0.5}, Space(ranges, {"default": default})).startswith(
        "003 · patch 0.5"
    )


@pytest.mark.parametrize(("names", "expected"), [(("0", "1"), "1"), (("Shirt", "Bag"), "1 Bag")])
def test_a_class_that_is_named_by_its_number_is_named_once(names: tuple[str, ...], expected: str) -> None:
    assert class_label(names, 1) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "reconstruction error"),
        ({"score_latent": 1.5}, "reconstruction error + 1.5 x latent distance"),
        ({"mirrored_scores": True}, "reconstruction error, mean over an image and its mirror image"),
        ({"detector": "autoencoder", "score_latent": 1.0}, ""),
        ({"detector": "vae", "mirrored_scores": True}, "mean over an image and its mirror image"),
    ],
)
def test_a_score_is_told_as_its_settings_make_it(fields: dict[str, Any], expected: str) -> None:
    assert score_in_words(TrainConfig(**fields), SPACE) == expected


def test_a_score_that_is_searched_is_told_with_its_range() -> None:
    space = Space({"score_latent": LogUniform(0.1, 2.0), "mirrored_scores": Choice((True, False))}, {}, default="")
    expected = "reconstruction error + 0.1-2 log x latent distance, mirrored scores True|False"
    assert score_in_words(TrainConfig(), space) == expected


def test_latent_distances_are_told_of_the_detectors_that_take_their_weight() -> None:
    assert {name for name, kind in DETECTORS.items() if "score_latent" in kind.config_fields} == set(LATENT_SCORES)


def test_a_mean_over_one_class_is_that_class() -> None:
    names = ("Shirt", "1", "Bag")
    assert over_classes(names, (0, 1, 2)) == "mean over 3 classes"
    assert [over_classes(names, (index,)) for index in (0, 1)] == ["class 0 Shirt", "class 1"]
