"""Experiments side by side or one by one: the same configuration gets the same AUROC for each class."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from tests.e2e.kill_loop import KillLoop

#: Runs of the default configuration's confirmation, by class.
RUNS = [f"confirm/0/1/{index}" for index in (0, 6)]


@pytest.mark.parametrize("key", RUNS)
def test_members_of_a_pack_score_as_single_trainings(loop: KillLoop, key: str) -> None:
    together, alone = (_aurocs(loop.reference(kind)[0], key) for kind in (0, 1))
    assert list(together) == list(alone) == [1, 2, 3, 4]
    # An AUROC counts pairs, here 25 normal images x 224 others: a change of the last digit of a score moves it by one
    # pair or two.
    assert list(together.values()) == pytest.approx(list(alone.values()), abs=4 / (25 * 224))


def _aurocs(outcome: dict[str, Any], key: str) -> dict[int, float]:
    """Validation AUROC after each epoch."""
    metrics = dict(ast.literal_eval(outcome["mlflow"][key]["metrics"]))
    return dict(metrics["val_auroc"])
