"""From flags to a plan: every choice made, nothing run; `--plan` prints it with its cost."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adcore.config import TrainConfig
from adcore.datasets import DATASETS
from adcore.device import has_cuda_device
from adcore.errors import UserError
from adcore.exposure import check_one_experiment
from adcore.options import check_classes
from sweeps.engine.plan_time import Work, time_in_words
from sweeps.engine.settings import SCALES, SweepSettings
from sweeps.engine.space import Space

__all__ = ["OWN_NUMBERS", "Plan", "describe", "groups_of", "make_plan", "members_per_trial"]

#: TrainConfig fields that a flag of the same name sets, where the script has it.
OVERRIDES = ("dataset", "epochs", "protocol", "known_classes", "labelled_share", "pollution", "detector", "precision")
#: Configurations of class i's own search are numbered from (i + 1) times this on.
OWN_NUMBERS = 1000


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a sweep will do.

    base: the TrainConfig of every confirmation, before sampled fields, classes and seeds; search: fields in which the
    search's trainings differ from it.
    """

    script: str
    scale: str
    base: TrainConfig
    search: Mapping[str, Any]
    space: Space
    configs: int
    grace: int
    reduction: int
    best: int
    seeds: int
    paper: bool
    search_seed: int
    objective: str

    @functools.cached_property
    def searched(self) -> TrainConfig:
        """The TrainConfig of the search's trainings."""
        return dataclasses.replace(self.base, **self.search)

    @property
    def classes(self) -> tuple[int, ...]:
        """The experiments, in the order in which a split block takes them: the one that varies most first."""
        hardest = DATASETS[self.base.dataset].hardest_first
        return tuple(sorted(self.base.classes, key=hardest.index))

    @property
    def rungs(self) -> list[int]:
        """Epochs after which a configuration may be stopped."""
        epochs, rung, rungs = self.searched.epochs, self.grace, []
        while rung < epochs:
            rungs.append(rung)
            rung *= self.reduction
        return rungs

    @property
    def confirm_seeds(self) -> list[int]:
        """Training seeds that the search has not used."""
        return [self.base.train_seed + 1 + index for index in range(self.seeds)]

    def of_class(self, index: int) -> Plan:
        """The plan of a class's own search."""
        return dataclasses.replace(self, base=dataclasses.replace(self.base, classes=(index,)))

    def owner(self, configuration: int) -> int | None:
        """The class from whose own search a configuration comes; None for the search over all classes."""
        is_own = self.objective == "per-class" and configuration >= OWN_NUMBERS
        return configuration // OWN_NUMBERS - 1 if is_own else None

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """The one data set."""
        return (self.base.dataset,)

    def params(self) -> dict[str, Any]:
        """What all trainings have in common."""
        return dataclasses.asdict(self.base)

    def classes_of(self, configuration: int) -> tuple[int, ...]:
        """The classes that a configuration is trained on."""
        owner = self.owner(configuration)
        return self.base.classes if owner is None else (owner,)

    def title(self, stage: str, configuration: int, config: TrainConfig) -> str:
        """The name of a configuration's run in a stage."""
        owner, seed = self.owner(configuration), "" if "search" in stage else f" seed {config.train_seed}"
        if owner is None:
            return f"{stage} {configuration:03d}{seed}"
        return f"{stage.removesuffix(' by class')} class {owner} {configuration % OWN_NUMBERS:03d}{seed}"

    def tags(self, configuration: int) -> dict[str, str]:
        """From which class's own search a configuration comes, if it does."""
        owner = self.owner(configuration)
        return {} if owner is None else {"class": str(owner)}

    def share(self, config: Mapping[str, Any]) -> float:
        """The share of all classes that a trial trains."""
        return len(config["classes"]) / len(self.base.classes)

    def as_record(self) -> dict[str, Any]:
        """Everything that decides the results, as plain values."""
        fields = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("base", "search", "space")
        }
        settings = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self.base).items()}
        return {**fields, "search": dict(self.search), "base": settings, "space": dataclasses.asdict(self.space)}


def make_plan(script: str, settings: SweepSettings, space: Space) -> Plan:
    """Resolve scale, data set, classes and counts. Raises UserError for a flag that does not fit the rest."""
    name = settings.scale or ("gpu" if has_cuda_device() else "laptop")
    scale = SCALES[name]
    train: dict[str, Any] = {**scale.train, "train_seed": settings.seed}
    train |= {key: value for key in OVERRIDES if (value := getattr(settings, key, None)) is not None}
    if train.get("protocol", TrainConfig.protocol) != "paper":
        train.pop("draws", None)  # only there are anomalies drawn down
    dataset = train.get("dataset", TrainConfig.dataset)
    train["classes"] = check_classes(settings.normal_class, len(DATASETS[dataset].class_names), "normal-class")
    check_one_experiment(train.get("protocol", TrainConfig.protocol), train["classes"], "normal-class")
    base = TrainConfig(**train)
    if space.is_grid and settings.configs:
        raise UserError(
            f"--configs {settings.configs}: this script trains each of its {len(space.points)}; leave it out"
        )
    search = dict(scale.search)
    if "epochs" in search:  # a search is never longer than what it prepares
        search["epochs"] = min(search["epochs"], base.epochs)
    if settings.members_per_trial != "auto":
        groups_of(base.classes, int(settings.members_per_trial))
    plan = Plan(
        script=script,
        scale=name,
        base=base,
        search=search,
        space=space,
        configs=len(space.points) if space.is_grid else settings.configs or scale.configs,
        grace=max(1, round(scale.grace * search.get("epochs", base.epochs))),
        reduction=scale.reduction,
        best=scale.best,
        seeds=scale.seeds,
        paper=scale.paper,
        search_seed=settings.seed,
        objective=settings.objective,
    )
    if plan.objective == "per-class":
        _check_per_class(plan)
    return plan


def _check_per_class(plan: Plan) -> None:
    """Raises UserError unless there is a search that each class can have of its own."""
    if plan.space.is_grid:
        raise UserError(f"--objective per-class: this script trains its {len(plan.space.points)} points and no others")
    if len(plan.classes) < 2:
        raise UserError("--objective per-class: expected at least 2 classes, got 1")
    if plan.configs >= OWN_NUMBERS:
        raise UserError(f"--configs {plan.configs}: expected at most {OWN_NUMBERS - 1} with --objective per-class")


def groups_of(classes: tuple[int, ...], size: int) -> list[tuple[int, ...]]:
    """Cut the classes into groups of `size`, one trial each. Raises UserError if size does not divide their number."""
    if size < 1 or len(classes) % size:
        legal = ", ".join(str(n) for n in range(1, len(classes) + 1) if len(classes) % n == 0)
        raise UserError(f"--members-per-trial {size}: expected a divisor of the {len(classes)} classes ({legal})")
    return [classes[start : start + size] for start in range(0, len(classes), size)]


def members_per_trial(plan: Plan, settings: SweepSettings, slots: int) -> int:
    """Whole configurations where they fill the slots; else the largest groups of classes that still fill them."""
    count = len(plan.classes)
    if settings.members_per_trial != "auto":
        return int(settings.members_per_trial)
    divisors = [size for size in range(count, 0, -1) if count % size == 0]
    return next((size for size in divisors if plan.configs * (count // size) >= slots), 1)


def _confirmed(plan: Plan) -> int:
    """How many configurations are confirmed at most."""
    return plan.configs if plan.space.is_grid else plan.best + 1 + plan.paper


def _works(plan: Plan, settings: SweepSettings, slots: int) -> list[Work]:
    """The plan's trials at most, kind by kind."""
    size = members_per_trial(plan, settings, slots)
    groups = len(plan.classes) // size
    images = {own: _images(own) / len(plan.classes) for own in (plan.searched, plan.base)}  # of an experiment

    def work(name: str, config: TrainConfig, trials: int, members: int) -> Work:
        return Work(name, config, members, trials, images[config] * members)

    works = [] if plan.space.is_grid else [work("search", plan.searched, plan.configs * groups, size)]
    works.append(work("confirm", plan.base, _confirmed(plan) * plan.seeds * groups, size))
    if plan.objective == "per-class":
        works.append(work("search by class", plan.searched, plan.configs * len(plan.classes), 1))
        works.append(work("confirm by class", plan.base, plan.best * plan.seeds * len(plan.classes), 1))
    return works


def describe(plan: Plan, settings: SweepSettings) -> str:
    """The plan in words and its cost. Opens no connection, unless its time is to be measured on a cluster."""
    base, confirmed = plan.base, _confirmed(plan)
    search = 0 if plan.space.is_grid else plan.configs * _images(plan.searched)
    confirm = confirmed * plan.seeds * _images(base)
    if plan.objective == "per-class":
        search, confirm = 2 * search, confirm + plan.best * plan.seeds * _images(base)
    lines = [
        f"{plan.script}, scale {plan.scale}: nothing is run",
        f"  data       {base.dataset}, classes {','.join(map(str, base.classes))}, protocol {base.protocol}",
        *([] if plan.space.is_grid else _search_lines(plan)),
        f"  confirm    up to {confirmed} configurations x {plan.seeds} fresh seeds x {_training(base)}",
        *(_own_lines(plan) if plan.objective == "per-class" else []),
        "  final      the models of the confirmation on the test part, opened once",
        f"  cost       at most {search / 1e6:.1f} M images in the search, {confirm / 1e6:.1f} M to confirm",
        f"  time       {time_in_words(lambda slots: _works(plan, settings, slots), settings)}",
        f"  record     {Path(settings.storage) / (settings.name or '<name>')}, MLflow {settings.tracking_uri}",
    ]
    return "\n".join(lines)


def _search_lines(plan: Plan) -> list[str]:
    rungs = ", ".join(map(str, plan.rungs)) or "none"
    return [
        f"  searched   {', '.join(f'{k} {v.low:g}-{v.high:g}' for k, v in plan.space.ranges.items())}",
        f"  search     {plan.configs} configurations x {_training(plan.searched)}; "
        f"stopped after epochs {rungs} (1 of {plan.reduction} goes on)",
    ]


def _own_lines(plan: Plan) -> list[str]:
    return [
        f"  by class   {len(plan.classes)} searches like this one of a single class each, side by side; of each up to "
        f"{plan.best} configurations x {plan.seeds} fresh seeds"
    ]


def _training(config: TrainConfig) -> str:
    """One configuration's training in words."""
    images = _normal_images(config)
    return (
        f"{len(config.classes)} classes x {config.epochs} epochs x 2 x {images} images "
        f"(width {config.width}, batch {config.batch_size}, {config.schedule})"
    )


def _normal_images(config: TrainConfig) -> int:
    """Normal images of an experiment, at most; under leave-one-out they are of all classes but one."""
    dataset = DATASETS[config.dataset]
    classes = len(dataset.class_names) - 1 if config.protocol == "leave-one-out" else 1
    return classes * min(config.images_per_class or 10**9, dataset.smallest_class)


def _images(config: TrainConfig) -> int:
    """Images that a configuration's training takes in, over all classes and epochs."""
    return 2 * _normal_images(config) * config.epochs * len(config.classes)
