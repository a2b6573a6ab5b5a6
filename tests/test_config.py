"""TrainConfig: every illegal value is refused by name, with what was expected."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from adcore.config import LOSS_WEIGHTS, TrainConfig
from adcore.errors import UserError

FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}
WEIGHTS = [f"weight_{name}" for name in LOSS_WEIGHTS]
AT_LEAST_1 = ["images_per_class", "validation_images", "known_classes", "clusters", "width", "epochs", "batch_size"]
AT_LEAST_1 += ["latent_size", "patience"]
AT_LEAST_0 = ["train_seed", "split_seed"]
POSITIVE = ["learning_rate", "bandwidth"]
SHARES = ["labelled_share", "pollution"]
NAMES = {
    "dataset": ("fashon-mnist", "fashion-mnist"),
    "protocol": ("seen-unsen", "seen-unseen"),
    "sampling": ("kmean", "kmeans"),
    "draws": ("each-epochs", "each-epoch"),
    "detector": ("gam", "gan"),
    "norm": ("bach", "batch"),
    "reconstruction": ("mae", "mse"),
    "vae_score": ("exces-bce", "excess-bce"),
    "schedule": ("onecycle", "one-cycle"),
    "precision": ("64true", "64-true"),
    "pseudo_anomalies": ("rotated", "rotate"),
}
SWITCHES = ["horizontal_flip", "vertical_flip", "crop", "rotate", "mirrored_scores"]


def error_of(**values: Any) -> str:
    with pytest.raises(UserError) as caught:
        TrainConfig(**values)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"epochs": "many"}, "--epochs 'many': expected int"),
        ({"epochs": None}, "--epochs None: expected int"),
        ({"horizontal_flip": 1}, "--horizontal-flip 1: expected bool"),
        ({"width": True}, "--width True: expected int"),
        ({"schedule": 3}, "--schedule 3: expected str"),
        ({"classes": 3}, "--classes 3: expected tuple"),
    ],
)
def test_another_kind_of_value_is_refused(values: dict[str, Any], part: str) -> None:
    assert part in error_of(**values)


def test_every_field_but_switches_has_a_legal_range_that_is_tested_here() -> None:
    tested = {*WEIGHTS, *AT_LEAST_1, *AT_LEAST_0, *NAMES, *SHARES, *POSITIVE, "classes", "fold"}
    tested |= {"dropout", "weight_decay", "image_size"}
    tested |= {"patch_size", "score_latent", "average_weights"}  # in test_weight_average.py
    tested |= {"pseudo_share"}  # in test_pseudo_anomalies.py
    assert tested == set(FIELDS) - set(SWITCHES)


@pytest.mark.parametrize("size", [0, 28, 33, 256])
def test_images_have_one_of_three_sizes(size: int) -> None:
    assert f"--image-size {size}: expected" in error_of(image_size=size)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("value", [-1.0, -1e-9, math.nan, math.inf])
def test_a_weight_that_is_negative_or_not_finite_is_refused(name: str, value: float) -> None:
    flag = name.replace("_", "-")
    assert error_of(**{name: value}) == f"--{flag} {value}: expected a finite number >= 0"


def test_weights_that_are_all_zero_are_refused_and_one_alone_is_enough() -> None:
    zeros = dict.fromkeys(WEIGHTS, 0.0)
    flags = ", ".join(f"--weight-{name.replace('_', '-')}" for name in LOSS_WEIGHTS)
    assert error_of(**zeros) == f"all loss weights in use are 0: expected at least one > 0 of {flags}"
    for name in WEIGHTS:
        assert getattr(TrainConfig(**(zeros | {name: 1e-6})), name) == 1e-6


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0.0, -1e-3, math.nan, math.inf])
def test_a_number_that_is_not_positive_is_refused(name: str, value: float) -> None:
    assert error_of(**{name: value}) == f"--{name.replace('_', '-')} {value}: expected a finite number > 0"


@pytest.mark.parametrize("value", [-0.1, 0.91, math.nan])
def test_a_dropout_that_leaves_nothing_is_refused(value: float) -> None:
    assert error_of(dropout=value).startswith(f"--dropout {value}: expected a finite number >= 0")


@pytest.mark.parametrize("value", [-1e-6, math.nan, math.inf])
def test_a_weight_decay_that_is_negative_or_not_finite_is_refused(value: float) -> None:
    assert error_of(weight_decay=value) == f"--weight-decay {value}: expected a finite number >= 0"


@pytest.mark.parametrize("name", AT_LEAST_1)
@pytest.mark.parametrize("value", [0, -4])
def test_a_number_below_1_is_refused(name: str, value: int) -> None:
    assert error_of(**{name: value}) == f"--{name.replace('_', '-')} {value}: expected a whole number >= 1"


@pytest.mark.parametrize("name", AT_LEAST_0)
def test_a_negative_seed_is_refused(name: str) -> None:
    assert error_of(**{name: -1}) == f"--{name.replace('_', '-')} -1: expected a whole number >= 0"


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("value", [-0.1, 0.51, 1, math.nan, math.inf])
def test_a_share_beyond_a_half_is_refused(name: str, value: float) -> None:
    assert error_of(**{name: value}).startswith(f"--{name.replace('_', '-')} {value}: expected a finite number >")
    assert getattr(TrainConfig(**{name: 0.5}), name) == 0.5


@pytest.mark.parametrize("value", [-1, 5])
def test_a_fold_outside_the_five_is_refused(value: int) -> None:
    assert error_of(fold=value).startswith(f"--fold {value}: expected a whole number >= 0")
    assert [TrainConfig(fold=fold).fold for fold in (None, 0, 4)] == [None, 0, 4]


@pytest.mark.parametrize("value", [3, 65])
def test_an_odd_batch_is_refused_unless_it_is_1(value: int) -> None:
    assert error_of(batch_size=value).startswith(f"--batch-size {value}: expected 1 or an even number")
    assert TrainConfig(batch_size=1).batch_size == 1


@pytest.mark.parametrize("classes", [(10,), (-1,), (0, 3, 11)])
def test_a_class_out_of_range_is_refused(classes: tuple[int, ...]) -> None:
    wrong = next(index for index in classes if not 0 <= index < 10)
    assert error_of(classes=classes) == f"--classes {wrong}: expected classes by name, or from 0 to 9"


@pytest.mark.parametrize("given", [1.5, 2.0, True, None])
def test_a_class_that_is_no_whole_number_is_refused(given: object) -> None:
    assert error_of(classes=(0, given)) == f"--classes {given!r}: expected classes by name, or from 0 to 9"


def test_classes_are_given_by_index_or_name() -> None:
    assert TrainConfig(classes=("Shirt", 3, "8")).classes == (6, 3, 8)
    assert error_of(classes=("Shirt", 6)) == "--classes: class 6 is given twice; give each class once"
    for unknown in ("shirts", "10", "-1", "9" * 5000):
        assert error_of(classes=(unknown,)).startswith(f"--classes {unknown!r}: expected one of 0 (T-shirt/top), 1 (")


def test_a_class_given_twice_is_refused() -> None:
    assert error_of(classes=(4, 2, 4)) == "--classes: class 4 is given twice; give each class once"


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_name_is_refused_with_the_nearest_and_all_legal_ones(name: str) -> None:
    wrong, right = NAMES[name]
    message = error_of(**{name: wrong})
    assert f"{wrong!r}; did you mean {right!r}?" in message
    assert "expected one of: " in message
    for choice in FIELDS[name].metadata["choices"]:
        assert choice in message
    TrainConfig(**{name: right})


def test_no_classes_means_all_of_them_in_order() -> None:
    assert TrainConfig().classes == TrainConfig(classes=()).classes == tuple(range(10))


def test_classes_keep_their_order_and_become_a_tuple() -> None:
    assert TrainConfig(classes=[6, 0, 3]).classes == (6, 0, 3)  # type: ignore[arg-type]
    assert hash(TrainConfig(classes=[6, 0, 3])) == hash(TrainConfig(classes=(6, 0, 3)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["images_per_class", "validation_images"])
def test_a_cap_may_be_none(name: str) -> None:
    assert getattr(TrainConfig(**{name: None}), name) is None


def test_a_config_made_again_from_its_fields_is_equal() -> None:
    config = TrainConfig(classes=(3, 1), weight_abc=0.25, images_per_class=None)
    assert TrainConfig(**dataclasses.asdict(config)) == config


def test_weights_go_by_the_names_of_the_losses() -> None:
    config = TrainConfig(**{name: 0.5 + place for place, name in enumerate(WEIGHTS)})
    assert config.weights == {name: 0.5 + place for place, name in enumerate(LOSS_WEIGHTS)}
    assert len(config.weights) == 6


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().width = 9  # type: ignore[misc]


def test_a_fixed_set_of_labels_is_not_drawn_anew() -> None:
    with pytest.raises(UserError, match="--draws each-epoch: under protocol seen-unseen"):
        TrainConfig(protocol="seen-unseen", draws="each-epoch")
    assert TrainConfig(draws="each-epoch").draws == "each-epoch"
