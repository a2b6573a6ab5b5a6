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
from adcore.files import put_in_place
from adcore.train import checkpoints
from adcore.train.build import load_detector
from adcore.train.member_state import MemberState
from adcore.train.members import one_configuration
from sweeps.engine.machine.shared_storage import require_seen
from sweeps.engine.machine.storage import storage
from sweeps.engine.machine.workers import on_workers
from sweeps.engine.record.home import SweepHome
from sweeps.engine.search.trial import limit_process

if TYPE_CHECKING:
    from adcore.evaluation.test_scores import TestScores
    from sweeps.engine.machine.resources import Resources

__all__ = ["Training", "drop_scores", "score_training", "scored_trainings"]

#: A configuration's number, the classes whose models are scored, and the seed that they were trained with.
Training = tuple[int, tuple[int, ...], int]


def scored_trainings(
    trainings: Sequence[Training], home: SweepHome, data: ImageDataset, resources: Resources
) -> Iterator[tuple[Training, TestScores]]:
    """Each training's scores on the test part `data`: those on disk, then the others as they come, which are stored.

    Raises UserError, and StorageError.
    """
    missing: list[Training] = []
    for training in trainings:
        scores = _stored(home, training)
        if scores is None:
            missing.append(training)
        else:
            yield training, scores
    for training, scores in _newly_scored(missing, home, data, resources):
        with storage(home.folder):
            _store(home, training, scores)
        yield training, scores


def drop_scores(home: SweepHome) -> None:
    """Delete the scores on disk."""
    shutil.rmtree(home.test_scores, ignore_errors=True)


def score_training(home: SweepHome, training: Training, data: ImageDataset, shares: dict[str, Any]) -> TestScores:
    """Score the models of a training on the test part; runs on a worker. shares: as for `limit_process`."""
    from adcore.evaluation.test_scores import score_test
    from adcore.train.build import training_device

    require_seen(home.token)
    limit_process(**shares)
    remember(data.info)
    number, classes, seed = training
    config, detector = load_detector(home.checkpoints_of(number, classes, seed), data.channels)
    return score_test(detector.to(training_device()), config, data)


def _newly_scored(
    trainings: Sequence[Training], home: SweepHome, data: ImageDataset, resources: Resources
) -> Iterator[tuple[Training, TestScores]]:
    if not trainings:
        return
    import ray

    stored = ray.put(data) if resources.workers else data  # not before: no trial of search or confirmation can reach it
    yield from on_workers(
        score_training, {each: (home, each, stored, resources.shares_beside_training) for each in trainings}, resources
    )


def _path(home: SweepHome, training: Training) -> Path:
    number, classes, seed = training
    return home.test_scores / f"configuration-{number:04d}-seed-{seed}-classes-{'-'.join(map(str, classes))}.npz"


def _stored(home: SweepHome, training: Training) -> TestScores | None:
    from adcore.evaluation.test_scores import TestScores

    # absent, cut or empty: scored again
    with contextlib.suppress(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        with _path(home, training).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            scores, labels, aurocs = (torch.from_numpy(arrays[name]) for name in ("scores", "labels", "aurocs"))
        states = _models(home, training)
        if aurocs.tolist() == _aurocs(states):  # else a model was trained again afterwards
            return TestScores(one_configuration([state.config for state in states]), scores, labels)
    return None


def _models(home: SweepHome, training: Training) -> list[MemberState]:
    number, classes, seed = training
    return [checkpoints.read(path, mapped=True)[0] for path in home.checkpoints_of(number, classes, seed)]


def _aurocs(states: Sequence[MemberState]) -> list[float]:
    """The models' last validation AUROCs, which tell them apart."""
    return [state.history[-1]["val_auroc"] for state in states]


def _store(home: SweepHome, training: Training, scores: TestScores) -> None:
    path = _path(home, training)
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file, scores=scores.scores.numpy(), labels=scores.labels.numpy(), aurocs=_aurocs(_models(home, training))
        )
    put_in_place(part, path)
