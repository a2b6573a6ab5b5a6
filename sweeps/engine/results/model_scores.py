"""The confirmed models' scores on the test part, by training, kept on disk until all are complete."""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from adcore.datasets import ImageDataset, remember
from adcore.errors import UserError
from adcore.files import put_in_place
from adcore.train.build import load_detector
from adcore.train.members import one_configuration
from sweeps.engine.machine.shared_storage import require_visible
from sweeps.engine.machine.workers import on_workers
from sweeps.engine.record.checkpoint_files import differences_to_record, read_model
from sweeps.engine.record.home import SweepHome
from sweeps.engine.remote.local_files import fetch_files, local_home
from sweeps.engine.search.trial import limit_process
from sweeps.engine.storage.errors import storage

if TYPE_CHECKING:
    from adcore.evaluation.test_scores import TestScores
    from sweeps.engine.machine.resources import Resources

__all__ = ["Training", "Trainings", "difference_of", "drop_scores", "score_training", "scored_trainings"]

#: A configuration's number, the classes whose models are scored, and the seed that they were trained with.
Training = tuple[int, tuple[int, ...], int]
#: By training, the validation values of its models that are on record, in the order of its classes.
Trainings = dict[Training, list[float]]


def scored_trainings(
    trainings: Trainings, home: SweepHome, data: ImageDataset, resources: Resources, metric: str = "auroc"
) -> Iterator[tuple[Training, TestScores]]:
    """Each training's scores on the test part `data`: those on disk, then the others as they come, which are stored.

    Raises UserError, also for a model that is not the one on record, and StorageError.
    """
    missing: Trainings = {}
    for training, aurocs in trainings.items():
        scores = _read_scores(home, training, aurocs)
        if scores is None:
            missing[training] = aurocs
        else:
            yield training, scores
    for training, scores in _score_missing(missing, home, data, resources, metric):
        with storage(home.folder):
            _write_scores(home, training, trainings[training], scores)
        yield training, scores


def drop_scores(home: SweepHome) -> None:
    """Delete the scores on disk."""
    shutil.rmtree(home.test_scores, ignore_errors=True)


def difference_of(home: SweepHome, training: Training, values: Sequence[float], metric: str) -> str:
    """Why a checkpoint of a training is not the model with this validation metric; "" if all are."""
    expected = dict(zip(home.checkpoints_of(*training), values, strict=True))
    reasons = differences_to_record(home, expected, metric)
    return next((f"{home.place(path)}: {reason}" for path, reason in reasons.items()), "")


def score_training(
    home: SweepHome,
    training: Training,
    values: Sequence[float],
    data: ImageDataset,
    shares: dict[str, Any],
    metric: str = "auroc",
) -> TestScores:
    """Score the models of a training on the test part; runs on a worker. shares: as for `limit_process`.

    Raises UserError if one is not, on this node, the model with those validation values of the metric.
    """
    from adcore.evaluation.test_scores import score_test
    from adcore.train.build import training_device

    require_visible(home.token)
    limit_process(**shares)
    remember(data.info)
    with local_home(home) as local:
        paths = local.checkpoints_of(*training)
        fetch_files(local, paths)
        local_copy = SweepHome(local.folder)
        # a worker of a lost node may have written to it since
        if reason := difference_of(local_copy, training, values, metric):
            raise UserError(f"{reason}; it was not scored; --resume trains this model again")
        config, detector = load_detector(paths, data.channels)
    return score_test(detector.to(training_device(config.precision)), config, data)


def _score_missing(
    trainings: Trainings, home: SweepHome, data: ImageDataset, resources: Resources, metric: str
) -> Iterator[tuple[Training, TestScores]]:
    if not trainings:
        return
    import ray

    data_reference = (
        ray.put(data) if resources.uses_workers else data
    )  # not before: no trial of search or confirmation can reach it
    shares = resources.shares_beside_training
    calls = {
        training: (home, training, values, data_reference, shares, metric) for training, values in trainings.items()
    }
    yield from on_workers(score_training, calls, resources)


def _path(home: SweepHome, training: Training) -> Path:
    number, classes, seed = training
    return home.test_scores / f"configuration-{number:04d}-seed-{seed}-classes-{'-'.join(map(str, classes))}.npz"


def _read_scores(home: SweepHome, training: Training, expected: Sequence[float]) -> TestScores | None:
    from adcore.evaluation.test_scores import TestScores

    # absent, cut or empty: scored again
    with contextlib.suppress(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        with _path(home, training).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            scores, labels, aurocs = (torch.from_numpy(arrays[name]) for name in ("scores", "labels", "aurocs"))
        if aurocs.tolist() == expected:  # else a model was trained again afterwards
            models = [read_model(home, path) for path in home.checkpoints_of(*training)]
            return TestScores(one_configuration([model.config for model in models]), scores, labels)
    return None


def _write_scores(home: SweepHome, training: Training, aurocs: Sequence[float], scores: TestScores) -> None:
    path = _path(home, training)
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, scores=scores.scores.numpy(), labels=scores.labels.numpy(), aurocs=np.array(aurocs))
    put_in_place(part, path)
