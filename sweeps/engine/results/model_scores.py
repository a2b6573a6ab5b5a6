"""The confirmed models' scores of the test part, training by training, kept on disk until all are there."""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from adcore.datasets import ImageDataset
from adcore.files import put_in_place
from adcore.system.imports import large_imports
from adcore.train import checkpoints
from adcore.train.build import load_detector
from adcore.train.member_state import MemberState
from adcore.train.members import one_configuration
from sweeps.engine.machine.storage import storage
from sweeps.engine.machine.workers import on_workers
from sweeps.engine.search.trial import checkpoint_paths, use_no_more

if TYPE_CHECKING:
    from adcore.evaluation.test_scores import TestScores
    from sweeps.engine.machine.cluster import Resources

__all__ = ["Training", "drop_scores", "score_training", "scored_trainings"]

#: A configuration's number, the classes whose models are scored, and the seed that they were trained with.
Training = tuple[int, tuple[int, ...], int]


def scored_trainings(
    trainings: Sequence[Training], home: Path, data: ImageDataset, room: Resources
) -> Iterator[tuple[Training, TestScores]]:
    """Each training's scores of the test part `data`: those on disk, then the others as they come, written there.

    Raises UserError, and StorageError.
    """
    missing: list[Training] = []
    for training in trainings:
        scores = _stored(home, training)
        if scores is None:
            missing.append(training)
        else:
            yield training, scores
    for training, scores in _newly_scored(missing, home, data, room):
        with storage(home):
            _store(home, training, scores)
        yield training, scores


def drop_scores(home: Path) -> None:
    """Forget what is on disk."""
    shutil.rmtree(_folder(home), ignore_errors=True)


def score_training(home: str, training: Training, data: ImageDataset, shares: dict[str, Any]) -> TestScores:
    """The models of a training on the test part; what a worker runs. shares: as for `use_no_more`."""
    with large_imports():
        from adcore.evaluation.test_scores import score_test
        from adcore.train.build import training_device

    use_no_more(**shares)
    number, classes, seed = training
    config, detector = load_detector(checkpoint_paths(home, number, classes, seed), data.channels)
    return score_test(detector.to(training_device()), config, data)


def _newly_scored(
    trainings: Sequence[Training], home: Path, data: ImageDataset, room: Resources
) -> Iterator[tuple[Training, TestScores]]:
    if not trainings:
        return
    import ray

    stored = ray.put(data) if room.workers else data  # not before: no trial of search or confirmation can reach it
    yield from on_workers(score_training, {each: (str(home), each, stored, room.shares) for each in trainings}, room)


def _folder(home: Path) -> Path:
    return home / "test-scores"


def _path(home: Path, training: Training) -> Path:
    number, classes, seed = training
    return _folder(home) / f"configuration-{number:04d}-seed-{seed}-classes-{'-'.join(map(str, classes))}.npz"


def _stored(home: Path, training: Training) -> TestScores | None:
    from adcore.evaluation.test_scores import TestScores

    # absent, cut or empty: scored again
    with contextlib.suppress(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        with _path(home, training).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            scores, labels, aurocs = (torch.from_numpy(arrays[name]) for name in ("scores", "labels", "aurocs"))
        states = _models(home, training)
        if aurocs.tolist() == _aurocs(states):  # else a model was trained again since
            return TestScores(one_configuration([state.config for state in states]), scores, labels)
    return None


def _models(home: Path, training: Training) -> list[MemberState]:
    number, classes, seed = training
    return [checkpoints.read(path, mapped=True)[0] for path in checkpoint_paths(home, number, classes, seed)]


def _aurocs(states: Sequence[MemberState]) -> list[float]:
    """What tells models apart: their last validation AUROCs."""
    return [state.history[-1]["val_auroc"] for state in states]


def _store(home: Path, training: Training, scores: TestScores) -> None:
    path = _path(home, training)
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file, scores=scores.scores.numpy(), labels=scores.labels.numpy(), aurocs=_aurocs(_models(home, training))
        )
    put_in_place(part, path)
