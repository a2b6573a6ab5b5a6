"""Figures from plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["auroc_by_class", "confusion_matrix", "loss_curves", "reconstructions", "roc", "score_densities"]

KINDS = ("normal", "anomalous")
COLOURS = ("tab:blue", "tab:orange")


def auroc_by_class(
    series: Mapping[str, Sequence[float]],
    class_names: Sequence[str],
    *,
    title: str,
    intervals: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> Figure:
    """Bars of AUROC, one group per class and one bar per series, with each series' mean in the legend.

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
        bars = axes.bar(positions, values, width, label=f"{name} (mean {mean:.4f})", yerr=errors, capsize=2)
        axes.bar_label(bars, [f"{value:.3f}" for value in values], fontsize=7, rotation=90, padding=2)
    lows = [low for bounds in (intervals or {}).values() for low, _ in bounds]
    lowest = min([*lows, *(min(values) for values in series.values())])
    axes.set_ylim(max(0.0, lowest - 0.05), 1.03)
    axes.set_xticks(range(len(class_names)), class_names, rotation=30, ha="right")
    axes.set_xlabel("normal class")
    axes.set_ylabel("AUROC")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=len(series))  # outside: no bar is hidden
    return figure


def roc(
    scores: NDArray[Any], anomalous: NDArray[Any], *, title: str, thresholds: Mapping[str, float] | None = None
) -> Figure:
    """ROC curve with its area, and where each threshold lies on it. scores: [n]; anomalous: bool [n].

    thresholds: name -> the score from which on an image counts as anomalous.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    figure, axes = _figure(5, 5)
    false_positives, true_positives, _ = roc_curve(anomalous, scores)
    area = roc_auc_score(anomalous, scores)
    axes.plot([0, 1], [0, 1], "--", color="0.7", linewidth=1)
    axes.plot(false_positives, true_positives, color="black", label=f"AUROC {area:.4f}")
    for name, threshold in (thresholds or {}).items():
        rates = [float((scores[anomalous == kind] >= threshold).mean()) for kind in (False, True)]
        label = f"{name}: FPR {rates[0]:.3f}, TPR {rates[1]:.3f}"
        axes.plot(*rates, "o", label=label, clip_on=False)
    axes.set_xlabel("false positive rate: normal images flagged")
    axes.set_ylabel("true positive rate: anomalies flagged")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_title(title)
    axes.legend(loc="lower right", fontsize=8)
    return figure


def confusion_matrix(counts: NDArray[Any], *, title: str) -> Figure:
    """Numbers of images [2, 2], shaded by share of a row; rows are what images are, columns what they are taken for."""
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
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    axes.set_title(title)
    return figure


def reconstructions(
    normal: tuple[NDArray[Any], NDArray[Any]], anomalous: tuple[NDArray[Any], NDArray[Any]], *, title: str
) -> Figure:
    """Input, reconstruction and error map of images, normal ones on the left and anomalous ones on the right.

    Each argument: images and their reconstructions in [0, 1], [n, channels, height, width] both. The error is the mean
    over the channels of the absolute difference; one colour scale holds for all of them, and an image's mean is below.
    """
    import numpy as np

    rows = [np.concatenate([own[part] for own in (normal, anomalous)]) for part in (0, 1)]
    errors = np.abs(rows[0] - rows[1]).mean(1)
    count = len(errors)
    figure = _new(0.9 * count + 1.4, 3.7)
    axes = figure.subplots(3, count, squeeze=False)
    shown: Any = None
    for place in range(count):
        for row, images in enumerate(rows):
            axes[row, place].imshow(*_picture(images[place]), vmin=0, vmax=1)
        shown = axes[2, place].imshow(errors[place], cmap="magma", vmin=0, vmax=errors.max())
        axes[2, place].set_xlabel(f"{errors[place].mean():.3f}", fontsize=8)
        kind = int(place >= len(normal[0]))
        axes[0, place].set_title(KINDS[kind], fontsize=8, color=COLOURS[kind])
    for row, name in enumerate(("input", "reconstruction", "error")):
        axes[row, 0].set_ylabel(name, fontsize=8)
    for each in axes.flat:
        each.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=list(axes.flat), shrink=0.3, anchor=(0, 0), pad=0.01)
    figure.suptitle(title)
    return figure


def score_densities(
    scores: NDArray[Any], anomalous: NDArray[Any], *, title: str, thresholds: Mapping[str, float] | None = None
) -> Figure:
    """Histograms of the scores of normal images and of anomalies, each of area 1, with thresholds as lines.

    scores: [n]; anomalous: bool [n]. The highest 1 % of the scores are left out of sight.
    """
    import numpy as np

    figure, axes = _figure(7, 4)
    finite = {name: value for name, value in (thresholds or {}).items() if math.isfinite(value)}
    low, high = (
        min(scores.min(), *finite.values(), math.inf),
        max(np.quantile(scores, 0.99), *finite.values(), -math.inf),
    )
    bins = np.linspace(low, high, 60)
    for kind, (name, colour) in enumerate(zip(KINDS, COLOURS, strict=True)):
        own = scores[anomalous == bool(kind)]
        axes.hist(own, bins, density=True, alpha=0.55, color=colour, label=f"{name} (n = {len(own)})")
    for (name, value), style in zip(finite.items(), ["-", "--", "-.", ":"] * len(finite), strict=False):
        axes.axvline(value, color="black", linestyle=style, linewidth=1, label=f"{name}: {value:.3g}")
    axes.set_xlabel("anomaly score")
    axes.set_ylabel("density")
    axes.set_title(title)
    axes.legend(fontsize=8)
    return figure


def loss_curves(curves: Mapping[str, Sequence[float]], *, title: str) -> Figure:
    """A panel for each loss, because their scales differ: its mean over each epoch, from epoch 1."""
    columns = min(4, len(curves))
    rows = math.ceil(len(curves) / columns)
    figure = _new(2.8 * columns, 2.2 * rows + 0.4)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (name, values) in zip(panels, curves.items(), strict=False):
        axes.plot(range(1, len(values) + 1), values, marker=".", color="black")
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    figure.supxlabel("epoch")
    figure.suptitle(title)
    return figure


def _picture(image: NDArray[Any]) -> tuple[NDArray[Any], str | None]:
    """What imshow takes: [height, width] and its colour map, or [height, width, 3]."""
    return (image[0], "gray") if len(image) == 1 else (image.transpose(1, 2, 0), None)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = _new(width, height)
    return figure, figure.subplots()


def _new(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
