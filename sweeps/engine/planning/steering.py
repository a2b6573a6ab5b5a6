"""What a sweep trains and searches: the scale's and the script's own, changed by --set, --range and --point."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from adcore.config import LOSS_WEIGHTS, TrainConfig
from adcore.data_checks import compared_under, experiments_of
from adcore.datasets import describe
from adcore.errors import UserError
from adcore.protocols.definitions import check_one_experiment
from sweeps.engine.planning.overrides import WEIGHT, check_used, naming_flag, naming_set, parse_point, parse_ranges
from sweeps.engine.planning.settings import Scale, SweepSettings
from sweeps.engine.planning.space import Range, Space

__all__ = ["POINT_NAME", "base_config", "check_steering", "drop_unused", "steer_space"]

#: The name of a point that --point gives; they are numbered from 1.
POINT_NAME = "point {}"


def base_config(settings: SweepSettings, scale: Scale, set_values: Mapping[str, Any]) -> TrainConfig:
    """The TrainConfig of every confirmation: the scale's, then the flags', then those of --set (set_values).

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
    with naming_set():
        return TrainConfig(**{**train, **set_values})


def drop_unused(space: Space, base: TrainConfig, settings: SweepSettings, kept: Collection[str]) -> Space:
    """The space without what changes nothing: weights of losses on anomalies where training sees none, and the share of
    pseudo-anomalies where there are none, or nothing else.

    kept: fields of a sweep on record, which searched them. Raises UserError for one that --range or --point gives, and
    if nothing else is searched.
    """
    if space.is_grid:
        return space
    unused = {f"{WEIGHT}{name}" for name in LOSS_WEIGHTS} - {f"{WEIGHT}{name}" for name in base.losses}
    if base.pseudo_anomalies == "none" or not base.exposure.has_anomalies:
        unused.add("pseudo_share")
    unused = (unused - set(kept)) & set(space.ranges)
    why = f"under --protocol {base.protocol} with --set pseudo_anomalies={base.pseudo_anomalies} it changes nothing"
    points = [(f"--point {text}", parse_point(text, space.ranges)) for text in settings.point]
    for flag, fields in (*((f"--range {name}", [name]) for name in parse_ranges(settings.range)), *points):
        if useless := sorted(unused & set(fields)):
            raise UserError(f"{flag}: {useless[0]}: {why}; leave it out")
    ranges = {name: each for name, each in space.ranges.items() if name not in unused}
    if not ranges:
        raise UserError(f"nothing to search: {', '.join(space.ranges)}: {why}")
    distinct: dict[str, Mapping[str, Any]] = {}
    for point, fields in space.points.items():
        left = {name: value for name, value in fields.items() if name not in unused}
        if left not in distinct.values():
            distinct[point] = left
    return dataclasses.replace(space, ranges=ranges, points=distinct) if unused else space


def steer_space(space: Space, base: TrainConfig, settings: SweepSettings) -> Space:
    """The space with the ranges of --range, and with the points of --point behind the default one.

    base: gives the named points the fields that --range adds. A point of the script that --range excludes is dropped.
    Raises UserError for a range or a point that is not legal.
    """
    if not settings.range and not settings.point:
        return space
    for flag, texts in (("--range", settings.range), ("--point", settings.point)):
        if space.is_grid and texts:
            raise UserError(f"{flag} {texts[0]}: this script trains only its {len(space.points)} points; leave it out")
    new_ranges = parse_ranges(settings.range)
    ranges = {**space.ranges, **new_ranges}
    with naming_set(), naming_flag("--range {name}: ", list(new_ranges)):
        dataclasses.replace(space, ranges=ranges, points={}).check(base)
    base_fields = {name: getattr(base, name) for name in ranges}
    all_points = {point: {**base_fields, **fields} for point, fields in space.points.items()}
    script_points = {
        point: fields for point, fields in all_points.items() if not new_ranges or _lies_within(fields, ranges)
    }
    default = {point: script_points.pop(point) for point in [space.default] if point in script_points}
    defaults, points = all_points.get(space.default, base_fields), dict(default)
    for number, text in enumerate(settings.point, 1):
        fields = _complete_point(text, defaults, ranges)
        others = {**points, **script_points}
        if other := next((point for point in others if others[point] == fields), None):
            raise UserError(f"--point {text}: the same as {other!r}, which is tried anyway; leave it out")
        points[POINT_NAME.format(number)] = fields
    return dataclasses.replace(space, ranges=ranges, points={**points, **script_points})


def check_steering(
    space: Space,
    settings: SweepSettings,
    configs: int,
    *,
    detector: str,
    set_fields: Sequence[str],
    searched_fields: Sequence[str],
) -> None:
    """Raises UserError if a point would not be tried, or a field that is set or searched changes nothing.

    configs: how many are tried. set_fields: those of --set; searched_fields: those of --range.
    """
    if settings.point:
        needed = list(space.points).index(POINT_NAME.format(len(settings.point))) + 1
        if configs < needed:
            raise UserError(f"--configs {configs}: expected at least {needed}, so that every --point is tried")
    for flag, fields in (("--set", set_fields), ("--range", searched_fields)):
        if fields:
            check_used(fields, flag, detector)


def _complete_point(text: str, defaults: Mapping[str, Any], ranges: Mapping[str, Range]) -> dict[str, Any]:
    """A point of --point, with the defaults of the other fields."""
    fields = {**defaults, **parse_point(text, ranges)}
    for name, value in fields.items():
        if not ranges[name].holds(value):
            raise UserError(f"--point {text}: {name} is {value} by default, expected {ranges[name]}; give {name}=VALUE")
    return fields


def _lies_within(fields: Mapping[str, Any], ranges: Mapping[str, Range]) -> bool:
    return all(field_range.holds(fields[name]) for name, field_range in ranges.items())
