"""The figures of a search, drawn from plain values; small enough to be read on a phone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeps.engine.report.importances import Importance
from sweeps.engine.report.search import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

__all__ = ["draw_history", "draw_importances", "draw_intervals", "draw_parallel", "draw_slice", "styled"]

#: Real text in the browser's font, no markup in names, the same ids whenever it is drawn.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "report", "font.family": "sans-serif", "font.size": 10,
    "text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False, "axes.unicode_minus": False,
}  # fmt: skip
WIDTH, HEIGHT = 4.5, 3.0  # inches
ACCENT, PALE, DARK = "#0b5cad", "#7d8590", "#1f2328"
COLOUR_MAP = "viridis_r"
#: More marks than this are drawn as pixels; lines are thinned out to as many.
MOST = 150


@contextmanager
def styled() -> Generator[None]:
    """Draw and save figures in the report's style."""
    with matplotlib.rc_context(STYLE):
        yield


def draw_history(points: Sequence[Point], label: str) -> Figure:
    """Means of configurations in the order of their proposal, and the best of the complete ones so far."""
    figure, axes = _figure(WIDTH, HEIGHT)
    _scatter(axes, [(point.number, point) for point in points])
    complete = [point for point in points if point.is_complete]
    leaders = itertools.accumulate(complete, lambda one, other: max(one, other, key=lambda point: point.goodness))
    best = [point.value for point in leaders]
    if best:
        ends = [*(point.number for point in complete), points[-1].number]
        axes.step(ends, [*best, best[-1]], where="post", color=ACCENT, linewidth=1.5, label="best so far")
    axes.set(xlabel="configuration, in the order of proposal", ylabel=f"mean {label} (validation)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left", ncols=3, fontsize=9, frameon=False)
    return figure


def draw_importances(importances: Sequence[Importance]) -> Figure:
    """Each parameter's importance: the mean over the evaluator's seeds as a bar, the values of the seeds as dots."""
    figure, axes = _figure(WIDTH, 0.9 + 0.38 * len(importances))
    rows = range(len(importances))
    axes.barh(rows, [importance.mean for importance in importances], color="#a8c7e8")
    for row, importance in zip(rows, importances, strict=True):
        axes.plot(importance.by_seed, [row] * len(importance.by_seed), "o", color=ACCENT, markersize=4, clip_on=False)
    axes.set_yticks(rows, [importance.name for importance in importances])
    axes.invert_yaxis()
    axes.set(xlabel="share of the variance explained", xlim=(0, 1))
    return figure


def draw_slice(name: str, points: Sequence[Point], distribution: BaseDistribution, label: str) -> Figure:
    """Means over the values of one parameter."""
    figure, axes = _figure(3.4, 2.6)
    places, ticks = _places(name, points, distribution)
    _scatter(axes, list(zip(places, points, strict=True)))
    if _is_log(distribution):
        low, high = (float(end) for end in _ends(distribution))
        axes.set_xscale("log")
        axes.set_xticks([low, math.sqrt(low * high), high], [f"{low:g}", f"{math.sqrt(low * high):.2g}", f"{high:g}"])
        axes.xaxis.set_minor_locator(NullLocator())
    if ticks:
        axes.set_xticks(range(len(ticks)), ticks)
    axes.set(xlabel=name, ylabel=f"mean {label}")
    return figure


def draw_parallel(points: Sequence[Point], distributions: dict[str, BaseDistribution], label: str) -> Figure:
    """One line per configuration through its parameters' values, coloured by its mean, the best on top.

    Of many, the best ones are drawn, and some of the others, spread evenly over the ranks.
    """
    ranked = sorted(points, key=lambda point: point.goodness)
    if len(ranked) > MOST:
        kept = np.unique(np.linspace(0, len(ranked) - 1, MOST).round().astype(int))
        ranked = [ranked[place] for place in kept]
    figure, axes = _figure(max(WIDTH, 1.35 * len(distributions) + 1.2), 3.6)
    columns = [_heights(name, ranked, distribution) for name, distribution in distributions.items()]
    lines = [list(enumerate(heights)) for heights in zip(*columns, strict=True)]
    values = np.array([point.value for point in ranked])
    shown = LineCollection(lines, cmap=COLOUR_MAP, array=values, linewidths=np.linspace(0.8, 2, len(lines)))
    shown.set_rasterized(len(lines) >= MOST)
    axes.add_collection(shown)
    for place, distribution in enumerate(distributions.values()):
        axes.vlines(place, 0, 1, color=DARK, linewidth=0.8)
        for height, text in zip((0, 1), _ends(distribution), strict=True):
            axes.text(place, height + 0.03 * (1 if height else -1), text, ha="center", va="bottom" if height else "top")
    axes.set(xlim=(-0.3, len(distributions) - 0.7), ylim=(-0.12, 1.12), yticks=[])
    axes.set_xticks(range(len(distributions)), [_wrapped(name) for name in distributions], fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axes, label=f"mean {label}", pad=0.02)
    return figure


def draw_intervals(
    names: Sequence[str], intervals: Sequence[tuple[float, float, float]], *, label: str, zero: bool = False
) -> Figure:
    """Values with their intervals, one row each: (value, low, high). zero: with a line at 0, for differences."""
    figure, axes = _figure(WIDTH, 0.9 + 0.32 * len(names))
    rows = range(len(names))
    values = [value for value, _, _ in intervals]
    errors = [[value - low for value, low, _ in intervals], [high - value for value, _, high in intervals]]
    if zero:
        axes.axvline(0, color=PALE, linewidth=1, linestyle="--")
    axes.errorbar(values, rows, xerr=errors, fmt="o", color=ACCENT, capsize=3, markersize=5)
    axes.set_yticks(rows, [_shortened(name) for name in names])
    axes.invert_yaxis()
    axes.margins(y=0.5 / max(1, len(names)))
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="x", color="0.9")
    return figure


def _scatter(axes: Axes, placed: Sequence[tuple[float, Point]]) -> None:
    """Complete configurations as dots, predicted ones as rings."""
    styles = {True: ("complete", ACCENT), False: ("stopped, predicted", "none")}
    for is_complete, (name, inside) in styles.items():
        marks = [(place, point.value) for place, point in placed if point.is_complete == is_complete]
        if marks:
            axes.scatter(
                *zip(*marks, strict=True), s=26 if is_complete else 20, facecolors=inside, zorder=2 + is_complete,
                edgecolors=ACCENT if is_complete else PALE, label=name, rasterized=len(marks) > MOST,
            )  # fmt: skip


def _places(name: str, points: Sequence[Point], distribution: BaseDistribution) -> tuple[list[float], list[str]]:
    """Where the points' values lie on an axis, and its ticks' names if they are choices."""
    values = [point.params[name] for point in points]
    if isinstance(distribution, CategoricalDistribution):
        return [float(distribution.choices.index(value)) for value in values], list(map(str, distribution.choices))
    return values, []


def _heights(name: str, points: Sequence[Point], distribution: BaseDistribution) -> list[float]:
    """The points' values from 0, the low end of the range, to 1."""
    places, ticks = _places(name, points, distribution)
    ends = (0, len(ticks) - 1) if ticks else _limits(distribution)
    scale = np.log if _is_log(distribution) else np.asarray
    low, high = scale(ends)
    return ((scale(places) - low) / max(high - low, 1e-12)).tolist()


def _ends(distribution: BaseDistribution) -> tuple[str, str]:
    if isinstance(distribution, CategoricalDistribution):
        return str(distribution.choices[0]), str(distribution.choices[-1])
    low, high = _limits(distribution)
    return f"{low:g}", f"{high:g}"


def _limits(distribution: BaseDistribution) -> tuple[float, float]:
    """The ends of a range of numbers."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low, distribution.high


def _is_log(distribution: BaseDistribution) -> bool:
    return bool(getattr(distribution, "log", False))


def _wrapped(name: str) -> str:
    return name.replace("_", "\n")


def _shortened(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}…"


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()
