"""Plan: everything that a search will do; nothing is run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from adcore.config import TrainConfig
from adcore.datasets import describe
from adcore.options import as_plain
from sweeps.engine.planning.base_plan import BasePlan, Data
from sweeps.engine.planning.labels import class_label, configuration_label
from sweeps.engine.planning.rungs import REDUCTION, Rung, budget_for, rungs_of
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["NUMBERS_PER_CLASS", "Plan"]

#: TrainConfig fields that decide which images are labelled.
LABELLING = ("classes", "split_seed", "exposure")
#: Configurations of class i's own search are numbered from (i + 1) times this.
NUMBERS_PER_CLASS = 1000


@dataclasses.dataclass(frozen=True)
class Plan(BasePlan):
    """The plan of a search.

    base: the TrainConfig of every confirmation, before sampled fields, classes and seeds; search: fields in which the
    search's trainings differ from it.
    """

    script: str
    scale: str
    base: TrainConfig
    search: Mapping[str, Any]
    space: Space
    configs: int
    best: int
    seeds: int
    paper: bool
    search_seed: int
    objective: str
    sampler: str
    reduction: int = REDUCTION
    metric: str = "auroc"

    @functools.cached_property
    def search_config(self) -> TrainConfig:
        """The TrainConfig of the search's trainings."""
        return dataclasses.replace(self.base, **self.search)

    @property
    def classes(self) -> tuple[int, ...]:
        """The experiments."""
        return self.base.classes

    @property
    def class_order(self) -> tuple[int, ...]:
        """The experiments in the ladder's order, the hardest first; empty if that is not known."""
        hardest_first = describe(self.base.dataset).hardest_first
        applies = (self.base.detector, self.base.protocol) == (TrainConfig.detector, TrainConfig.protocol)
        if len(self.classes) == 1:
            return self.classes
        return tuple(sorted(self.classes, key=hardest_first.index)) if hardest_first and applies else ()

    @functools.cached_property
    def rungs(self) -> tuple[Rung, ...]:
        """The rungs: the trainings after which configurations are compared."""
        return rungs_of(len(self.classes), self.search_config.epochs)

    @property
    def reference_points(self) -> list[str]:
        """The points that are confirmed however good they are: the default and, if the scale says so, the paper's."""
        names = [self.space.default, *([self.space.paper] if self.paper and self.space.paper else [])]
        return [name for name in names if name in self.space.points]

    @property
    def min_complete(self) -> int:
        """The least number of configurations that are trained to the end on all classes."""
        return min(self.best + 1, self.configs)  # one of them may be the default, which is confirmed anyway

    @property
    def class_order_cost(self) -> int:
        """Class-epochs of finding the classes' order: the first configuration trains all of them on the first rung."""
        return 0 if self.class_order else (len(self.classes) - self.rungs[0].classes) * self.rungs[0].epochs

    @property
    def budget(self) -> float:
        """Class-epochs of the search, at most."""
        return budget_for(self.rungs, self.reduction, self.configs, self.min_complete) + self.class_order_cost

    @property
    def confirm_seeds(self) -> list[int]:
        """Training seeds that the search has not used."""
        return [self.base.train_seed + 1 + index for index in range(self.seeds)]

    def of_class(self, index: int) -> Plan:
        """The plan of a class's own search."""
        return dataclasses.replace(self, base=dataclasses.replace(self.base, classes=(index,)))

    def search_class(self, configuration: int) -> int | None:
        """The class from whose own search a configuration comes; None for the search over all classes."""
        is_own = self.objective == "per-class" and configuration >= NUMBERS_PER_CLASS
        return configuration // NUMBERS_PER_CLASS - 1 if is_own else None

    def config_of(self, stage: str) -> TrainConfig:
        """The TrainConfig of a stage's trainings."""
        return self.search_config if "search" in stage else self.base

    @property
    def image_size(self) -> int:
        """That of all trainings."""
        return self.base.image_size

    @property
    def protocol(self) -> str:
        """That of all trainings."""
        return self.base.protocol

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """The one data set."""
        return (self.base.dataset,)

    def params(self) -> dict[str, Any]:
        """The settings that all trainings have in common."""
        return {name: value for name, value in dataclasses.asdict(self.base).items() if name not in self.space.names}

    @property
    def columns(self) -> tuple[str, ...]:
        """The searched fields."""
        return tuple(self.space.names)

    def distributions(self) -> Mapping[str, BaseDistribution]:
        """The ranges; of a grid, its points."""
        return self.space.distributions()

    def seeds_of(self, stage: str) -> Sequence[int]:
        """Those of the confirmation."""
        return [] if "search" in stage else self.confirm_seeds

    def classes_of(self, configuration: int) -> tuple[int, ...]:
        """The classes that a configuration is trained on."""
        class_index = self.search_class(configuration)
        return self.base.classes if class_index is None else (class_index,)

    def title(self, stage: str, configuration: int, config: TrainConfig) -> str:
        """The name of a configuration in a stage: `search 007 · lr 0.00081 · abc 0.44`, `default` once confirmed."""
        label = self.label(configuration, {name: getattr(config, name) for name in self.space.names})
        return f"search {label}" if "search" in stage else label

    def label(self, configuration: int, params: Mapping[str, Any]) -> str:
        """The name of a configuration with these sampled fields."""
        if (class_index := self.search_class(configuration)) is None:
            return configuration_label(configuration, params, self.space)
        label = configuration_label(configuration % NUMBERS_PER_CLASS, params, self.space)
        return f"class {class_label(describe(self.base.dataset).class_names, class_index)}: {label}"

    def tags(self, configuration: int) -> dict[str, str]:
        """The class whose own search a configuration comes from, if any."""
        class_index = self.search_class(configuration)
        return {} if class_index is None else {"class": str(class_index)}

    def as_record(self) -> dict[str, Any]:
        """Everything that decides the results, as plain values."""
        fields = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("base", "search", "space")
        }
        rungs = [[rung.classes, rung.epochs] for rung in self.rungs]
        nested_fields = {
            "search": dict(self.search),
            "base": as_plain(self.base),
            "space": dataclasses.asdict(self.space),
            "rungs": rungs,
        }
        return fields | nested_fields

    def resolved_settings(self, settings: SweepSettings) -> dict[str, Any]:
        """The size of packs and what the scale stands for: a resume on another machine must make the same choices."""
        resolved: dict[str, Any] = {"scale": self.scale, "dataset": self.base.dataset, "epochs": self.base.epochs}
        if not self.space.is_grid:
            resolved["configs"] = self.configs
        if settings.normal_class:  # by index, however they were named
            resolved["normal_class"] = self.base.classes
        return {
            "members_per_trial": settings.members,
            "settings": {**dataclasses.asdict(settings), **resolved},
        }

    def check_data(self, data: Data) -> None:
        """Raises UserError if pollution leaves no anomaly to label."""
        from adcore.protocols.experiments import require_labelled_anomalies
        from adcore.train.build import split_train

        train = data[self.base.dataset, "train"]
        for config in (self.search_config, self.base):
            fit, labelling = split_train(config, train.labels).fit, {name: getattr(config, name) for name in LABELLING}
            require_labelled_anomalies(train.labels, fit, **labelling, only=train.info.normal_class)
