"""The command that scores images, apart from how it is told which models: shared with the scripts of the sweeps."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adcore.errors import UserError
from adcore.files import check_local, check_writable, is_folder, status_of, write_whole
from adcore.predict.images import find_files
from adcore.system.backend import FILES_ALONE
from adcore.system.cpus import PATIENT_THREADS, allotted_cpus

if TYPE_CHECKING:
    from adcore.predict.decisions import Rule
    from adcore.predict.models import Model
    from adcore.predict.scoring import Scored

__all__ = ["CLASS", "MODEL", "SHARED", "Request", "predict"]

#: Of a score in the table: those that tell any two float32 numbers apart.
DIGITS = 9
MODEL = click.Option(
    ["--model"],
    multiple=True,
    metavar="FILE|FOLDER",
    help="a checkpoint of adcore.train or of a sweep, or a folder of them; given several times, the models of one "
    "experiment with several training seeds: an image's score is their mean",
)
CLASS = click.Option(
    ["--class", "chosen"], metavar="INDEX|NAME", help="which experiment's models to use, if there are several"
)
#: What images to score and what to write, for any model.
SHARED = (
    click.Argument(["places"], nargs=-1, metavar="IMAGES_OR_FOLDERS"),
    click.Option(["--csv", "table"], metavar="FILE", help="write the table to this file [default: standard output]"),
    click.Option(["--heatmaps"], metavar="DIR", help="write each image's map of reconstruction errors to this folder"),
    click.Option(
        ["--threshold"], type=click.FLOAT, help="score from which an image is anomalous [default: the model's]"
    ),
    click.Option(
        ["--false-positive-rate"],
        type=click.FLOAT,
        metavar="SHARE",
        help="in place of the model's threshold, the one that flags at most this share of normal validation images",
    ),
    click.Option(["--onnx"], metavar="FILE", help="write the scoring network to this file; no images are needed"),
    click.Option(["--batch-size"], type=click.IntRange(min=1), help="images scored at a time [default: 500]"),
)


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked for on the command line; raises UserError for what can be refused before torch is loaded.

    places: images, arrays and folders. chosen: the class, by index or name, None for the only one. table: the CSV file.
    onnx: the file for the scoring network. false_positive_rate: sets the threshold, too; one of both.
    """

    places: tuple[str, ...] = ()
    chosen: str | None = None
    table: str | None = None
    heatmaps: str | None = None
    onnx: str | None = None
    threshold: float | None = None
    false_positive_rate: float | None = None
    batch_size: int = 500

    def __post_init__(self) -> None:
        if not self.places and self.onnx is None:
            raise UserError("no images: name image files, .npy or .npz files, or folders of them")
        self._check_threshold()
        for flag, place in (("--csv", self.table), ("--heatmaps", self.heatmaps), ("--onnx", self.onnx)):
            check_local(place or "", flag)
            if not self.places and place is not None and flag != "--onnx":
                raise UserError(f"{flag} {place!r}: no images to score; name some")
        for flag, file in (("--csv", self.table), ("--onnx", self.onnx)):
            if file is not None and is_folder(Path(file), f"{flag} {file!r}"):
                raise UserError(f"{flag} {file!r}: a folder, expected a file")
            if file is not None:
                check_writable(Path(file).parent, f"{flag} {file!r}")
        if self.heatmaps is not None:
            check_writable(Path(self.heatmaps) / "x", f"--heatmaps {self.heatmaps!r}")

    def _check_threshold(self) -> None:
        threshold, rate = self.threshold, self.false_positive_rate
        if threshold is not None and not math.isfinite(threshold):
            raise UserError(f"--threshold {threshold}: expected a finite number")
        if rate is not None and not 0 <= rate < 1:
            raise UserError(f"--false-positive-rate {rate:g}: expected a share from 0 to below 1, such as 0.05")
        if threshold is not None and rate is not None:
            raise UserError("--threshold and --false-positive-rate: both set the threshold; give one of them")


def predict(models: Sequence[Path], request: Request, source: str = "--model") -> int:
    """Score images with the models in checkpoint files and write what was asked for.

    Returns the exit code: 1 if an image cannot be read; the others are scored all the same. source: where the models
    come from, for messages. Raises UserError for models that cannot be used.
    """
    for path in models:
        if status_of(path, named := f"{source} {str(path)!r}") is None:
            raise UserError(f"{named}: no such file or folder")
    files = find_files(request.places)
    prepare_process()
    from adcore.predict.decisions import Rule
    from adcore.predict.models import load_model, read_states

    states = read_states(models)
    if request.onnx is not None:
        from adcore.predict.onnx_export import check_exported

        check_exported(states[0].config.detector)
    model = load_model(states, request.chosen, source, request.false_positive_rate)
    if request.heatmaps is not None:
        from adcore.predict.heatmaps import check_reconstructs

        check_reconstructs(model.config.detector)
    if request.threshold is not None:
        model = dataclasses.replace(model, rule=Rule(request.threshold, "given"))
    click.echo(f"{model.title}; {_in_words(model.rule)}", err=True)
    code = _score(model, files, request) if files else 0
    if request.onnx is not None:
        from adcore.predict.onnx_export import export

        export(model, Path(request.onnx))
    return code


def _score(model: Model, files: Sequence[Path], request: Request) -> int:
    """Score the images and write table and heatmaps; returns the exit code."""
    from adcore.predict.scoring import score_files

    heatmaps = Path(request.heatmaps) if request.heatmaps is not None else None
    others = _file_names(heatmaps) if heatmaps else set()
    scored, unreadable = score_files(model, files, batch_size=request.batch_size, heatmaps=heatmaps)
    _write_table(request.table, scored, model.threshold)
    for line in unreadable:
        click.echo(line, err=True)
    if others := others - {Path(image.heatmap).name for image in scored if image.heatmap}:
        click.echo(f"--heatmaps {request.heatmaps!r}: holds {len(others)} other files, not of this run", err=True)
    if unreadable:
        click.echo(f"{len(unreadable)} not read, {len(scored)} images scored", err=True)
    return 1 if unreadable else 0


def _file_names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir() if path.is_file()}
    except OSError:  # it is not there yet, or cannot be read
        return set()


def prepare_process() -> None:
    """Set threads and matplotlib's backend; call before torch is imported."""
    os.environ.update(FILES_ALONE)
    for name, value in PATIENT_THREADS.items():
        os.environ.setdefault(name, value)
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(allotted_cpus())


def _in_words(rule: Rule) -> str:
    """How it is decided which images are anomalous."""
    if rule.threshold is None:
        return "no decisions, because the model has no threshold: an earlier version wrote it; --threshold sets one"
    decided = f"anomalous from {rule.threshold:.6g} on"
    if not rule.validation:
        return decided
    return f"{decided} ({rule.name} on {rule.validation}; --threshold or --false-positive-rate sets another)"


def _write_table(place: str | None, scored: Sequence[Scored], threshold: float | None) -> None:
    """Write the CSV table to a file or to standard output. Raises UserError if the file cannot be written."""
    from adcore.thresholds import decision

    text = io.StringIO()
    has_heatmaps = any(image.heatmap for image in scored)
    columns = ["image", "score", "decision", *(["heatmap"] if has_heatmaps else [])]
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for image in scored:
        score = float(f"{image.score:.{DIGITS}g}")
        row: dict[str, Any] = {"image": _text(image.name), "score": score, "heatmap": _text(image.heatmap)}
        writer.writerow(row | {"decision": decision(image.score, threshold)})
    if place is None:
        click.echo(text.getvalue(), nl=False)
        return
    try:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        write_whole(Path(place), text.getvalue())
    except OSError as error:
        raise UserError(f"--csv {place!r}: cannot be written ({error.strerror})") from error


def _text(name: str) -> str:
    """A file's name as text: bytes that are not UTF-8 are shown by their numbers."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
