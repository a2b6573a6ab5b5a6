"""Figures show the values they are given."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from adcore.evaluation import figures, image_figures

SCORES = np.array([4.0, 1.0, 6.0, 3.0, 2.0, 5.0])
ANOMALOUS = np.array([False, False, True, True, False, True])


def legend(figure: Figure) -> list[str]:
    found = figure.legends[0] if figure.legends else figure.axes[0].get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


def pictures(count: int, channels: int = 1, *, value: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    images = np.full((count, channels, 4, 4), value)
    return images, np.zeros_like(images)


def scored(*values: float) -> tuple[np.ndarray, np.ndarray]:
    return np.full((len(values), 1, 4, 4), 0.5), np.array(values)


EVERY: dict[str, Callable[[], Figure]] = {
    "roc": lambda: figures.roc(SCORES, ANOMALOUS, title="t", thresholds={"best F1": 3.0}),
    "confusion_matrix": lambda: figures.confusion_matrix(np.array([[2, 1], [0, 3]]), title="t"),
    "reconstructions": lambda: image_figures.reconstructions(pictures(2), pictures(1), title="t"),
    "scored_images": lambda: image_figures.scored_images(scored(3), scored(1), title="t", shown=2),
    "score_densities": lambda: figures.score_densities(SCORES, ANOMALOUS, title="t"),
    "loss_curves": lambda: figures.loss_curves({"abc": [3.0, 2.0]}, title="t"),
    "auroc_by_class": lambda: figures.auroc_by_class({"gan": [0.9, 0.8]}, ["a", "b"], title="t"),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_draws_and_has_its_title(name: str) -> None:
    assert set(EVERY) == {*figures.__all__, *image_figures.__all__} - {"COLOURS", "KINDS", "ends", "new_figure"}
    assert len(EVERY) == 7
    figure = EVERY[name]()
    figure.draw_without_rendering()
    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    assert "t" in titles


def test_images_go_from_the_best_scored_to_the_worst_and_each_is_shown_once() -> None:
    figure = image_figures.scored_images(scored(3, 1, 2, 5, 4), scored(7, 9, 8), title="", shown=2)
    normal, anomalous = ([tick.get_text() for tick in axes.get_xticklabels()] for axes in figure.axes)
    assert normal == ["1", "2", "4", "5"]
    assert anomalous == ["9", "8", "7"]
    assert figure.axes[1].get_xticks()[2] > 3, "the worst are on the right"


def test_the_roc_curve_passes_through_its_operating_points() -> None:
    figure = figures.roc(SCORES, ANOMALOUS, title="", thresholds={"best F1": 3.0, "nothing": math.inf})
    # 8 of 9 pairs are in order: only anomaly 3 lies below normal 4
    assert legend(figure)[0] == "AUROC 0.8889"
    _, curve, *points = figure.axes[0].lines
    assert [(float(p.get_xdata()[0]), float(p.get_ydata()[0])) for p in points] == [(1 / 3, 1.0), (0.0, 0.0)]
    assert legend(figure)[1] == "best F1: FPR 0.333, TPR 1.000"
    corners = list(zip(curve.get_xdata(), curve.get_ydata(), strict=True))
    assert (0.0, 2 / 3) in corners
    assert (1 / 3, 1.0) in corners


def test_a_confusion_matrix_shows_numbers_and_shares_of_a_row() -> None:
    figure = figures.confusion_matrix(np.array([[2, 1], [0, 4]]), title="")
    assert [text.get_text() for text in figure.axes[0].texts] == ["2\n66.7%", "1\n33.3%", "0\n0.0%", "4\n100.0%"]


@pytest.mark.parametrize("channels", [1, 3])
def test_error_maps_share_a_scale_and_name_their_mean(channels: int) -> None:
    figure = image_figures.reconstructions(
        pictures(3, channels, value=0.25), pictures(2, channels, value=0.75), title=""
    )
    rows = figure.axes[:3]
    assert [text.get_text() for text in rows[0].texts] == ["normal", "anomalous"]
    assert [len(axes.images) for axes in rows] == [5, 5, 5]
    assert [tick.get_text() for tick in rows[2].get_xticklabels()] == ["0.250"] * 3 + ["0.750"] * 2
    assert {image.get_clim() for image in rows[2].images} == {(0, 0.75)}
    shown = rows[0].images[0].get_array()
    assert shown is not None
    assert shown.shape == ((4, 4) if channels == 1 else (4, 4, 3))


def test_images_of_a_column_stand_below_each_other_and_apart_from_the_next() -> None:
    figure = image_figures.reconstructions(pictures(2), pictures(2), title="")
    extents = [[image.get_extent() for image in axes.images] for axes in figure.axes[:3]]
    assert extents[0] == extents[1] == extents[2]
    lefts, rights = ([extent[side] for extent in extents[0]] for side in (0, 1))
    assert all(right < left for right, left in zip(rights, lefts[1:], strict=False))
    figure.draw_without_rendering()
    boxes = [axes.get_position() for axes in figure.axes[:3]]
    assert [box.x0 for box in boxes] == pytest.approx([boxes[0].x0] * 3)
    assert [box.width for box in boxes] == pytest.approx([boxes[0].width] * 3)


def test_a_tail_of_the_scores_does_not_squeeze_the_densities() -> None:
    scores = np.concatenate([[-1e6], np.linspace(0, 1, 999), np.linspace(1, 2, 999), [1e6]])
    low, high = figures.score_densities(scores, np.arange(2000) >= 1000, title="").axes[0].get_xlim()
    assert -0.2 < low < 0.05
    assert 1.95 < high < 2.2


def test_densities_have_an_area_of_one_and_their_thresholds() -> None:
    stream = np.random.default_rng(0)
    scores = np.concatenate([stream.uniform(0, 1, 60), stream.uniform(0, 1, 20)])
    figure = figures.score_densities(
        scores, np.arange(80) >= 60, title="", thresholds={"fixed": 2.5, "nothing": math.inf}
    )
    axes = figure.axes[0]
    areas = [sum(bar.get_width() * bar.get_height() for bar in bars) for bars in axes.containers]  # type: ignore[attr-defined]
    assert areas == pytest.approx([1, 1])
    assert [float(line.get_xdata()[0]) for line in axes.lines] == [2.5]  # type: ignore[index]
    assert legend(figure) == ["normal (n = 60)", "anomalous (n = 20)", "fixed: 2.5"]


def test_equal_scores_of_a_dead_network_are_drawn_too() -> None:
    figure = figures.score_densities(np.full(6, 2.0), ANOMALOUS, title="", thresholds={"best F1": 2.0})
    figure.draw_without_rendering()
    heights = [max(bar.get_height() for bar in bars) for bars in figure.axes[0].containers]  # type: ignore[attr-defined]
    assert heights == pytest.approx([50, 50])  # one bin of 50 over a range of 1


def test_each_loss_has_a_panel_of_its_own() -> None:
    curves = {f"loss_{n}": [float(n), n / 2, n / 3] for n in range(1, 6)}
    figure = figures.loss_curves(curves, title="")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == [f"loss {n}" for n in range(1, 6)]
    for axes, values in zip(panels, curves.values(), strict=True):
        assert list(axes.lines[0].get_xdata()) == [1, 2, 3]
        assert list(axes.lines[0].get_ydata()) == values


def test_intervals_stand_at_their_bounds() -> None:
    intervals = {"gan": [(0.85, 0.92), (0.7, 0.9)]}
    figure = figures.auroc_by_class({"gan": [0.9, 0.8], "vae": [0.6, 0.7]}, "ab", title="", intervals=intervals)
    (bars,) = [each for each in figure.axes[0].collections if len(each.get_segments()) == 2]  # type: ignore[attr-defined]
    ends = [(segment[0][1], segment[1][1]) for segment in bars.get_segments()]  # type: ignore[attr-defined]
    assert ends == [pytest.approx(bound) for bound in intervals["gan"]]
    assert legend(figure) == ["gan (mean 0.8500)", "vae (mean 0.6500)"]
    assert figure.axes[0].get_ylim()[0] == pytest.approx(0.55)
