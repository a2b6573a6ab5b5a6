"""Figures of images: what a detector makes of them, and which it scores best and worst."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adcore.evaluation.figures import COLOURS, KINDS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["ends", "reconstructions", "scored_images"]

#: Side of a reconstructed image, and gap between normal and anomalous ones, in units of the images' spacing.
IMAGE_SIDE, GROUP_GAP = 0.92, 0.3


def reconstructions(
    normal: tuple[NDArray[Any], NDArray[Any]], anomalous: tuple[NDArray[Any], NDArray[Any]], *, title: str
) -> Figure:
    """Input, reconstruction and error map of images, normal ones on the left and anomalous ones on the right.

    Each argument: images and their reconstructions in [0, 1], [n, channels, height, width] both. The error is the mean
    over the channels of the absolute difference, on one colour scale; each image's mean error is printed below it.
    """
    import numpy as np

    rows = [np.concatenate([pair[part] for pair in (normal, anomalous)]) for part in (0, 1)]
    errors = np.abs(rows[0] - rows[1]).mean(1)
    count, width = len(errors), len(errors) + GROUP_GAP
    figure = new_figure(0.9 * width + 1.2, 3.5)
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
    for kind, first, group_size in ((0, 0, len(normal[0])), (1, len(normal[0]) + GROUP_GAP, len(anomalous[0]))):
        panels[0].text(first + group_size / 2, 1, KINDS[kind], color=COLOURS[kind], ha="center", va="bottom")
    panels[2].set_xticks([left + IMAGE_SIDE / 2 for left in lefts], [f"{error_map.mean():.3f}" for error_map in errors])
    panels[2].tick_params(length=0)
    figure.colorbar(shown, ax=list(panels), shrink=0.3, anchor=(0, 0.03), pad=0.01)
    figure.suptitle(title)
    return figure


def ends(scores: NDArray[Any], *, anomalous: bool, shown: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Positions of the images of one kind that are scored best, and of those scored worst, none twice; scores: [n]."""
    import numpy as np

    order = np.argsort(-scores if anomalous else scores, kind="stable")
    return order[:shown], order[shown:][-shown:]


def scored_images(
    normal: tuple[NDArray[Any], NDArray[Any]], anomalous: tuple[NDArray[Any], NDArray[Any]], *, title: str, shown: int
) -> Figure:
    """The images of each kind that are scored best, on the left, and worst, on the right, with their scores below.

    Each kind: images in [0, 1], [n, channels, height, width], and their scores, [n]. shown: images at each end.
    """
    import numpy as np

    figure = new_figure(0.9 * (2 * shown + GROUP_GAP) + 1.2, 2.9)
    panels = figure.subplots(2, 1)
    for kind, (axes, (images, scores)) in enumerate(zip(panels, (normal, anomalous), strict=True)):
        best, worst = ends(scores, anomalous=bool(kind), shown=shown)
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


def _picture(image: NDArray[Any]) -> tuple[NDArray[Any], str | None]:
    """Arguments of imshow: [height, width] and its colour map, or [height, width, 3]."""
    return (image[0], "gray") if len(image) == 1 else (image.transpose(1, 2, 0), None)
