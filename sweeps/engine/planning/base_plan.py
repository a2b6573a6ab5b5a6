"""BasePlan: what the engine needs from the plan of any script."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from adcore.config import TrainConfig
    from adcore.datasets import ImageDataset, Part

__all__ = ["BasePlan", "Data"]

#: A sweep's data, by name of the data set and part.
Data = Mapping[tuple[str, str], "ImageDataset"]


class BasePlan(abc.ABC):
    """Everything that a sweep will do. A configuration is identified by its number.

    script: the name of its file in sweeps/. metric: by which it compares, of adcore.metric_names.LABELS. parts: the
    parts of its data sets that are loaded at the start; a search opens the test part at its end.
    """

    script: str
    scale: str
    search_seed: int
    metric: str = "auroc"
    parts: ClassVar[tuple[Part, ...]] = ("train",)

    @property
    @abc.abstractmethod
    def dataset_names(self) -> tuple[str, ...]:
        """The data sets that it trains on."""

    @property
    def image_size(self) -> int:
        """The side of the networks' images, in pixels: images of one's own are brought to it."""
        return 32

    @property
    def protocol(self) -> str:
        """The protocol under which the parts of its data sets are loaded."""
        return "paper"

    @abc.abstractmethod
    def as_record(self) -> dict[str, Any]:
        """Everything that decides the results, as plain values."""

    @abc.abstractmethod
    def params(self) -> dict[str, Any]:
        """The parameters of the sweep's run in MLflow, known from its start."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields in which its configurations differ, in the order in which they are shown."""
        return ()

    def distributions(self) -> Mapping[str, BaseDistribution]:
        """What is searched, as Optuna's distributions, by field."""
        return {}

    def seeds_of(self, stage: str) -> Sequence[int]:
        """The training seeds of each configuration in a stage, if they belong together: then MLflow has their mean."""
        return ()

    @abc.abstractmethod
    def classes_of(self, configuration: int) -> tuple[int, ...]:
        """The experiments that a configuration is trained on."""

    @abc.abstractmethod
    def title(self, stage: str, configuration: int, config: TrainConfig) -> str:
        """The name of a configuration in a stage; unique within the sweep, together with its seed."""

    @abc.abstractmethod
    def tags(self, configuration: int) -> dict[str, str]:
        """A configuration's tags in MLflow, besides its settings."""

    @abc.abstractmethod
    def resolved_settings(self, settings: Any) -> dict[str, Any]:
        """The settings for a new record, resolved: a resume on another machine must make the same choices."""

    @abc.abstractmethod
    def check_data(self, data: Data) -> None:
        """Raises UserError if the data are too few for the plan."""
