"""The program behind sweeps/baselines.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.engine.baselines.plan import BaselinePlan, BaselineSettings, describe, make_plan
from sweeps.engine.baselines.rows import Baseline
from sweeps.engine.launch import launch

if TYPE_CHECKING:
    from adcore.datasets import ImageDataset, Part
    from sweeps.engine.baselines.stages import BaselineStages
    from sweeps.engine.run import Run

__all__ = ["BaselineProgram", "main"]


def main(script: str, text: str, rows: Sequence[Baseline], argv: Sequence[str] | None = None) -> None:
    """Parse argv and train the rows. Exits with 0 if all are there, 1 with failed trials, 2 for bad input."""
    launch(BaselineProgram(script, tuple(rows)), text, argv)


@dataclasses.dataclass(frozen=True)
class BaselineProgram:
    """Train every row, and put what is reported beside it."""

    script: str
    rows: tuple[Baseline, ...]
    settings: type[BaselineSettings] = BaselineSettings
    places: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ("train", "test")

    def plan(self, settings: BaselineSettings, home: Path) -> BaselinePlan:
        """The plan of the rows that were asked for."""
        return make_plan(self.script, settings, self.rows)

    def describe(self, plan: BaselinePlan, settings: BaselineSettings) -> str:
        """The plan in words."""
        return describe(plan)

    def check(self, plan: BaselinePlan, data: Mapping[tuple[str, str], ImageDataset]) -> None:
        """Nothing: no flag says how much the rows take of their data."""

    def facts(self, plan: BaselinePlan, settings: BaselineSettings) -> dict[str, Any]:
        """What was chosen by name: a resume on another machine must not choose anew."""
        chosen = {"scale": plan.scale, "seeds": plan.seeds}
        return {"settings": {**dataclasses.asdict(settings), **chosen}}

    def stages(
        self, plan: BaselinePlan, settings: BaselineSettings, run: Run, data: Mapping[tuple[str, str], ImageDataset]
    ) -> BaselineStages:
        """The one stage."""
        from sweeps.engine.baselines.stages import BaselineStages

        return BaselineStages(plan, settings, run, data)
