"""The program that searches a detector's own space."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from adcore.config import TrainConfig
from adcore.detector_catalog import ANOMALIES
from adcore.errors import UserError
from adcore.options import option
from sweeps.engine.launch import launch
from sweeps.engine.main import SweepProgram
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import LogUniform, Space

__all__ = ["TuneSettings", "detector_space", "main"]


@dataclasses.dataclass(frozen=True)
class TuneSettings(SweepSettings):
    """The flags of a sweep, and the detector. Raises UserError as they do, and without a detector."""

    detector: str | None = option(None, "the detector that is tuned", choices=tuple(ANOMALIES))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.detector is None and self.resume is None:
            raise UserError(f"--detector: expected one of {', '.join(ANOMALIES)}")


@dataclasses.dataclass(frozen=True)
class TuneProgram(SweepProgram):
    """A sweep whose space is the detector's."""

    settings: type[SweepSettings] = TuneSettings

    def plan(self, settings: SweepSettings, home: Path) -> Plan:
        """The plan. Raises UserError for a detector that has nothing to tune."""
        assert isinstance(settings, TuneSettings)
        assert settings.detector
        own = dataclasses.replace(self, space=detector_space(settings.detector))
        return SweepProgram.plan(own, settings, home)


def detector_space(name: str) -> Space:
    """The ranges that a detector declares, and the package's defaults as the first point.

    A default below a range, such as no weight decay, is taken at its lower end. Raises UserError if there is none.
    """
    from adcore.detectors import DETECTORS

    ranges = {field: LogUniform(low, high) for field, (low, high) in DETECTORS[name].search.items()}
    if not ranges:
        others = ", ".join(other for other, kind in DETECTORS.items() if kind.search)
        raise UserError(f"--detector {name}: it has nothing to tune; expected one of {others}")
    defaults = TrainConfig()
    point = {field: min(max(getattr(defaults, field), each.low), each.high) for field, each in ranges.items()}
    return Space(ranges=ranges, points={"default": point})


def main(script: str, text: str, argv: Sequence[str] | None = None) -> None:
    """Parse argv and run the sweep. Exits with 0 if it is whole, 1 with failed trials, 2 for bad input."""
    launch(TuneProgram(script, Space(ranges={}, points={"default": {}})), text, argv)
