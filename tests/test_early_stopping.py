"""Early stopping: what is watched, when a run ends with it, and that a resumed one ends there too."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from adcore.augment import Resampler
from adcore.datasets import ImageDataset
from adcore.detectors import DETECTORS
from adcore.detectors.base.single import SingleDetector
from adcore.networks import IMAGE_SIZE
from adcore.train import TrainResult, train
from adcore.train.checkpoints import Checkpoints
from adcore.train.epoch_end import EpochEnd
from adcore.train.member_state import MemberState
from adcore.train.members import members_of
from adcore.train.pack import Pack
from tests.detector_runs import config, ignore
from tests.train_runs import InterruptedRunError, comparable, interrupt_after

WITH_A_LOSS = [name for name, detector in DETECTORS.items() if detector.has_normal_loss]


def test_early_stopping_counts_epochs_without_a_better_loss_and_a_resumed_run_stops_with_it(
    digits_train: ImageDataset, tmp_path: Path
) -> None:
    # the loss of an autoencoder that learns nothing never falls: it is best after the first epoch
    settings = config("autoencoder", epochs=9, patience=2, learning_rate=1e-30, schedule="constant")
    stopped = train(settings, ignore, data=digits_train)
    assert (stopped.state, len(stopped.history)) == ("complete", 3)

    checkpoints = Checkpoints(tmp_path / "run.ckpt", every=0)
    with pytest.raises(InterruptedRunError):
        train(settings, interrupt_after(2), data=digits_train, checkpoints=checkpoints)
    resumed = train(settings, ignore, data=digits_train, checkpoints=checkpoints)
    assert comparable(resumed.history) == comparable(stopped.history)
    again = train(settings, ignore, data=digits_train, checkpoints=checkpoints)
    assert comparable(again.history) == comparable(stopped.history)


@pytest.mark.parametrize(
    ("watched", "stopped"),
    [
        ([3.0], [False]),
        ([3.0, 2.0, 1.0, 0.5], [False] * 4),
        ([3.0, 4.0, 5.0], [False, False, True]),
        ([3.0, 4.0, 2.0, 2.0, 2.0], [False, False, False, False, True]),  # as good is not better
        ([math.nan, math.nan], [False, True]),
        ([3.0, math.nan, math.inf], [False, False, True]),
    ],
)
def test_a_run_ends_once_as_many_epochs_as_it_has_patience_were_none_the_better(
    watched: list[float], stopped: list[bool]
) -> None:
    member = config("vae", classes=(3,), patience=2)
    found = [MemberState(member, watched=watched[:epochs]).stopped for epochs in range(1, len(watched) + 1)]
    assert found == stopped
    assert not MemberState(config("vae", classes=(3,)), watched=watched).stopped


@pytest.mark.parametrize("name", ["vae", "deep-svdd"])
def test_patience_is_no_limit_to_a_run_whose_loss_falls(name: str, digits_train: ImageDataset) -> None:
    settings = config(name, epochs=4, patience=1, batch_size=8, learning_rate=2e-3)
    assert len(train(settings, ignore, data=digits_train).history) == 4


@pytest.mark.parametrize("name", ["gan", "cnn"])
def test_without_a_loss_of_normal_images_a_run_goes_on_while_its_auroc_rises(
    name: str, digits_train: ImageDataset
) -> None:
    settings = config(name, classes=(3,), epochs=6, patience=1, batch_size=8, learning_rate=2e-3)
    aurocs = [metrics["val_auroc_3"] for metrics in train(settings, ignore, data=digits_train).history]
    *rises, last = [later > earlier for earlier, later in itertools.pairwise(aurocs)]
    assert all(rises)
    assert last == (len(aurocs) == 6)


@pytest.mark.parametrize("name", WITH_A_LOSS)
def test_what_early_stopping_watches_is_the_mean_loss_of_normal_images(
    name: str, whole_run: Callable[[str], TrainResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(WITH_A_LOSS) == 7
    pack = whole_run(name).detector
    # the latent of a VAE is drawn in training, and at its mean here
    monkeypatch.setattr(torch, "randn", lambda shape, *, dtype, **_: torch.zeros(shape, dtype=dtype))
    images = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    losses = torch.cat([detector.normal_loss(images) for detector in pack], 1)
    assert losses.shape == (6, 2)
    pack.eval()
    for member, detector in enumerate(pack):
        assert isinstance(detector, SingleDetector)
        detector.noise = torch.Generator()
        terms = detector.losses(images, images[:0])
        assert sum(value.item() for value in terms.values()) == pytest.approx(losses[:, member].mean().item(), rel=1e-5)


def test_early_stopping_watches_normal_images_of_each_experiment_alone(
    digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = Pack(members_of([config("vae", patience=1)]), 1, strategy="plain")
    for factor, detector in zip((1, 3), pack, strict=True):
        brightness = partial(lambda factor, images: factor * images.mean((1, 2, 3))[:, None], factor)
        monkeypatch.setattr(detector, "normal_loss", brightness)
    validation = (digits_train.images, digits_train.labels)
    ends = EpochEnd(pack, [], [validation] * 2, None, until=1, on_epoch=print)  # type: ignore[arg-type]
    plain = Resampler(8, IMAGE_SIZE, torch.device("cpu")).plain(digits_train.images).mean((1, 2, 3))
    expected = [plain[digits_train.labels == 0].mean().item(), 3 * plain[digits_train.labels == 3].mean().item()]
    assert ends._watched() == pytest.approx(expected, rel=1e-5)
