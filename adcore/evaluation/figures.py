"""Figures (plots) from plain values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "COLOURS",
    "KINDS",
    "auroc_by_class",
    "confusion_matrix",
    "loss_curves",
    "new_figure",
    "roc",
    "score_densities",
]  # fmt: skip

KINDS = ("normal", "anomalous")
COLOURS = ("tab:blue", "tab:orange")


def auroc_by_class(
    series: Mapping[str, Sequence[float]],
    class_names: Sequence[str],
    *,
    title: str,
    intervals: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    xlabel: str = "normal class",
    ylabel: str = "AUROC",
) -> Figure:
    """AUROC, or another metric, by class: a point per series with its value, and each series' mean in the legend.

    Points, not bars: the axis does not begin at 0.

    series: name -> one value in [0, 1] per class. intervals: name -> lower and upper bound per class, for error bars.
    """
    figure, axes = _figure(10, 4.5)
    width = 0.8 / len(series)
    for place, (name, values) in enumerate(series.items()):
        mean = sum(values) / len(values)
        positions = [index + (place - (len(series) - 1) / 2) * width for index in range(len(values))]
        bounds = (intervals or {}).get(name)
        errors = bounds and [[v - low for v, (low, _) in zip(values, bounds, strict=True)],
                             [high - v for v, (_, high) in zip(values, bounds, strict=True)]]  # fmt: skip
        axes.errorbar(positions, values, errors, fmt="o", capsize=2, label=f"{name} (mean {mean:.4f})")
        for position, value in zip(positions, values, strict=True):
            axes.annotate(
                f"{value:.3f}", (position, value), (0, 7), textcoords="offset points",
                ha="center", va="bottom", fontsize=7, rotation=90,
            )  # fmt: skip
    lows = [low for bounds in (intervals or {}).values() for low, _ in bounds]
    lowest = min([*lows, *(min(values) for values in series.values())])
    bottom = max(0.0, lowest - 0.05)
    axes.set_ylim(bottom, 1.03 + 0.1 * (1 - lowest))
    axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick <= 1])
    axes.grid(axis="y", alpha=0.3)
    axes.set_xticks(range(len(class_names)), class_names, rotation=30, ha="right")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=len(series))  # outside: no point is hidden
    return figure


def roc(
    scores: NDArray[Any], anomalous: NDArray[Any], *, title: str, thresholds: Mapping[str, float] | None = None
) -> Figure:
    """ROC curve with its area and the point of each threshold. scores: [n]; anomalous: bool [n].

    thresholds: name -> the lowest score that counts as anomalous.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    figure, axes = _figure(5, 5.9)
    false_positives, true_positives, _ = roc_curve(anomalous, scores)
    area = roc_auc_score(anomalous, scores)
    axes.plot([0, 1], [0, 1], "--", color="0.7", linewidth=1)
    axes.plot(false_positives, true_positives, color="black", label=f"AUROC {area:.4f}")
    for (name, threshold), marker in zip((thresholds or {}).items(), itertools.cycle("osD^")):
        rates = [float((scores[anomalous == kind] >= threshold).mean()) for kind in (False, True)]
        label = f"{name}: FPR {rates[0]:.3f}, TPR {rates[1]:.3f}"
        axes.plot(*rates, marker, label=label, clip_on=False, fillstyle="none", markeredgewidth=1.5)
    axes.set_xlabel("false positive rate: normal images flagged")
    axes.set_ylabel("true positive rate: anomalies flagged")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_title(title)
    figure.legend(loc="outside lower center", fontsize=8)  # outside: a curve below the diagonal is not hidden
    return figure


def confusion_matrix(counts: NDArray[Any], *, title: str) -> Figure:
    """Numbers of images [2, 2], shaded by share of their row; rows: actual kind, columns: predicted kind."""
    figure, axes = _figure(4, 3.6)
    shares = counts / counts.sum(1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            share = shares[row, column]
            text = f"{counts[row, column]}\n{share:.1%}"
            axes.text(column, row, text, ha="center", va="center", color="white" if share > 0.5 else "black")
    axes.set_xticks(range(2), KINDS)
    axes.set_yticks(range(2), KINDS, rotation=90, va="center")
    axes.set_xlabel("predicted")
    axes.set_ylabel("actual")
    axes.set_title(title)
    return figure


def score_densities(
    scores: NDArray[Any], anomalous: NDArray[Any], *, title: str, thresholds: Mapping[str, float] | None = None
) -> Figure:
    """Histograms of the scores of normal images and of anomalies, each of area 1, with thresholds as lines.

    scores: [n]; anomalous: bool [n]. The lowest and highest 1 % of each kind may lie outside the plot.
    """
    import numpy as np

    figure, axes = _figure(7, 4.4)
    finite = {name: value for name, value in (thresholds or {}).items() if math.isfinite(value)}
    ends = [np.quantile(scores[anomalous == kind], [0.01, 0.99]) for kind in (False, True)]
    shown = [*np.concatenate(ends), *finite.values()]
    bins = np.histogram_bin_edges(shown, 50).tolist()  # of some width even if all scores are equal
    for kind, (name, colour) in enumerate(zip(KINDS, COLOURS, strict=True)):
        kind_scores = scores[anomalous == bool(kind)]
        axes.hist(kind_scores, bins, density=True, alpha=0.55, color=colour, label=f"{name} (n = {len(kind_scores)})")
    for (name, value), style in zip(finite.items(), itertools.cycle(["-", "--", "-.", ":"])):
        axes.axvline(value, color="black", linestyle=style, linewidth=1, label=f"{name}: {value:.3g}")
    axes.set_xlabel("anomaly score")
    axes.set_ylabel("density")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure


def loss_curves(curves: Mapping[str, Sequence[float]], *, title: str) -> Figure:
    """A panel for each loss, because their scales differ: its mean over each epoch, from epoch 1."""
    columns = min(4, len(curves))
    rows = math.ceil(len(curves) / columns)
    figure = new_figure(max(2.8 * columns, 4), 2.2 * rows + 0.6)  # as wide as a title of two lines
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (name, values) in zip(panels, curves.items(), strict=False):
        axes.plot(range(1, len(values) + 1), values, marker=".", color="black")
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    figure.supxlabel("epoch")
    figure.suptitle(title)
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    return figure, figure.subplots()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, whose parts make room for each other."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
