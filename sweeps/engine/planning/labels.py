"""Names of configurations and classes, and counts, as tables, MLflow and reports show them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from adcore.config import TrainConfig
from adcore.detector_catalog import LATENT_SCORES
from sweeps.engine.planning.space import Space

__all__ = ["class_label", "configuration_label", "count_of", "over_classes", "point_name", "score_in_words"]

#: Most fields in a label.
FIELDS = 3


def count_of(number: int, word: str) -> str:
    """`1 seed`, `3 seeds`, `10 classes`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}{'es' if word.endswith('s') else 's'}"


def class_label(names: Sequence[str], index: int) -> str:
    """`6 Shirt`, or `6` for a class that is named by its number."""
    return str(index) if names[index] == str(index) else f"{index} {names[index]}"


def over_classes(names: Sequence[str], classes: Sequence[int]) -> str:
    """What a metric is a mean over: `mean over 10 classes`, or the only class, `class 6 Shirt`."""
    return f"mean over {len(classes)} classes" if len(classes) > 1 else f"class {class_label(names, classes[0])}"


def score_in_words(config: TrainConfig, space: Space) -> str:
    """What settings make of an image's anomaly score; empty if they leave it as the detector has it."""
    fields = {**vars(config), **space.ranges}
    weight, mirrored = fields["score_latent"], fields["mirrored_scores"]
    parts = []
    if config.detector in LATENT_SCORES:
        shown = f"{weight:g}" if isinstance(weight, float) else weight
        parts.append(f"reconstruction error + {shown} x latent distance" if weight else "reconstruction error")
    if mirrored:
        over = "an image and its mirror image"
        parts.append(f"mean over {over}" if mirrored is True else f"mirrored scores {mirrored}")
    return ", ".join(parts)


def point_name(params: Mapping[str, Any], space: Space) -> str:
    """The name of the point that a configuration is; empty for one that was sampled. params: its sampled fields."""
    return next((name for name, point in space.points.items() if point == params), "")


def configuration_label(number: int, params: Mapping[str, Any], space: Space) -> str:
    """`default`, or the number with the fields that tell it apart: `007 · lr 0.00081 · abc 0.44`.

    params: its sampled fields.
    """
    if name := point_name(params, space):
        return name
    return " · ".join(
        [f"{number:03d}", *(f"{_short(name)} {_value(params[name])}" for name in _distinguishing_fields(params, space))]
    )


def _distinguishing_fields(params: Mapping[str, Any], space: Space) -> list[str]:
    """The learning rate and the fields that differ most from the default, in factors."""
    if len(params) <= FIELDS:
        return list(params)
    default = space.points.get(space.default, {})
    by_distance = sorted(params, key=lambda name: -_distance(params[name], default.get(name)))
    first = [name for name in params if name == "learning_rate"]
    return [*first, *(name for name in by_distance if name not in first)][: FIELDS - 1]


def _distance(value: Any, default: Any) -> float:
    """The logarithm of a factor; for other values, whether they differ."""
    numbers = [number for number in (value, default) if isinstance(number, int | float) and number > 0]
    return abs(math.log(numbers[0] / numbers[1])) if len(numbers) == 2 else float(value != default)


def _short(name: str) -> str:
    return "lr" if name == "learning_rate" else name.removeprefix("weight_").replace("_", " ")


def _value(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
