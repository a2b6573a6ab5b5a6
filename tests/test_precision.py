"""Floating-point precision: mixed precision on a CPU, as --precision bf16-mixed trains it."""

from __future__ import annotations

import pytest
import torch

from adcore.datasets import ImageDataset
from adcore.train import train
from tests.detector_runs import config, ignore
from tests.train_runs import comparable


@pytest.mark.parametrize("name", ["gan", "vae", "cnn", "deep-svdd"])
def test_mixed_precision_rounds_within_the_networks_and_nowhere_else(name: str, digits_train: ImageDataset) -> None:
    settings = {"classes": (3,), "epochs": 1}
    full = train(config(name, **settings), ignore, data=digits_train)
    mixed = train(config(name, **settings, precision="bf16-mixed"), ignore, data=digits_train)
    assert mixed.state == "complete"
    [ours], [theirs] = comparable(mixed.history), comparable(full.history)
    losses = [key for key in theirs if key.startswith("loss_")]
    assert losses
    assert [ours[key] for key in losses] == pytest.approx([theirs[key] for key in losses], rel=0.1)
    assert any(ours[key] != theirs[key] for key in losses), "as precise as in float32"
    assert {value.dtype for value in mixed.detector.state_dict().values() if value.is_floating_point()} == {
        torch.float32
    }
    images = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert mixed.detector.score(images).dtype == torch.float32
