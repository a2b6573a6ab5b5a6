"""BasePlan: what the engine asks of a plan, whatever the script."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from adcore.config import TrainConfig
    from adcore.datasets import ImageDataset, Part

__all__ = ["BasePlan", "Data"]

#: A sweep's data, by name of the data set and part.
Data = Mapping[tuple[str, str], "ImageDataset"]


class BasePlan(abc.ABC):
    """What a sweep will do, every choice made. A configuration is known by its number.

    script: the name of its file in sweeps/. parts: of its data sets that it begins with: a search opens the test part
    at its end.
    """

    script: str
    scale: str
    search_seed: int
    parts: ClassVar[tuple[Part, ...]] = ("train",)

    @property
    @abc.abstractmethod
    def dataset_names(self) -> tuple[str, ...]:
        """The data sets that it trains on."""

    @abc.abstractmethod
    def as_record(self) -> dict[str, Any]:
        """Everything that decides the results, as plain values."""

    @abc.abstractmethod
    def params(self) -> dict[str, Any]:
        """What MLflow shows as parameters of the whole sweep."""

    @abc.abstractmethod
    def classes_of(self, configuration: int) -> tuple[int, ...]:
        """The experiments that a configuration is trained on."""

    @abc.abstractmethod
    def title(self, stage: str, configuration: int, config: TrainConfig) -> str:
        """The name of a configuration's run in a stage."""

    @abc.abstractmethod
    def tags(self, configuration: int) -> dict[str, str]:
        """What MLflow is told of a configuration beside its settings."""

    @abc.abstractmethod
    def resolved(self, settings: Any) -> dict[str, Any]:
        """What a new record holds of the settings: a resume on another machine must not choose anew."""

    @abc.abstractmethod
    def check_data(self, data: Data) -> None:
        """Raises UserError for data that are too few for the plan."""
