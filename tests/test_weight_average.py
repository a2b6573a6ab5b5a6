"""Averaged weights: the recurrence, what scores with them, and that they are kept in checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from adcore.datasets import ImageDataset
from adcore.detectors.base.weight_average import WeightAverage
from adcore.errors import UserError
from adcore.train import train
from adcore.train.batch_scores import anomaly_scores
from adcore.train.build import load_detector
from adcore.train.checkpoints import Checkpoints
from tests.detector_runs import config, ignore


def test_it_is_the_moving_average_whose_decay_rises_to_the_one_given() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).double()
    average = WeightAverage(network, 0.5).double()
    expected = {name: value.clone() for name, value in network.state_dict().items()}
    for step in range(12):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(1.0 + step)
        network(torch.randn(8, 2, generator=torch.Generator().manual_seed(step)).double())
        average.update(network)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            is_count = not value.is_floating_point()
            expected[name] = value if is_count else decay * expected[name] + (1 - decay) * value
    for name, value in average.network.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-12, atol=0)
    assert average.network[1].num_batches_tracked == 12
    assert not any(parameter.requires_grad for parameter in average.parameters())


@pytest.mark.parametrize("name", ["gan", "gan-small", "gan-two-heads"])
def test_the_average_scores_and_training_goes_on_without_it(name: str, digits_train: ImageDataset) -> None:
    plain, averaged = (
        train(config(name, average_weights=decay, score_latent=1.0), ignore, data=digits_train) for decay in (0.0, 0.99)
    )
    losses = [key for key in plain.history[-1] if key.startswith("loss_")]
    assert losses
    assert [plain.history[-1][key] for key in losses] == [averaged.history[-1][key] for key in losses]
    images = digits_train.images[:50]
    assert not torch.equal(anomaly_scores(plain.detector, images), anomaly_scores(averaged.detector, images))


def test_a_loaded_detector_scores_as_the_trained_one(digits_train: ImageDataset, tmp_path: Path) -> None:
    paths = [tmp_path / "0.ckpt", tmp_path / "3.ckpt"]
    settings: dict[str, Any] = {"average_weights": 0.9, "score_latent": 0.5}
    trained = train(config("gan", **settings), ignore, data=digits_train, checkpoints=Checkpoints(paths)).detector
    _, loaded = load_detector(paths, 1)
    images = digits_train.images[:50]
    assert torch.equal(anomaly_scores(loaded, images), anomaly_scores(trained, images))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"average_weights": 1.0}, "--average-weights 1.0: expected a finite number >= 0 and <= 0.99999"),
        ({"score_latent": -1.0}, "--score-latent -1.0: expected a finite number >= 0"),
        ({"patch_size": 12}, "--patch-size 12: expected one of 4, 8, 16, 32"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        config("gan", **changes)
    assert str(caught.value) == message
