"""The winner's models on single images: thresholds, decisions and figures, for MLflow and the sweep's folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from adcore.datasets import ImageDataset, remember
from adcore.train.build import load_detector
from sweeps.engine.machine.resources import Resources
from sweeps.engine.machine.shared_storage import require_visible
from sweeps.engine.machine.workers import on_workers
from sweeps.engine.record.home import SweepHome
from sweeps.engine.remote.local_files import fetch_files, local_home, upload_files
from sweeps.engine.search.trial import limit_process
from sweeps.engine.storage.errors import storage
from sweeps.engine.tracking.events import Tracking

if TYPE_CHECKING:
    from adcore.evaluation.assessment import Assessment

__all__ = ["assess_models", "inspect_model"]

#: By class: its metrics by name, the names of its figures in the sweep's folder, and what it decides, as inspect_model
#: returns it.
Assessments = dict[int, tuple[dict[str, float], list[str], dict[str, Any]]]


def inspect_model(
    configuration: int,
    classes: Sequence[int],
    seed: int,
    *,
    train: ImageDataset,
    test: ImageDataset,
    tracking: Tracking,
    home: SweepHome,
    resources: Resources,
) -> dict[int, dict[str, Any]]:
    """Assess a configuration's models of the confirmation, and tell MLflow. Raises StorageError.

    Returns by class what the stored threshold decides on the test part: recall, the share of anomalies that it flags,
    and fpr, that of normal images; validation and test: numbers of normal images and anomalies there. Nothing for a
    class with scores that are not finite.
    """
    with storage(home.folder):
        call = home, (configuration, tuple(classes), seed), train, test, resources.shares_beside_training
        [(_, assessments)] = on_workers(assess_models, {configuration: call}, resources)
    for index, (metrics, names, _) in assessments.items():
        files = [home.folder / name for name in names]
        fetch_files(home, files)
        tracking.log_assessment("confirm", configuration, seed, index, metrics, files)
    return {index: decided for index, (_, _, decided) in assessments.items() if decided}


def assess_models(
    home: SweepHome,
    training: tuple[int, tuple[int, ...], int],
    train: ImageDataset,
    test: ImageDataset,
    shares: dict[str, Any],
) -> Assessments:
    """Assess the models of a training and draw their figures. Runs on a worker.

    Raises OSError if a file cannot be written, StorageError for the store.
    """
    from adcore.evaluation.assessment import assess
    from adcore.evaluation.assessment_figures import write_figures
    from adcore.train import checkpoints
    from adcore.train.build import training_device
    from adcore.train.reports import history_of

    require_visible(home.token)
    limit_process(**shares)
    remember(train.info)
    assessments: Assessments = {}
    with local_home(home) as local:
        paths = local.checkpoints_of(*training)
        fetch_files(local, paths)
        config, detector = load_detector(paths, test.channels)
        detector.to(training_device(config.precision))
        history = history_of([state for path in paths for state in checkpoints.read(path)])
        for index, assessment in assess(detector, config, train, test).items():
            files = write_figures(local.figures / f"class-{index}", assessment, detector, test, history)
            assessments[index] = assessment.metrics(), upload_files(local, files), _decided(assessment)
    return assessments


def _decided(assessment: Assessment) -> dict[str, Any]:
    from adcore.thresholds import BEST_F1  # loads scikit-learn

    if not (kept := assessment.decisions.get(BEST_F1)):
        return {}
    counts = {"validation": assessment.validated_on, "test": assessment.tested_on}
    return {name: kept.figures[name] for name in ("recall", "fpr")} | counts
