"""`python -m adcore.train`: one training run on the command line, without Ray or MLflow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adcore.command_line import dataclass_flags, run
from adcore.config import TrainConfig
from adcore.errors import UserError
from adcore.files import check_local, check_writable
from adcore.metric_names import by_class, mean_metric
from adcore.protocols.definitions import HELD_OUT
from adcore.system.backend import FILES_ALONE
from adcore.system.cpus import PATIENT_THREADS, allotted_cpus

if TYPE_CHECKING:
    from adcore.datasets import ImageDataset
    from adcore.evaluation.assessment import Decisions
    from adcore.train import TrainResult

__all__ = ["main"]

_HELP = """Train one configuration and print validation AUROC after each epoch.

Every flag is a setting of the run; the same settings give the same numbers."""

_FLAGS = (
    click.Option(["--data-dir"], help="folder with the data set's files; no other place is searched"),
    click.Option(["--allow-unverified-data"], is_flag=True, help="accept files of --data-dir with a wrong checksum"),
    click.Option(["--checkpoint"], help="save to this file after each epoch, and resume from it if it exists"),
    click.Option(["--test"], is_flag=True, help="score the test part at the end; do it once, for the final model"),
    click.Option(["--figures"], metavar="DIR", help="with --test: write each class's figures to DIR, print decisions"),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse argv, train, print. Exits with 0, with 1 for a run that diverged, with 2 for bad input."""
    run("python -m adcore.train", _HELP, [*dataclass_flags(TrainConfig), *_FLAGS], _train, argv)


def _train(
    data_dir: str | None = None,
    checkpoint: str | None = None,
    allow_unverified_data: bool = False,
    test: bool = False,
    figures: str | None = None,
    **settings: Any,
) -> int:
    config = TrainConfig(**settings)
    if figures is not None and not test:
        raise UserError(f"--figures {figures!r}: figures need the test part; add --test, or leave --figures out")
    for flag, place in (("--checkpoint", checkpoint), ("--figures", figures)):
        check_local(place or "", flag)
    if checkpoint:
        _check_file(Path(checkpoint))
    if figures is not None:
        check_writable(Path(figures), f"--figures {figures!r}")
    os.environ.update(FILES_ALONE)
    for name, value in PATIENT_THREADS.items():
        os.environ.setdefault(name, value)
    import torch

    from adcore.datasets.fetch_display import fetch_progress
    from adcore.evaluation.test_scores import score_test
    from adcore.protocols.held_out import load_part
    from adcore.train import train
    from adcore.train.checkpoints import Checkpoints
    from adcore.train.progress import epoch_bar

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(allotted_cpus())
    source: dict[str, Any] = {"data_dir": data_dir, "allow_unverified": allow_unverified_data}
    source["image_size"] = config.image_size
    with fetch_progress() as source["progress"]:
        data = load_part(config.dataset, "train", config.protocol, **source)
        # before training, which a missing file would waste
        test_part = load_part(config.dataset, "test", config.protocol, **source) if test else None
    _check_data(config, data, test_part, figures)
    checkpoints = Checkpoints(Path(checkpoint), every=0) if checkpoint else None
    with epoch_bar(config.epochs) as (on_step, show):
        result = train(
            config, lambda epoch: show(_epoch_line(epoch)), data=data, checkpoints=checkpoints, on_step=on_step
        )
    if result.state == "diverged":
        click.echo("diverged: a loss became NaN or infinite; try a lower --learning-rate", err=True)
        return 1
    if test_part is not None:
        if figures is not None:
            _assess(Path(figures), result, config, data, test_part)
        else:
            _print_test(score_test(result.detector, config, test_part).measured())
    return 0


def _check_data(config: TrainConfig, data: ImageDataset, test_part: ImageDataset | None, figures: str | None) -> None:
    """Print notes on data of one's own. Raises UserError for a test part or figures that need images they lack."""
    from adcore.evaluation.test_scores import require_every_kind

    for note in (note for part in (data, test_part) if part for note in part.notes):
        click.echo(note, err=True)
    if test_part is not None:
        require_every_kind(config, test_part.labels)
    if figures is not None and not data.info.has_anomalies and config.protocol != HELD_OUT:
        raise UserError(
            f"--figures {figures!r}: decisions need a threshold from validation anomalies, and the train part of "
            f"{data.name} has none; leave --figures out"
        )


def _assess(
    folder: Path, result: TrainResult, config: TrainConfig, data: ImageDataset, test_part: ImageDataset
) -> None:
    """Print what --test prints, then each experiment's decisions; write the figures, each class's in its own folder."""
    from adcore.evaluation.assessment import BEST_F1, assess
    from adcore.evaluation.assessment_figures import write_auroc_by_class, write_figures

    found = assess(result.detector, config, data, test_part)
    _print_test({index: each.measured for index, each in found.items()})
    for index, each in found.items():
        share = float(each.anomalous.float().mean())
        flagging_all = f"flagging everything: accuracy {share:.4f}  F1 {2 * share / (1 + share):.4f}"
        click.echo(f"class {index}, {BEST_F1}: {_decisions_line(each.decisions.get(BEST_F1))} ({flagging_all})")
    try:
        written = write_auroc_by_class(folder, found)
        for index, each in found.items():
            written += write_figures(folder / f"class-{index}", each, result.detector, test_part, result.history)
    except OSError as error:
        raise UserError(f"--figures {str(folder)!r}: cannot be written ({error.strerror})") from error
    click.echo(f"{len(written)} figures in {folder}")


def _decisions_line(decisions: Decisions | None) -> str:
    if decisions is None:
        return "no decisions, because scores are not finite"
    named = {"threshold": f"{decisions.threshold:.4g}"} | {k: f"{v:.4f}" for k, v in decisions.figures.items()}
    return "  ".join(f"{name} {value}" for name, value in named.items()).replace("f1 ", "F1 ")


def _print_test(measured: dict[int, dict[str, float]]) -> None:
    """One line per metric: mean over the experiments, then each experiment's value."""
    for name in next(iter(measured.values())):
        values = [each[name] for each in measured.values()]
        label = name.replace("auroc", "AUROC")
        click.echo(f"test {label} {sum(values) / len(values):.4f} | {_by_class(measured, values)}")


def _check_file(path: Path) -> None:
    flag = f"--checkpoint {str(path)!r}"
    try:
        is_taken = path.is_symlink() or (path.exists() and not path.is_file())
    except OSError as error:  # too long a name, or a folder that may not be entered
        raise UserError(f"{flag}: cannot be written ({error.strerror})") from error
    if is_taken:
        raise UserError(f"{flag}: expected a file, or an unused name")
    check_writable(path.parent, flag)


def _epoch_line(metrics: dict[str, float]) -> str:
    name, label = "val_auroc", "val AUROC"
    if mean_metric(name) not in metrics:
        name, label = "val_normal_score", "mean score of normal validation images"
    own = by_class(metrics, name)
    speed = f"{metrics['images_per_second']:.0f} images/s"
    mean = metrics[mean_metric(name)]
    return f"epoch {metrics['epoch']:.0f}  {label} {mean:.4f} | {_by_class(own, own.values())} | {speed}"


def _by_class(classes: Any, values: Any) -> str:
    return "  ".join(f"{index}: {value:.4f}" for index, value in zip(classes, values, strict=True))


if __name__ == "__main__":
    main()
