"""SweepResult: what a finished sweep's results.json holds, for Python code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from adcore.datasets import describe
from adcore.errors import UserError
from sweeps.engine.record.home import SweepHome

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Estimate", "SweepResult", "read_result"]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over the classes, or a difference of two, with its 95 % interval; NaN where it has none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f}, {self.high:.4f})"


@dataclasses.dataclass(frozen=True)
class SweepResult:
    """A finished sweep.

    home: its folder. winner: the sampled fields, and the winner's number as "configuration". search: None if the
    search's trainings were not the confirmation's; confirm: fresh seeds, validation; test: the same models on the test
    part, by comparison ("", and "seen" and "unseen" where they differ). seeds: the fresh ones. confirmed: every
    confirmed configuration, the winner first, with its means by seed. comparisons: the winner minus each other one, by
    configuration; in a grid each other one minus the first. sentence: what is beyond noise. states:
    configurations by state. plan: everything that decides the results; its "metric" is what the values are of.
    test_openings: when the test part was opened. test_by_class: metric -> class -> values by seed, of the winner.
    seconds: of the last driver's work. class_names: of the data, as they were when the results were written.
    """

    home: Path
    winner: Mapping[str, Any]
    search: Estimate | None
    confirm: Estimate
    test: Mapping[str, Estimate]
    seeds: list[int]
    confirmed: list[Mapping[str, Any]]
    comparisons: Mapping[int, Estimate]
    sentence: str
    states: Mapping[str, int]
    plan: Mapping[str, Any]
    test_by_class: Mapping[str, Mapping[int, list[float]]]
    test_openings: list[str]
    seconds: float
    class_names: list[str]

    @property
    def table(self) -> DataFrame:
        """Every configuration, as in results.csv: the confirmed ones by rank, then the furthest and best.

        Raises UserError if it is gone.
        """
        import pandas as pd

        path = SweepHome(self.home).table
        try:
            return pd.read_csv(path, index_col="configuration")
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read ({error}); resume the sweep, which writes it again") from error

    @property
    def by_class(self) -> DataFrame:
        """The winner by class: the class's name and each metric on the test part, mean over the seeds."""
        import pandas as pd

        columns = {
            metric: {index: fmean(values) for index, values in by_class.items()}
            for metric, by_class in self.test_by_class.items()
        }
        frame = pd.DataFrame(columns)
        frame.insert(0, "name", [self.class_names[index] for index in frame.index])
        return frame.rename_axis("class")

    def figures(self) -> dict[str, Path]:
        """The figures in the sweep's folder, by name: the metric by class, and those of the winner's models."""
        home = SweepHome(self.home)
        paths = [*home.class_figures(), *sorted(home.figures.rglob("*.png"))]
        return {path.relative_to(self.home).with_suffix("").as_posix(): path for path in paths if path.exists()}


def read_result(home: SweepHome) -> SweepResult:
    """The result of a finished sweep. Raises UserError if its results.json is missing, damaged or of another kind."""
    path = home.results
    try:
        results = json.loads(path.read_text())
        return _result(home.folder, results)
    except OSError as error:
        raise UserError(f"{path}: no results of a finished sweep ({error.strerror}); resume the sweep") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: damaged, or no search's results; resume the sweep to write it again") from error


def _result(folder: Path, results: Mapping[str, Any]) -> SweepResult:
    return SweepResult(
        home=folder,
        winner=dict(results["winner"]),
        search=Estimate(**results["search"]) if results["search"] else None,
        confirm=Estimate(**results["confirm"]),
        test={name: Estimate(**each) for name, each in results["test"].items()},
        seeds=list(results["seeds"]),
        confirmed=list(results["confirmed"]),
        comparisons={each["configuration"]: Estimate(**each["difference"]) for each in results["comparisons"]},
        sentence=results["sentence"],
        states=dict(results["states"]),
        plan=dict(results["plan"]),
        test_by_class={
            metric: {int(index): list(values) for index, values in by_class.items()}
            for metric, by_class in results["test_by_class"].items()
        },
        test_openings=list(results["test_openings"]),
        seconds=float(results["seconds"]),
        class_names=list(results.get("class_names") or describe(results["plan"]["base"]["dataset"]).class_names),
    )
