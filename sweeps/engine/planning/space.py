"""The search space: ranges of TrainConfig fields, and the points to try first."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from adcore.config import TrainConfig
from adcore.errors import UserError, unknown_name

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["NOT_SEARCHED", "POINT", "Choice", "Integers", "LogUniform", "Range", "Space", "Uniform"]

#: The parameter under which the study holds a grid's points.
POINT = "point"
_DATA = "configurations are compared on the same images"
_TASK = "it says what is to be learned, and all configurations learn the same"
_LENGTH = "configurations are compared after the same epochs"
#: Fields that all configurations of a sweep share, and why.
NOT_SEARCHED: Mapping[str, str] = MappingProxyType(
    {
        "dataset": _DATA,
        "image_size": _DATA,
        "classes": "a configuration is scored on all of them",
        "images_per_class": _DATA,
        "validation_images": _DATA,
        "protocol": _TASK,
        "known_classes": _TASK,
        "labelled_share": _TASK,
        "pollution": _TASK,
        "pseudo_anomalies": _TASK,
        "fold": _DATA,
        "detector": "each detector has ranges of its own, which sweeps/tune.py searches",
        "epochs": _LENGTH,
        "train_seed": "the best seed is the best by chance; the winner is confirmed with others",
        "split_seed": _DATA,
        "patience": _LENGTH,
        "precision": "it says how numbers are computed, which depends on the device",
    }
)


class Range(Protocol):
    """The values that a field may take."""

    @property
    def ends(self) -> tuple[Any, ...]:
        """Its first and its last value, or all of them: those that are checked when a sweep is planned."""
        ...

    def holds(self, value: Any) -> bool:
        """Whether it contains this value."""
        ...

    def distribution(self) -> BaseDistribution:
        """The same range for Optuna."""
        ...


@dataclasses.dataclass(frozen=True)
class _Numbers:
    """Numbers from low to high. Raises UserError if there are none."""

    low: float
    high: float
    above: ClassVar[float] = -math.inf

    def __post_init__(self) -> None:
        if not self.above < self.low <= self.high:
            least = f"{self.above:g} < " if self.above > -math.inf else ""
            raise UserError(f"{type(self).__name__}({self.low:g}, {self.high:g}): expected {least}low <= high")

    @property
    def ends(self) -> tuple[float, ...]:
        return self.low, self.high

    def holds(self, value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g}-{self.high:g}"


@dataclasses.dataclass(frozen=True)
class LogUniform(_Numbers):
    """Floats from low to high, uniform in their logarithm."""

    above: ClassVar[float] = 0.0

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=True)

    def __str__(self) -> str:
        return f"{super().__str__()} log"


@dataclasses.dataclass(frozen=True)
class Uniform(_Numbers):
    """Floats from low to high."""

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high)


@dataclasses.dataclass(frozen=True)
class Integers(_Numbers):
    """Integers from low to high, in steps of `step`."""

    step: int = 1

    @property
    def ends(self) -> tuple[float, ...]:
        """With the two values after the first: some fields take even numbers alone."""
        first = (self.low + self.step * place for place in range(3))
        return *(value for value in first if value < self.high), self.high

    def holds(self, value: Any) -> bool:
        return super().holds(value) and (value - self.low) % self.step == 0

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import IntDistribution

        return IntDistribution(int(self.low), int(self.high), step=self.step)

    def __str__(self) -> str:
        return f"{self.low:.0f}-{self.high:.0f}" + (f" in steps of {self.step}" if self.step > 1 else "")


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several unordered values."""

    options: Sequence[str | int | float | bool]

    @property
    def ends(self) -> tuple[Any, ...]:
        return tuple(self.options)

    def holds(self, value: Any) -> bool:
        return any(type(value) is type(option) and value == option for option in self.options)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)

    def __str__(self) -> str:
        return "|".join(map(str, self.options))


@dataclasses.dataclass(frozen=True)
class Space:
    """Ranges by TrainConfig field, and named points to try before the sampler proposes; the default comes first.

    A point gives every field of `ranges`; `default` and `paper` are names of points, paper may be absent. Without
    ranges the points are a grid: all of them are trained with every seed, and nothing is searched.
    """

    ranges: Mapping[str, Range]
    points: Mapping[str, Mapping[str, Any]]
    default: str = "default"
    paper: str | None = None

    @property
    def is_grid(self) -> bool:
        """Whether there are only points."""
        return not self.ranges

    @property
    def names(self) -> list[str]:
        """The TrainConfig fields that a configuration sets."""
        return list(self.ranges or next(iter(self.points.values())))

    def point_params(self, point: str) -> dict[str, Any]:
        """A point's parameters in Optuna's study."""
        return {POINT: point} if self.is_grid else dict(self.points[point])

    def fields(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The TrainConfig fields that a trial's parameters in the study stand for."""
        return dict(self.points[params[POINT]]) if self.is_grid else dict(params)

    def distributions(self) -> dict[str, BaseDistribution]:
        """The ranges as Optuna's distributions."""
        ranges = {POINT: Choice(tuple(self.points))} if self.is_grid else self.ranges
        return {name: field_range.distribution() for name, field_range in ranges.items()}

    def check(self, base: TrainConfig) -> None:
        """Raises UserError for an unknown field, one that cannot be searched, or an illegal value.

        base: the config in which the searched fields are set.
        """
        names = [field.name for field in dataclasses.fields(base) if field.name not in NOT_SEARCHED]
        for name in self.names:
            if name not in names:
                raise unknown_name("field of a search", name, names)
        for name, field_range in self.ranges.items():
            for value in field_range.ends:
                dataclasses.replace(base, **{name: value})
        least = {name: min(field_range.ends) for name, field_range in self.ranges.items() if name.startswith("weight_")}
        dataclasses.replace(base, **least)  # which must not be 0 all together
        for point, fields in self.points.items():
            if set(fields) != set(self.names):
                raise UserError(f"point {point!r}: expected a value for each of {', '.join(self.names)}")
            dataclasses.replace(base, **fields)
            for name, value in fields.items():
                if name in self.ranges and not self.ranges[name].holds(value):
                    raise UserError(f"point {point!r}: {name} is {value!r}, expected {self.ranges[name]}")
