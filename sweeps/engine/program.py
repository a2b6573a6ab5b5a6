"""What the engine asks of a script: its flags, its plan and its stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sweeps.engine.planning.run_settings import RunSettings

if TYPE_CHECKING:
    from adcore.config import TrainConfig
    from adcore.datasets import ImageDataset, Part
    from sweeps.engine.run import Run
    from sweeps.engine.stage_runner import StageRunner

__all__ = ["AnyPlan", "Program"]

Settings = TypeVar("Settings", bound=RunSettings)


class AnyPlan(Protocol):
    """What the engine asks of a plan, whatever the script. A configuration is known by its number."""

    @property
    def script(self) -> str: ...

    @property
    def scale(self) -> str: ...

    @property
    def search_seed(self) -> int: ...

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """The data sets that it trains on."""
        ...

    def as_record(self) -> dict[str, Any]:
        """Everything that decides the results, as plain values."""
        ...

    def params(self) -> dict[str, Any]:
        """What MLflow shows as parameters of the whole sweep."""
        ...

    def classes_of(self, configuration: int) -> tuple[int, ...]:
        """The experiments that a configuration is trained on."""
        ...

    def title(self, stage: str, configuration: int, config: TrainConfig) -> str:
        """The name of a configuration's run in a stage."""
        ...

    def tags(self, configuration: int) -> dict[str, str]:
        """What MLflow is told of a configuration beside its settings."""
        ...

    def share(self, config: TrainConfig) -> float:
        """What an epoch of these experiments is, in the unit of the progress bar."""
        ...


class Program(Protocol[Settings]):
    """What one script is, beside the engine that all have in common."""

    @property
    def script(self) -> str:
        """The name of its file in sweeps/."""
        ...

    @property
    def settings(self) -> type[Settings]:
        """Its flags."""
        ...

    @property
    def places(self) -> tuple[str, ...]:
        """Flags of its own that may differ when it is resumed, beside PLACES."""
        ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of its data sets that it begins with: a search opens the test part at its end, by itself."""
        ...

    def plan(self, settings: Settings, home: Path) -> Any:
        """The plan. Raises UserError for flags that do not fit each other."""
        ...

    def describe(self, plan: Any, settings: Settings) -> str:
        """The plan in words and its cost."""
        ...

    def check(self, plan: Any, data: Mapping[tuple[str, str], ImageDataset]) -> None:
        """Raises UserError for data that are too few for the plan. data: as for `stages`."""
        ...

    def facts(self, plan: Any, settings: Settings) -> dict[str, Any]:
        """What a new record holds beside the plan."""
        ...

    def stages(
        self, plan: Any, settings: Settings, run: Run, data: Mapping[tuple[str, str], ImageDataset]
    ) -> StageRunner:
        """What is to be run. data: its parts of each of the plan's data sets, by name and part."""
        ...
