"""The program that searches a space: what the scripts of sweeps/ call."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.engine.launch import launch, read_fact
from sweeps.engine.planning.plan import Plan, describe, make_plan, members_per_trial
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import Space
from sweeps.engine.planning.start_from import start_from

if TYPE_CHECKING:
    from adcore.datasets import ImageDataset, Part
    from sweeps.engine.run import Run
    from sweeps.engine.stages import Stages

__all__ = ["SweepProgram", "main"]

#: Settings that decide which images are labelled.
CHECKED = ("classes", "split_seed", "exposure")


def main(script: str, text: str, space: Space, argv: Sequence[str] | None = None) -> None:
    """Parse argv and run the sweep. Exits with 0 if it is whole, 1 with failed trials, 2 for bad input."""
    launch(SweepProgram(script, space), text, argv)


@dataclasses.dataclass(frozen=True)
class SweepProgram:
    """Search, confirm and test the configurations of a space."""

    script: str
    space: Space
    settings: type[SweepSettings] = SweepSettings
    places: tuple[str, ...] = ("open_test_again", "probe")
    parts: tuple[Part, ...] = ("train",)

    def plan(self, settings: SweepSettings, home: Path) -> Plan:
        """The plan; a resumed sweep starts from the points on record: the sweep that they came from may be gone."""
        space = self.space
        if settings.start_from and settings.resume:
            space = dataclasses.replace(space, points=read_fact(home, "plan")["space"]["points"])
        elif settings.start_from:
            space = start_from(space, home.parent / settings.start_from)
        return make_plan(self.script, settings, space)

    def describe(self, plan: Plan, settings: SweepSettings) -> str:
        """The plan in words and its cost."""
        return describe(plan, settings)

    def check(self, plan: Plan, data: Mapping[tuple[str, str], ImageDataset]) -> None:
        """Raises UserError if pollution leaves no anomaly to be labelled."""
        from adcore.protocols.experiments import require_labelled_anomalies
        from adcore.train.build import split_train

        labels = data[plan.base.dataset, "train"].labels
        for config in (plan.searched, plan.base):
            fit, own = split_train(config, labels).fit, {name: getattr(config, name) for name in CHECKED}
            require_labelled_anomalies(labels, fit, **own)

    def facts(self, plan: Plan, settings: SweepSettings) -> dict[str, Any]:
        """How large packs are, and the scale by name: a resume on another machine must not choose anew."""
        resolved: dict[str, Any] = {"scale": plan.scale, "dataset": plan.base.dataset, "epochs": plan.base.epochs}
        if not plan.space.is_grid:
            resolved["configs"] = plan.configs
        return {
            "members_per_trial": members_per_trial(settings),
            "settings": {**dataclasses.asdict(settings), **resolved},
        }

    def stages(
        self, plan: Plan, settings: SweepSettings, run: Run, data: Mapping[tuple[str, str], ImageDataset]
    ) -> Stages:
        """Search, confirm, final."""
        from sweeps.engine.stages import Stages

        return Stages(plan, settings, run, data[plan.base.dataset, "train"])
