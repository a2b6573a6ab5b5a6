"""Figures from plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["auroc_by_class"]


def auroc_by_class(series: Mapping[str, Sequence[float]], class_names: Sequence[str], *, title: str) -> Figure:
    """Bars of AUROC, one group per class and one bar per series, with each series' mean in the legend.

    series: name -> one value in [0, 1] per class.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(series)
    for place, (name, values) in enumerate(series.items()):
        mean = sum(values) / len(values)
        positions = [index + (place - (len(series) - 1) / 2) * width for index in range(len(values))]
        bars = axes.bar(positions, values, width, label=f"{name} (mean {mean:.4f})")
        axes.bar_label(bars, [f"{value:.3f}" for value in values], fontsize=7, rotation=90, padding=2)
    lowest = min(min(values) for values in series.values())
    axes.set_ylim(max(0.0, lowest - 0.05), 1.03)
    axes.set_xticks(range(len(class_names)), class_names, rotation=30, ha="right")
    axes.set_xlabel("normal class")
    axes.set_ylabel("AUROC")
    axes.set_title(title)
    axes.legend(loc="lower right")
    return figure
