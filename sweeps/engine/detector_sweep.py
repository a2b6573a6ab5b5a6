"""Sweep a detector's own space; called by sweeps/tune.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from adcore.config import TrainConfig
from adcore.detector_catalog import ANOMALIES
from adcore.errors import UserError
from adcore.options import option
from sweeps.engine.main import search_script
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import LogUniform, Space
from sweeps.engine.sweep import launch

__all__ = ["DetectorSettings", "detector_space", "main"]


@dataclasses.dataclass(frozen=True)
class DetectorSettings(SweepSettings):
    """The flags of a sweep, plus --detector. Raises UserError as SweepSettings does, and if the detector is missing."""

    detector: str | None = option(None, "detector to tune", choices=tuple(ANOMALIES))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.detector is None and self.continued_sweep is None:
            raise UserError(f"--detector: expected one of {', '.join(ANOMALIES)}")


def detector_space(name: str) -> Space:
    """The ranges that a detector declares, and the package's defaults as the first point.

    A default below a range, such as no weight decay, becomes its lower end. Raises UserError if no range is declared.
    """
    from adcore.detectors import DETECTORS

    ranges = {field: LogUniform(low, high) for field, (low, high) in DETECTORS[name].search.items()}
    if not ranges:
        others = ", ".join(other for other, kind in DETECTORS.items() if kind.search)
        raise UserError(f"--detector {name}: it has nothing to tune; expected one of {others}")
    defaults = TrainConfig()
    point = {field: min(max(getattr(defaults, field), bounds.low), bounds.high) for field, bounds in ranges.items()}
    return Space(ranges=ranges, points={"default": point})


def main(script: str, text: str, argv: Sequence[str] | None = None) -> None:
    """Parse argv and run the sweep. Exits with 0 if it is complete, 1 with failed trials, 2 for bad input."""
    launch(search_script(script, _space_of, DetectorSettings), text, argv)


def _space_of(settings: SweepSettings) -> Space:
    assert isinstance(settings, DetectorSettings)
    assert settings.detector
    return detector_space(settings.detector)
