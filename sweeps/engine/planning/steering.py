"""What a sweep trains and searches: the scale's and the script's own, changed by --set, --range and --point."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from adcore.config import TrainConfig
from adcore.data_checks import compared_under, experiments_of
from adcore.datasets import describe
from adcore.errors import UserError
from adcore.protocols.definitions import check_one_experiment
from sweeps.engine.planning.overrides import check_used, point_values, ranges_given, saying
from sweeps.engine.planning.settings import Scale, SweepSettings
from sweeps.engine.planning.space import Range, Space

__all__ = ["POINT_NAME", "base_config", "check_steered", "steered"]

#: The name of a point that --point gives; they are numbered from 1.
POINT_NAME = "point {}"


def base_config(settings: SweepSettings, scale: Scale, own: Mapping[str, Any]) -> TrainConfig:
    """The TrainConfig of every confirmation: the scale's, then the flags', then the fields of --set (own).

    Raises UserError for a value that is not legal.
    """
    train: dict[str, Any] = {**scale.train, "train_seed": settings.seed}
    train |= settings.train_fields
    info = describe(train.get("dataset", TrainConfig.dataset))
    train["protocol"] = protocol = compared_under(info, settings.protocol) or TrainConfig.protocol
    if protocol != "paper":
        train.pop("draws", None)  # other protocols do not subsample anomalies
    train["classes"] = experiments_of(info, settings.normal_class, "normal-class")
    check_one_experiment(protocol, train["classes"], "normal-class")
    with saying("--set {name}=", list(own)):
        return TrainConfig(**{**train, **own})


def steered(space: Space, base: TrainConfig, settings: SweepSettings) -> Space:
    """The space with the ranges of --range, and with the points of --point behind the default one.

    base: gives the named points the fields that --range adds. A point of the script that --range excludes is dropped.
    Raises UserError for a range or a point that is not legal.
    """
    if not settings.range and not settings.point:
        return space
    for flag, given in (("--range", settings.range), ("--point", settings.point)):
        if space.is_grid and given:
            raise UserError(f"{flag} {given[0]}: this script trains only its {len(space.points)} points; leave it out")
    new = ranges_given(settings.range)
    ranges = {**space.ranges, **new}
    with saying("--range {name}: ", list(new)):
        dataclasses.replace(space, ranges=ranges, points={}).check(base)
    base_fields = {name: getattr(base, name) for name in ranges}
    whole = {point: {**base_fields, **fields} for point, fields in space.points.items()}
    own = {point: fields for point, fields in whole.items() if not new or _lies_within(fields, ranges)}
    default = {point: own.pop(point) for point in [space.default] if point in own}
    defaults, points = whole.get(space.default, base_fields), dict(default)
    for number, text in enumerate(settings.point, 1):
        fields = _completed(text, defaults, ranges)
        if other := next((point for point, known in {**points, **own}.items() if known == fields), None):
            raise UserError(f"--point {text}: the same as {other!r}, which is tried anyway; leave it out")
        points[POINT_NAME.format(number)] = fields
    return dataclasses.replace(space, ranges=ranges, points={**points, **own})


def check_steered(
    space: Space, settings: SweepSettings, configs: int, *, detector: str, own: Sequence[str], varied: Sequence[str]
) -> None:
    """Raises UserError if a point would not be tried, or a field that is set or searched changes nothing.

    configs: how many are tried. own: the fields of --set; varied: those of --range.
    """
    if settings.point:
        needed = list(space.points).index(POINT_NAME.format(len(settings.point))) + 1
        if configs < needed:
            raise UserError(f"--configs {configs}: expected at least {needed}, so that every --point is tried")
    for flag, fields in (("--set", own), ("--range", varied)):
        if fields:
            check_used(fields, flag, detector)


def _completed(text: str, defaults: Mapping[str, Any], ranges: Mapping[str, Range]) -> dict[str, Any]:
    """A point of --point, with the defaults of the other fields."""
    fields = {**defaults, **point_values(text, ranges)}
    for name, value in fields.items():
        if not ranges[name].holds(value):
            raise UserError(f"--point {text}: {name} is {value} by default, expected {ranges[name]}; give {name}=VALUE")
    return fields


def _lies_within(fields: Mapping[str, Any], ranges: Mapping[str, Range]) -> bool:
    return all(each.holds(fields[name]) for name, each in ranges.items())
