"""The results of a sweep: search, confirm and test values with intervals, and the winner compared with others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import fmean

from adcore.metric_names import LABELS, MINIMISED, class_metric, mean_metric
from sweeps.engine.planning.labels import count_of
from sweeps.engine.record.confirmation import Confirmation
from sweeps.engine.results.intervals import Interval, interval, metric_interval, pooled_variance, signed
from sweeps.engine.results.test_result import TestResult

__all__ = ["Comparison", "Summary", "class_intervals", "confirmed_means", "difference", "final_metrics", "summarise"]

#: A difference of AUROC that four decimals do not show.
NOTHING = 0.00005
#: The AUROC of scores that say nothing.
CHANCE = 0.5


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The winner minus another confirmed configuration, mean over classes, same seeds and same test images.

    In a grid, where nothing wins, it is the reverse: another point minus the first. name: of the point that it is, or
    empty. is_reference: whether that is the default or the paper's point.
    """

    configuration: int
    name: str
    difference: Interval
    is_reference: bool = False

    @property
    def in_words(self) -> str:
        """The other configuration, in a sentence."""
        if self.is_reference:
            return f"the {self.name}"
        return f"configuration {self.configuration}{f' ({self.name})' if self.name else ''}"


@dataclasses.dataclass(frozen=True)
class Summary:
    """The metric's mean over the classes of the winner, by stage.

    search: one seed, None if the search's trainings are not the confirmation's; confirm: fresh seeds, on
    validation; test: the same models on the test part, by comparison ("", and "seen" and "unseen" where they differ).
    reference: the name of the winner if it is the default or the paper's point, else empty.
    """

    winner: Confirmation
    search: Interval | None
    confirm: Interval
    test: dict[str, Interval]
    comparisons: list[Comparison]
    metric: str = "auroc"
    reference: str = ""

    @property
    def sentence(self) -> str:
        """Whether anything was found, whether the winner's lead is beyond noise, and its score better than chance."""
        return " ".join(filter(None, [self._found(), self._lead(), self._chance()]))

    def _found(self) -> str:
        is_found = not self.reference or not self.comparisons
        return "" if is_found else f"On validation nothing was confirmed to be better than the {self.reference}."

    def _chance(self) -> str:
        if self.metric != "auroc" or not self.test[""].low <= CHANCE:
            return ""
        return (
            f"The winner itself is not shown to be better than chance, an AUROC of {CHANCE}: more images or --epochs "
            "may help, or another detector (sweeps/tune.py --detector cnn, or autoencoder)."
        )

    def _lead(self) -> str:
        if not self.comparisons:
            return "Nothing was confirmed beside the winner: there is no difference to judge."
        first = self.comparisons[0]
        other = first.in_words
        lead, seeds = first.difference, len(self.winner.by_seed)
        if lead.value == lead.half == 0:
            return f"On the test part the winner and {other} are level: its images do not tell them apart."
        if max(abs(lead.low), abs(lead.high)) < NOTHING:
            return (
                f"On the test part the winner and {other} do not differ: by less than {NOTHING} {LABELS[self.metric]}."
            )
        verdict = "beyond noise" if lead.excludes_zero else "within noise"
        ahead = _lead_in_words(lead, other, self.metric)
        return f"On the test part the winner {ahead}, {count_of(seeds, 'seed')}, the same images): {verdict}."


def summarise(
    confirmed: Sequence[Confirmation],
    test: TestResult,
    names: dict[int, str],
    *,
    point_names: Mapping[int, str] | None = None,
    validation_images: int,
    validation_weights: Sequence[float] | None = None,
    same_training: bool,
    is_grid: bool = False,
) -> Summary:
    """Figures of the winner, the first of `confirmed`, with 95 % intervals.

    names: of the references, by configuration; point_names: of all that are points. validation_images,
    validation_weights: how many there are, and of which kinds, as for TestResult.validation_variance; of each kind they
    are samples of the same population as the test images. same_training: whether the search's trainings were as long
    and as large as the confirmation's. A grid whose default point diverged is not compared.
    """
    winner = confirmed[0]
    comparable = confirmed if not is_grid or winner.number in names else confirmed[:1]
    number = winner.number
    validation = validation_images, validation_weights
    variance, freedom = pooled_variance([each.means for each in confirmed])
    search_interval = None
    if same_training and winner.configuration.mean is not None:
        images = test.validation_variance(number, *validation, of_one=True)
        search_interval = metric_interval([winner.configuration.mean], variance, freedom, images)
    return Summary(
        winner,
        search_interval,
        metric_interval(winner.means, variance, freedom, test.validation_variance(number, *validation)),
        {name: _on_test(confirmed, test, name) for name in test.covariance},
        _comparisons(comparable, test, names, point_names or {}, is_grid=is_grid),
        test.metric,
        "" if is_grid else names.get(number, ""),
    )


def _lead_in_words(difference: Interval, other: str, metric: str) -> str:
    """By how much the winner leads or is behind, and the interval of that; lower is ahead in a minimised metric."""
    value, half = abs(difference.value), difference.half
    low, high = (signed(end).removeprefix("+") for end in (value - half, value + half))
    unit = "" if metric == "auroc" else f" in {LABELS[metric]}"
    if value < NOTHING:
        lead = f"is level with {other}"
    else:
        leads = (difference.value < 0) == (metric in MINIMISED)
        lead = f"{'leads' if leads else 'is behind'} {other} by {value:.4f}{unit}"
    return f"{lead} (95 % interval of the difference {low} to {high}"


def class_intervals(confirmed: Sequence[Confirmation], test: TestResult) -> dict[int, Interval]:
    """The winner's test values by class, over all anomalies; seeds' variance is pooled over the confirmed ones."""
    number, intervals = confirmed[0].number, dict[int, Interval]()
    by_class = [test.by_class(each.number) for each in confirmed]
    if len(by_class[0]) == 1:  # the mean over a single class
        return {index: _on_test(confirmed, test, "") for index in by_class[0]}
    for index, values in by_class[0].items():
        variance, freedom = pooled_variance([each[index] for each in by_class])
        intervals[index] = metric_interval(values, variance, freedom, test.image_variance_of_class(number, index))
    return intervals


def _on_test(confirmed: Sequence[Confirmation], test: TestResult, comparison: str) -> Interval:
    number, metric = confirmed[0].number, test.named(comparison)
    variance, freedom = pooled_variance([test.means(each.number, metric) for each in confirmed])
    return metric_interval(test.means(number, metric), variance, freedom, test.image_variance(comparison, number))


def _comparisons(
    confirmed: Sequence[Confirmation],
    test: TestResult,
    names: Mapping[int, str],
    point_names: Mapping[int, str],
    *,
    is_grid: bool,
) -> list[Comparison]:
    """The first against every other confirmed configuration: the references first."""
    first, *others = (each.number for each in confirmed)
    numbers = [first, *others]
    comparisons: list[Comparison] = []
    for other in others:
        pair = (other, first) if is_grid else (first, other)
        name = names.get(other, point_names.get(other, ""))
        comparisons.append(Comparison(other, name, difference(numbers, test, *pair), other in names))
    return sorted(comparisons, key=lambda each: not each.is_reference)


def difference(configurations: Sequence[int], test: TestResult, first: int, second: int) -> Interval:
    """Mean test value of one configuration minus another's, with the seed variance of all `configurations`.

    At worst, seeds affect two configurations independently: the difference then has twice the variance of one.
    """
    variance, freedom = pooled_variance([test.means(number) for number in configurations])
    differences = [a - b for a, b in zip(test.means(first), test.means(second), strict=True)]
    return interval(differences, 2 * variance, freedom, test.image_variance("", first, minus=second))


def confirmed_means(confirmed: Sequence[Confirmation], test: TestResult) -> dict[int, dict[str, float]]:
    """Means over classes and seeds by configuration, as results.csv names them."""
    return {
        each.number: {
            f"confirm_{test.metric}_mean": each.mean,
            f"test_{test.metric}_mean": fmean(test.means(each.number)),
        }
        for each in confirmed
    }


def final_metrics(summary: Summary, test: TestResult) -> dict[str, float]:
    """The winner's metrics for the sweep's own run, by MLflow name."""
    winner, metric_name = summary.winner, test.metric
    values_by_name = {mean_metric(f"val_{metric_name}"): summary.confirm.value}
    values_by_name |= {class_metric(f"val_{metric_name}", index): value for index, value in winner.by_class().items()}
    metrics = next(iter(next(iter(test.measured.values())).values()))
    for metric in metrics:
        by_class = {index: fmean(values) for index, values in test.by_class(winner.number, metric).items()}
        values_by_name[mean_metric(f"test_{metric}")] = fmean(by_class.values())
        values_by_name |= {class_metric(f"test_{metric}", index): value for index, value in by_class.items()}
    for name, each in summary.test.items():
        ending = f"_{name}" if name else ""
        values_by_name |= {
            f"test_{metric_name}{ending}_mean_low": each.low,
            f"test_{metric_name}{ending}_mean_high": each.high,
        }
    return values_by_name
