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
    "auroc_by_class", "confusion_matrix", "loss_curves", "reconstructions", "roc", "score_densities", "scored_images"
]  # fmt: skip

KINDS = ("normal", "anomalous")
COLOURS = ("tab:blue", "tab:orange")
#: Side of a reconstructed image, and gap between normal and anomalous ones, in units of the images' spacing.
IMAGE_SIDE, GROUP_GAP = 0.92, 0.3


def auroc_by_class(
    series: Mapping[str, Sequence[float]],
    class_names: Sequence[str],
    *,
    title: str,
    intervals: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    xlabel: str = "normal class",
) -> Figure:
    """AUROC by class, a point per series with its value, and each series' mean in the legend.

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
    axes.set_ylabel("AUROC")
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


def reconstructions(
    normal: tuple[NDArray[Any], NDArray[Any]], anomalous: tuple[NDArray[Any], NDArray[Any]], *, title: str
) -> Figure:
    """Input, reconstruction and error map of images, normal ones on the left and anomalous ones on the right.

    Each argument: images and their reconstructions in [0, 1], [n, channels, height, width] both. The error is the mean
    over the channels of the absolute difference, on one colour scale; each image's mean error is printed below it.
    """
    import numpy as np

    rows = [np.concatenate([own[part] for own in (normal, anomalous)]) for part in (0, 1)]
    errors = np.abs(rows[0] - rows[1]).mean(1)
    count, width = len(errors), len(errors) + GROUP_GAP
    figure = _new(0.9 * width + 1.2, 3.5)
    # one axes per row, not per image: each one slows constrained layout
    panels = figure.subplots(3, 1)
    lefts = [place + GROUP_GAP * (place >= len(normal[0])) for place in range(count)]
    shown: Any = None
    for place, left in enumerate(lefts):
        extent = (left, left + IMAGE_SIDE, 0, IMAGE_SIDE)
        for axes, images in zip(panels, rows, strict=False):
            axes.imshow(*_picture(images[place]), vmin=0, vmax=1, extent=extent)
        shown = panels[2].imshow(errors[place], cmap="magma", vmin=0, vmax=errors.max(), extent=extent)
    for axes, name in zip(panels, ("input", "reconstruction", "error"), strict=True):
        axes.set(xlim=(0, width), ylim=(0, IMAGE_SIDE), xticks=[], yticks=[])
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.spines[:].set_visible(False)
    for kind, first, own in ((0, 0, len(normal[0])), (1, len(normal[0]) + GROUP_GAP, len(anomalous[0]))):
        panels[0].text(first + own / 2, 1, KINDS[kind], color=COLOURS[kind], ha="center", va="bottom")
    panels[2].set_xticks([left + IMAGE_SIDE / 2 for left in lefts], [f"{each.mean():.3f}" for each in errors])
    panels[2].tick_params(length=0)
    figure.colorbar(shown, ax=list(panels), shrink=0.3, anchor=(0, 0.03), pad=0.01)
    figure.suptitle(title)
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
        own = scores[anomalous == bool(kind)]
        axes.hist(own, bins, density=True, alpha=0.55, color=colour, label=f"{name} (n = {len(own)})")
    for (name, value), style in zip(finite.items(), itertools.cycle(["-", "--", "-.", ":"])):
        axes.axvline(value, color="black", linestyle=style, linewidth=1, label=f"{name}: {value:.3g}")
    axes.set_xlabel("anomaly score")
    axes.set_ylabel("density")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure


def scored_images(
    normal: tuple[NDArray[Any], NDArray[Any]], anomalous: tuple[NDArray[Any], NDArray[Any]], *, title: str, shown: int
) -> Figure:
    """The images of each kind that are scored best, on the left, and worst, on the right, with their scores below.

    Each kind: images in [0, 1], [n, channels, height, width], and their scores, [n]. shown: images at each end.
    """
    import numpy as np

    figure = _new(0.9 * (2 * shown + GROUP_GAP) + 1.2, 2.9)
    panels = figure.subplots(2, 1)
    for kind, (axes, (images, scores)) in enumerate(zip(panels, (normal, anomalous), strict=True)):
        order = np.argsort(-scores if kind else scores, kind="stable")
        best, worst = order[:shown], order[shown:][-shown:]
        places, both = [*range(len(best)), *(GROUP_GAP + 2 * shown - np.arange(len(worst), 0, -1))], [*best, *worst]
        for left, image in zip(places, both, strict=True):
            axes.imshow(*_picture(images[image]), vmin=0, vmax=1, extent=(left, left + IMAGE_SIDE, 0, IMAGE_SIDE))
        axes.set(xlim=(0, 2 * shown + GROUP_GAP), ylim=(0, IMAGE_SIDE), yticks=[])
        axes.set_xticks([left + IMAGE_SIDE / 2 for left in places], [f"{scores[image]:.3g}" for image in both])
        axes.tick_params(length=0)
        axes.set_ylabel(KINDS[kind], rotation=0, ha="right", va="center", color=COLOURS[kind])
        axes.spines[:].set_visible(False)
    panels[0].text(shown / 2, 1, "scored best", ha="center", va="bottom")
    panels[0].text(1.5 * shown + GROUP_GAP, 1, "scored worst", ha="center", va="bottom")
    figure.suptitle(title)
    return figure


def loss_curves(curves: Mapping[str, Sequence[float]], *, title: str) -> Figure:
    """A panel for each loss, because their scales differ: its mean over each epoch, from epoch 1."""
    columns = min(4, len(curves))
    rows = math.ceil(len(curves) / columns)
    figure = _new(max(2.8 * columns, 4), 2.2 * rows + 0.6)  # as wide as a title of two lines
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


def _picture(image: NDArray[Any]) -> tuple[NDArray[Any], str | None]:
    """Arguments of imshow: [height, width] and its colour map, or [height, width, 3]."""
    return (image[0], "gray") if len(image) == 1 else (image.transpose(1, 2, 0), None)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = _new(width, height)
    return figure, figure.subplots()


def _new(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
