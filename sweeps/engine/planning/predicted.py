"""Predict the mean over all classes of configurations that stopped on some, to compare them with complete ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["predicted_means"]

#: Rounds of fitting the effects in turn; they converge long before.
ROUNDS = 30


def predicted_means(curves: Sequence[Mapping[int, Sequence[float]]], classes: int, epochs: int) -> list[float | None]:
    """Each configuration's mean over all classes after the last epoch; None for one that has no finite value.

    curves: of each configuration, the metric's values by class (0 to classes - 1) and epoch. A complete one has its own
    mean. For the others, the value in a class after an epoch is modelled as the sum of an effect of the configuration
    and one of the class and epoch, fitted by alternating least squares; classes that no configuration has finished
    count like the average of those that some have.
    """
    if not curves:
        return []
    values = np.full((len(curves), classes, epochs), np.nan)
    for row, by_class in zip(values, curves, strict=True):
        for index, epoch_values in by_class.items():
            row[index, : len(epoch_values)] = epoch_values[:epochs]
    values[~np.isfinite(values)] = np.nan
    effects = _class_effects(values.reshape(len(curves), -1)).reshape(classes, epochs)
    offset = float(np.nanmean(effects[:, -1])) if np.isfinite(effects[:, -1]).any() else 0.0
    return _predictions(values, effects, offset)


def _class_effects(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The effect of each class and epoch, NaN without a value. values: [configurations, classes x epochs]."""
    seen = np.isfinite(values)
    filled, rows, columns = np.where(seen, values, 0.0), seen.sum(axis=1), seen.sum(axis=0)
    effects = np.zeros(values.shape[1])
    for _ in range(ROUNDS):
        configuration_effects = ((filled - effects) * seen).sum(axis=1) / np.maximum(rows, 1)
        effects = ((filled - configuration_effects[:, None]) * seen).sum(axis=0) / np.maximum(columns, 1)
    return np.where(columns > 0, effects, np.nan)


def _predictions(values: NDArray[np.float64], effects: NDArray[np.float64], offset: float) -> list[float | None]:
    """values: [configurations, classes, epochs]; of each class, its value after the last trained epoch counts."""
    seen = np.isfinite(values)
    trained = np.any(seen, axis=2)  # [configurations, classes]
    is_complete = np.all(seen[:, :, -1], axis=1)  # [configurations]
    last = values.shape[2] - 1 - seen[:, :, ::-1].argmax(axis=2)
    values_there = np.take_along_axis(values, last[:, :, None], axis=2)[:, :, 0]
    above = values_there - np.take_along_axis(effects, last.T, axis=1).T
    means = np.full(len(values), np.nan)
    means[is_complete] = values[is_complete, :, -1].mean(axis=1)
    numbers = np.where(is_complete, 0, trained.sum(axis=1))
    for number in set(numbers.tolist()) - {0}:  # those with equally many classes at once
        rows = numbers == number
        means[rows] = above[rows][trained[rows]].reshape(-1, number).mean(axis=1) + offset
    return [None if math.isnan(mean) else mean for mean in means.tolist()]
