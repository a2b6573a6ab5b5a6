"""report.html: one file that can be mailed. It is made of the record and the files in the sweep's folder."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from adcore.datasets import describe
from adcore.errors import UserError
from adcore.files import write_whole
from adcore.metric_names import LABELS
from sweeps.engine.planning.labels import class_label
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.progress import is_being_extended
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.report import figures
from sweeps.engine.report.content import content
from sweeps.engine.report.importances import importances, spread_in_words, too_few
from sweeps.engine.report.inline import data_uri, inline_svg
from sweeps.engine.report.search import cost_table, history, ladder_table, saving
from sweeps.engine.report.table import Table, number
from sweeps.engine.results.commands import commands_of_record, report_command
from sweeps.engine.storage.errors import one_line

__all__ = ["try_report", "write_report"]

#: The winner's pictures on disk, by file name, and what they show.
PICTURES = {
    "reconstructions": "inputs, reconstructions and errors of test images",
    "scored_images": "the test images that are scored best and worst",
    "score_densities": "densities of the scores of normal images and anomalies, with thresholds",
    "roc": "ROC curve with thresholds",
    "confusion_matrix": "decisions at the threshold of best F1",
    "loss_curves": "losses over the epochs",
}
#: Classes whose pictures are embedded, at most: those with the lowest AUROC.
MOST_CLASSES = 10


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image of the page; wide: one that is scrolled on a narrow screen."""

    address: str
    text: str
    wide: bool


@dataclasses.dataclass(frozen=True)
class ClassPictures:
    """The pictures of one class, with its name and its test AUROC."""

    name: str
    auroc: float
    pictures: list[Picture]


def try_report(home: SweepHome, record: SweepRecord) -> list[Path]:
    """Write the report; its path, or nothing if that failed or was interrupted, which one line reports."""
    try:
        return [write_report(home, record)]
    except (Exception, KeyboardInterrupt) as error:  # the sweep is complete: no fault of its report may change that
        print(f"no report was written ({one_line(error)}); try again with: {report_command(home)}", file=sys.stderr)
        return []


def write_report(home: SweepHome, record: SweepRecord) -> Path:
    """Write the report of a finished sweep, and return its path.

    Raises UserError if a file that it is made of is missing or damaged, or of before an extension that has not ended;
    OSError if it cannot be written.
    """
    if is_being_extended(record.all()):
        raise UserError(f"{home.results}: of before --extend, which has not finished; --resume {home.name}")
    try:
        results = json.loads(home.results.read_text())
    except FileNotFoundError:
        raise UserError(f"{home.results}: no such file; the sweep has not finished, --resume {home.name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{home.results}: not the results of a sweep ({error}); --resume {home.name}") from error
    try:
        text = _render(home, record, results)
    except (LookupError, TypeError) as error:
        raise UserError(f"{home.results}: lacks what this version writes ({error}); --resume {home.name}") from error
    # ASCII is read alike whatever encoding a mail program or a locale assumes
    return write_whole(home.report, text.encode("ascii", "xmlcharrefreplace").decode())


def _render(home: SweepHome, record: SweepRecord, results: Mapping[str, Any]) -> str:
    class_records = list(map(record.of_class, record.plan.classes)) if "per_class" in results else []
    shown, metric = content(record, results, home.name), LABELS[record.plan.metric]
    with figures.styled():
        values = {
            "content": shown,
            "search": None if record.plan.space.is_grid else _search(record),
            "differences": _interval_figure("differences", shown.differences, shown.differences_label, zero=True),
            "classes": _interval_figure("classes", shown.class_intervals, f"test {metric}"),
            "metric": metric,
            "cost": cost_table(record, class_records, results["seconds"]),
            "pictures": _pictures(home, record, results),
            "commands": commands_of_record(record, home, results["winner"]["configuration"]),
            "codes": [str(code) for code in record.codes],
        }
    environment = Environment(
        loader=PackageLoader("sweeps.engine.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("report.html").render(values)


def _search(record: SweepRecord) -> dict[str, Any]:
    """Figures and tables of the search; the figures need a configuration that has a value."""
    points, distributions, metric = history(record), record.plan.space.distributions(), LABELS[record.plan.metric]
    summary: dict[str, Any] = {"ladder": ladder_table(record), "saving": saving(record), "too_few": too_few(points)}
    names = "history", "parallel", "importances", "directions", "spread"
    drawn: dict[str, Any] = {"slices": [], **dict.fromkeys(names)}
    if points:
        label = f"mean {metric} of {len(points)} configurations in the order of their proposal, and the best so far"
        drawn["history"] = inline_svg(figures.draw_history(points, metric), "history", label)
        drawn["slices"] = [
            inline_svg(
                figures.draw_slice(name, points, distribution, metric), f"slice-{place}", f"mean {metric} over {name}"
            )
            for place, (name, distribution) in enumerate(distributions.items())
        ]
        label = f"a line per configuration through its parameters, coloured by mean {metric}"
        drawn["parallel"] = inline_svg(figures.draw_parallel(points, distributions, metric), "parallel", label)
    if not summary["too_few"]:
        drawn["spread"] = spread_in_words(points, metric)
        ranked = importances(points, distributions)
        drawn["importances"] = inline_svg(
            figures.draw_importances(ranked), "importances", "importance of each parameter, with its spread"
        )
        rows = [
            [importance.name, f"{importance.mean:.2f}",
             f"{min(importance.by_seed):.2f} to {max(importance.by_seed):.2f}",
             number(None) if importance.correlation is None else f"{importance.correlation:+.2f}"]
            for importance in ranked
        ]  # fmt: skip
        columns = ("parameter", "importance", "over the evaluator's seeds", f"rank correlation with {metric}")
        drawn["directions"] = Table("which parameters matter", columns, rows)
    return summary | drawn


def _interval_figure(
    name: str, intervals: Mapping[str, tuple[float, float, float]], label: str, *, zero: bool = False
) -> Markup | None:
    if not intervals:
        return None
    drawn = figures.draw_intervals(list(intervals), list(intervals.values()), label=label, zero=zero)
    return inline_svg(drawn, name, f"{label}, with 95 % intervals")


def _pictures(home: SweepHome, record: SweepRecord, results: Mapping[str, Any]) -> list[ClassPictures]:
    """What the sweep has drawn of the winner's models, the class with the lowest test AUROC first."""
    names = describe(record.plan.base.dataset).class_names
    aurocs = {int(index): sum(values) / len(values) for index, values in results["test_by_class"]["auroc"].items()}
    by_class: list[ClassPictures] = []
    for index in sorted(aurocs, key=lambda index: (aurocs[index], index))[:MOST_CLASSES]:
        pictures: list[Picture] = []
        for stem, text in PICTURES.items():
            path = home.figures / f"class-{index}" / f"{stem}.png"
            if path.exists():
                wide = stem in ("reconstructions", "scored_images")
                pictures.append(Picture(_address(path), f"{names[index]}: {text}", wide))
        if pictures:
            by_class.append(ClassPictures(class_label(names, index), aurocs[index], pictures))
    return by_class


def _address(path: Path) -> str:
    try:
        return data_uri(path)
    except (OSError, SyntaxError) as error:  # what Pillow raises for a damaged file
        raise UserError(f"{path}: not a readable picture ({error}); move it away") from error
