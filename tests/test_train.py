"""train(): what is reported, that it repeats, resumes to the bit, and how a broken run ends."""

from __future__ import annotations

import dataclasses
import math
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from adcore.augment import Resampler
from adcore.datasets import ImageDataset
from adcore.evaluation.test_scores import score_test
from adcore.losses import LOSSES
from adcore.metrics import METRICS, measure
from adcore.networks import IMAGE_SIZE
from adcore.protocols.splits import split
from adcore.train import TrainResult, fitting, image_streams, train
from adcore.train.build import load_detector
from adcore.train.checkpoints import Checkpoints
from adcore.train.datamodule import AnomalyDetectionDataModule
from adcore.train.execution import PackModule
from tests.train_runs import InterruptedRunError, Metrics, comparable, config, ignore, interrupt_after, same_weights


@pytest.fixture(scope="module")
def whole_run(digits_train: ImageDataset) -> TrainResult:
    """The run that others are compared with: config() as it is, never interrupted."""
    return train(config(), ignore, data=digits_train)


def test_reported_after_each_epoch_are_exactly_these_floats(digits_train: ImageDataset) -> None:
    reports: list[Metrics] = []
    result = train(config(epochs=2), reports.append, data=digits_train)
    expected = {"epoch", "images_per_second"}
    expected |= {f"val_{name}_{index}" for name in METRICS for index in ("mean", 0, 3)}
    expected |= {f"loss_{name}_{index}" for name in LOSSES for index in (0, 3)}
    assert len(expected) == 2 + 15 + 16
    assert [set(metrics) for metrics in reports] == [expected] * 2
    assert [metrics["epoch"] for metrics in reports] == [1, 2]
    assert all(type(value) is float and math.isfinite(value) for metrics in reports for value in metrics.values())
    for name in (f"val_{metric}" for metric in METRICS):
        assert all(m[f"{name}_mean"] == (m[f"{name}_0"] + m[f"{name}_3"]) / 2 for m in reports), name
    assert result.history == reports
    assert result.state == "complete"


def test_reported_metrics_are_those_of_all_validation_images_with_continuous_scores(
    whole_run: TrainResult, digits_train: ImageDataset
) -> None:
    kept = split(digits_train.labels, split_seed=0).validation
    images, labels = digits_train.images[kept], digits_train.labels[kept]
    scores = whole_run.detector.score(Resampler(8, IMAGE_SIZE, torch.device("cpu")).plain(images))
    assert len(labels) == sum(round(n / 6) for n in digits_train.labels.bincount().tolist())
    for member, index in enumerate((0, 3)):
        expected = roc_auc_score((labels != index).numpy(), scores[:, member].numpy())
        assert whole_run.history[-1][f"val_auroc_{index}"] == pytest.approx(expected, abs=1e-4)
        for name, value in measure(scores[:, member], labels != index).items():
            assert whole_run.history[-1][f"val_{name}_{index}"] == pytest.approx(value, abs=1e-4), name


def test_training_learns_to_tell_normal_images_from_anomalies(digits_train: ImageDataset) -> None:
    result = train(config(classes=(6,), epochs=4, batch_size=16, learning_rate=3e-3), ignore, data=digits_train)
    # it starts at chance; with the sign the wrong way round it would end as far below
    assert result.history[0]["val_auroc_6"] < 0.6
    assert result.history[-1]["val_auroc_6"] > 0.9


def test_same_seed_gives_same_metrics_and_weights(whole_run: TrainResult, digits_train: ImageDataset) -> None:
    torch.manual_seed(99)  # of no consequence
    again = train(config(), ignore, data=digits_train)
    assert comparable(again.history) == comparable(whole_run.history)
    assert same_weights(again, whole_run)


@pytest.mark.parametrize("change", [{"train_seed": 1}, {"split_seed": 1}, {"weight_abc": 2.5}, {"learning_rate": 2e-3}])
def test_each_setting_that_should_matter_matters(
    change: dict[str, Any], whole_run: TrainResult, digits_train: ImageDataset
) -> None:
    other = train(config(**change), ignore, data=digits_train)
    assert comparable(other.history) != comparable(whole_run.history)
    assert not same_weights(other, whole_run)


def test_the_global_random_state_is_neither_used_nor_changed(digits_train: ImageDataset, tmp_path: Path) -> None:
    torch.manual_seed(7)
    np.random.seed(7)
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    checkpoints = Checkpoints(tmp_path / "run.ckpt", every=0)
    with pytest.raises(InterruptedRunError):
        train(config(sampling="kmeans", crop=True), interrupt_after(1), data=digits_train, checkpoints=checkpoints)
    train(config(sampling="kmeans", crop=True), ignore, data=digits_train, checkpoints=checkpoints)
    load_detector(tmp_path / "run.ckpt", 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == before_numpy).all()  # type: ignore[index]


@pytest.mark.parametrize("schedule", ["one-cycle", "halve-every-50", "constant"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_run_resumed_at_an_epochs_end_gives_the_same_to_the_bit(
    epoch: int, schedule: str, digits_train: ImageDataset, tmp_path: Path
) -> None:
    settings = config(schedule=schedule, crop=True, rotate=True, classes=(3,))
    never_interrupted = train(settings, ignore, data=digits_train)
    checkpoints = Checkpoints(tmp_path / "run.ckpt", every=0)
    with pytest.raises(InterruptedRunError):
        train(settings, interrupt_after(epoch), data=digits_train, checkpoints=checkpoints)
    reports: list[Metrics] = []
    resumed = train(settings, reports.append, data=digits_train, checkpoints=checkpoints)
    assert [metrics["epoch"] for metrics in reports] == [1, 2, 3]
    assert resumed.state == "complete"
    assert comparable(resumed.history) == comparable(reports) == comparable(never_interrupted.history)
    assert same_weights(resumed, never_interrupted)


def test_a_finished_run_is_reported_again_and_not_trained(digits_train: ImageDataset, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "run.ckpt", every=0)
    first = train(config(), ignore, data=digits_train, checkpoints=checkpoints)
    written = (tmp_path / "run.ckpt").stat().st_mtime_ns
    steps: list[Optimizer] = []
    hook = register_optimizer_step_pre_hook(lambda optimizer, _a, _k: steps.append(optimizer))
    try:
        again = train(config(), ignore, data=digits_train, checkpoints=checkpoints)
    finally:
        hook.remove()
    assert not steps
    assert again.history == first.history  # images_per_second included: they are the stored numbers
    assert same_weights(again, first)
    assert (tmp_path / "run.ckpt").stat().st_mtime_ns == written


def test_a_checkpoint_is_saved_after_the_last_epoch_however_rarely_else(
    digits_train: ImageDataset, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "run.ckpt"
    checkpoints = Checkpoints(path, every=3600)
    present: list[bool] = []
    train(config(), lambda _: present.append(path.exists()), data=digits_train, checkpoints=checkpoints)
    assert present == [False, False, True]
    assert [each.name for each in path.parent.iterdir()] == ["run.ckpt"]


def test_an_interrupt_stays_an_interrupt_and_later_ones_are_heard(digits_train: ImageDataset) -> None:
    def report(_: Metrics) -> None:
        signal.raise_signal(signal.SIGINT)

    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs have it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            train(config(), report, data=digits_train)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, inherited)


def test_a_report_that_ends_the_process_ends_it_with_its_own_code(digits_train: ImageDataset) -> None:
    with pytest.raises(SystemExit) as caught:
        train(config(), lambda _: sys.exit(7), data=digits_train)
    assert caught.value.code == 7


def test_test_scores_are_of_every_test_image(whole_run: TrainResult, digits_test: ImageDataset) -> None:
    images = Resampler(8, IMAGE_SIZE, torch.device("cpu")).plain(digits_test.images)
    scores = whole_run.detector.score(images)
    expected = [
        roc_auc_score((digits_test.labels != index).numpy(), scores[:, member].numpy())
        for member, index in enumerate((0, 3))
    ]
    scored = score_test(whole_run.detector, config(), digits_test)
    assert torch.equal(scored.labels, digits_test.labels)
    measured = scored.measured()
    assert [measured[index]["auroc"] for index in (0, 3)] == pytest.approx(expected, abs=1e-4)


def test_a_capped_test_part_has_the_first_images_of_each_class(
    whole_run: TrainResult, digits_test: ImageDataset
) -> None:
    seen: Counter[int] = Counter()
    kept = [i for i, label in enumerate(digits_test.labels.tolist()) if seen.update([label]) or seen[label] <= 5]
    assert len(kept) == 50
    small = dataclasses.replace(digits_test, images=digits_test.images[kept], labels=digits_test.labels[kept])
    settings = config(images_per_class=5)
    capped, whole = (score_test(whole_run.detector, *each) for each in ((settings, digits_test), (config(), small)))
    assert torch.equal(capped.labels, whole.labels)
    assert torch.equal(capped.scores, whole.scores)
    assert capped.measured() == whole.measured()


@pytest.mark.parametrize("resumed", [False, True])
def test_a_diverged_run_ends_as_such_with_nan_for_its_classes(
    resumed: bool, digits_train: ImageDataset, tmp_path: Path
) -> None:
    settings = config(learning_rate=1e30, schedule="constant", epochs=5)
    checkpoints = Checkpoints(tmp_path / "run.ckpt", every=0)
    reports: list[Metrics] = []
    for _ in range(1 + resumed):
        reports.clear()
        result = train(settings, reports.append, data=digits_train, checkpoints=checkpoints)
    assert result.state == "diverged"
    assert len(result.history) == len(reports) == 1
    assert all(math.isnan(reports[0][f"val_{metric}_{name}"]) for name in ("0", "3", "mean") for metric in METRICS)


def test_divergence_of_one_class_leaves_the_others_their_numbers(
    digits_train: ImageDataset, whole_run: TrainResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_the_second(module: PackModule) -> None:
        pack = module.pack
        if len(pack.members) == 2:  # not once it has left
            with torch.no_grad():
                pack.get_parameter("detectors.0.generator.down.0.0.weight").chunk(2)[1].fill_(math.inf)

    monkeypatch.setattr(PackModule, "on_train_start", break_the_second)
    result = train(config(), ignore, data=digits_train)
    assert result.state == "diverged"
    metrics, *_ = result.history
    assert [math.isfinite(epoch["val_auroc_0"]) for epoch in result.history] == [True] * 3
    assert all(math.isnan(metrics[f"val_{name}_{index}"]) for name in METRICS for index in (3, "mean"))
    own = {name: value for name, value in metrics.items() if name.endswith("_0")}
    assert len(own) == 8 + 5
    assert own == {name: whole_run.history[0][name] for name in own}


def test_fashion_mnist_trains_on_real_images(fashion_train: ImageDataset) -> None:
    settings = config(
        dataset="fashion-mnist", classes=(1, 4), images_per_class=200, validation_images=300, batch_size=16,
        learning_rate=3e-3, epochs=2,
    )  # fmt: skip
    result = train(settings, ignore, data=fashion_train)
    assert result.state == "complete"
    assert result.history[-1]["val_auroc_mean"] > 0.85


def test_the_images_of_a_training_are_drawn_from_once(
    digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[AnomalyDetectionDataModule] = []

    def data_module(*arguments: Any) -> AnomalyDetectionDataModule:
        made.append(image_streams.data_module(*arguments))
        return made[-1]

    monkeypatch.setattr(fitting, "data_module", data_module)
    result = train(config(epochs=1), ignore, data=digits_train)
    assert len(made) == 1
    assert result.images_per_epoch == 2 * made[0].images_per_member
