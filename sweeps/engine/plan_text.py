"""A plan in words: the text that `--plan` prints; and a line, printed as a sweep starts."""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adcore.config import TrainConfig
from adcore.datasets import describe
from adcore.datasets.own import is_own
from adcore.metric_names import in_words
from sweeps.engine.plan_cost import Left, class_epochs_of, confirmed_count, images_in_all
from sweeps.engine.plan_time import TrialGroup, limit_in_words, time_in_words
from sweeps.engine.planning.labels import count_of, over_classes, score_in_words
from sweeps.engine.planning.overrides import parse_set
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.steering import POINT_NAME
from sweeps.engine.planning.time_budget import images_of, kinds_of, normal_images, updates_of, warning_of_few_updates

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["plan_in_words", "sweep_in_a_line"]

#: The share of a class's normal images that a training uses at least, without a word.
USED_SHARE = 0.5


def sweep_in_a_line(plan: Plan, earlier: Sequence[int], labels: Tensor, *, limit: int, slots: int) -> str:
    """A sweep that starts. earlier: its configurations before each extension. limit: experiments in a pack at most.

    labels: of the train part, int64 [n].
    """
    extended = "".join(f" (extended from {size})" for size in earlier[-1:] if size < plan.configs)
    return (
        f"{count_of(plan.configs, 'configuration')}{extended} x {count_of(len(plan.classes), 'class')} of "
        f"{plan.base.dataset}, packs of up to {count_of(limit, 'training')}, {slots} at a time"
        f"{_unused_images(plan.base, labels)}"
    )


def _unused_images(config: TrainConfig, labels: Tensor) -> str:
    """That one's own data have far more normal images than a training uses, as another class is small; else empty."""
    from adcore.protocols.experiments import normal_counts
    from adcore.train.build import split_train

    if not is_own(config.dataset):
        return ""
    own, only = labels[split_train(config, labels).fit], describe(config.dataset).normal_class
    counts = [normal_counts(own, index, config.exposure, only) for index in config.classes]
    used, available = max(counts, key=lambda each: each[1] - each[0])
    if used > USED_SHARE * available:
        return ""
    return (
        f"; of {available} normal images {used} are trained on, as many as the smallest class has; all are if "
        "a class is called normal, which then is the only normal one"
    )


def _trial_groups(
    plan: Plan, class_epochs: Mapping[str, float], settings: SweepSettings, slots: int
) -> list[TrialGroup]:
    """The most trials that stages with so many class-epochs can need, by kind."""

    def make_group(stage: str, config: TrainConfig) -> TrialGroup:
        """Packs of complete trainings that add up to them; of the widest networks that are searched."""
        if widths := plan.space.ranges.get("width"):
            config = dataclasses.replace(config, width=max(widths.ends))
        experiments = math.ceil(class_epochs[stage] / config.epochs)
        members = max(1, min(settings.members, math.ceil(experiments / slots)))
        images = images_of(config) / len(plan.classes) * members
        return TrialGroup(stage, config, members, math.ceil(experiments / members), images)

    return [make_group(stage, plan.config_of(stage)) for stage in class_epochs if class_epochs[stage]]


def plan_in_words(plan: Plan, settings: SweepSettings, left: Left | None = None) -> str:
    """The plan in words and its cost. Opens no connection, unless --probe measures a cluster.

    left: of a sweep that goes on; the time is that of what is left.
    """
    base, to_train = plan.base, left.class_epochs if left else class_epochs_of(plan)
    name = settings.name or settings.continued_sweep or "<name>"
    lines = [
        f"{plan.script}, scale {plan.scale}: nothing is run",
        f"  data       {base.dataset}, classes {_classes(base)}, protocol {base.protocol}",
        *_own_data_lines(base),
        f"  trained    {base.training_in_words}",
        f"  metric     {in_words(plan.metric)}, {over_classes(describe(base.dataset).class_names, plan.classes)}",
        *([f"  score      {score}"] if (score := score_in_words(base, plan.space)) else []),
        *_set_lines(plan, settings),
        *([] if plan.space.is_grid else _search_lines(plan)),
        f"  confirm    up to {confirmed_count(plan)} configurations x {plan.seeds} fresh seeds "
        f"x {_training(base, plan)}; at most {count_of(updates_of(base), 'update')} in a training",
        *(_own_lines(plan) if plan.objective == "per-class" else []),
        "  final      the models of the confirmation on the test part, opened once",
        f"  cost       at most {_images_in_words(plan, class_epochs_of(plan))}",
        *([f"  left       about {_images_in_words(plan, to_train)}"] if left else []),
        f"  time       {_time_in_words(plan, to_train, settings)}",
        *([f"  warning    {warning}"] if (warning := warning_of_few_updates(base)) else []),
        *_limit_lines(plan, to_train, settings, left),
        *([f"  cluster    {wait}"] if (wait := settings.wait_in_words) else []),
        f"  record     {Path(settings.storage) / name}, MLflow {settings.tracking_uri}",
        f"  checkpoints {settings.checkpoints_of(name)}",
    ]
    return "\n".join(lines)


def _own_data_lines(config: TrainConfig) -> list[str]:
    """That the images of one's own data were counted by their names alone."""
    show = shlex.join(["python", "-m", "adcore.datasets", "show", config.dataset])
    return [f"  images     counted, not opened; `{show}` reads them"] if is_own(config.dataset) else []


def _millions(images: float) -> str:
    return f"{images / 1e6:.1f} M" if images >= 1e5 else f"{images:,.0f}"


def _images_in_words(plan: Plan, class_epochs: Mapping[str, float]) -> str:
    search, confirm = images_in_all(plan, class_epochs)
    in_search = "" if plan.space.is_grid else f"{_millions(search)} images in the search, "
    return f"{in_search}{_millions(confirm)} images to confirm"


def _time_in_words(plan: Plan, class_epochs: Mapping[str, float], settings: SweepSettings) -> str:
    if not any(class_epochs.values()):
        return "no training is left"
    return time_in_words(lambda slots: _trial_groups(plan, class_epochs, settings, slots), settings)


def _limit_lines(
    plan: Plan, class_epochs: Mapping[str, float], settings: SweepSettings, left: Left | None
) -> list[str]:
    if not (settings.time_limit or settings.gpu_hours):
        return []
    search = {"search": class_epochs["search"]}

    def group_of(slots: int) -> TrialGroup | None:
        return next(iter(_trial_groups(plan, search, settings, slots)), None)

    return [f"  limit      {limit_in_words(plan, group_of, settings, left)}"]


def _search_lines(plan: Plan) -> list[str]:
    cost_without_stopping = len(plan.classes) * plan.search_config.epochs * plan.configs
    rungs = ", ".join(f"{rung.classes} x {rung.epochs}" for rung in plan.rungs)
    names = describe(plan.base.dataset).class_names
    ranges = ", ".join(f"{name} {each}" for name, each in plan.space.ranges.items())
    order = ", ".join(names[index] for index in plan.class_order) or "by the first configuration's results, worst first"
    return [
        f"  searched   {ranges}; sampler {plan.sampler}",
        *_point_lines(plan),
        f"  search     {plan.configs} configurations, each until stopped, at most "
        f"{_training(plan.search_config, plan)}",
        f"  ladder     classes x epochs: {rungs}; 1 of {plan.reduction} is promoted, {plan.min_complete} or more to "
        f"the top; about {plan.budget:.0f} class-epochs, {plan.budget / cost_without_stopping:.0%} of the cost without "
        "stopping",
        f"  classes    {order}",
    ]


def _set_lines(plan: Plan, settings: SweepSettings) -> list[str]:
    """What --set has set, if anything."""
    set_values = parse_set(settings.set, plan.space, ())
    return [f"  set        {', '.join(f'{name} {value}' for name, value in set_values.items())}"] if set_values else []


def _point_lines(plan: Plan) -> list[str]:
    """The configurations that are tried first; in full, those that are not the script's own."""
    space = plan.space
    lacks = [] if space.default in space.points else [f"without {space.default}, which is outside the ranges"]
    lines = [f"  first      {'; '.join([*space.points, *lacks])}"]
    for name, fields in space.points.items():
        if re.fullmatch(POINT_NAME.format(r"\d+"), name):
            lines.append(f"  {name:10} {', '.join(f'{field} {value}' for field, value in fields.items())}")
    return lines


def _own_lines(plan: Plan) -> list[str]:
    return [
        f"  by class   {len(plan.classes)} searches like this, of one class each, side by side; each confirms up to "
        f"{plan.best} configurations x {plan.seeds} fresh seeds"
    ]


def _classes(config: TrainConfig) -> str:
    """The experiments by number, a single one by name, too."""
    numbers = ",".join(map(str, config.classes))
    name = describe(config.dataset).class_names[config.classes[0]]
    return f"{numbers} ({name})" if len(config.classes) == 1 and name != numbers else numbers


def _training(config: TrainConfig, plan: Plan) -> str:
    """One configuration's training in words, with ranges in place of what is searched."""
    images, size, fields = normal_images(config), config.image_size, {**vars(config), **plan.space.ranges}
    parts = f"{kinds_of(config)} x " if kinds_of(config) > 1 else ""
    return (
        f"{count_of(len(config.classes), 'class')} x {count_of(config.epochs, 'epoch')} x {parts}{images} images of "
        f"{size} x {size} (width {fields['width']}, batch {fields['batch_size']}, {fields['schedule']})"
    )
