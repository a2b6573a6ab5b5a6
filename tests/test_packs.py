"""Packs: experiments side by side, each as if alone, however they are grouped, executed or resumed."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import nn

from adcore.datasets import ImageDataset
from adcore.detectors import DETECTORS
from adcore.detectors.base.optimisation import MemberAdam
from adcore.errors import UserError
from adcore.train import captured, train
from adcore.train.image_streams import data_module
from adcore.train.members import SHARED, members_of
from adcore.train.pack import STRATEGIES, Pack
from tests.detector_runs import config, ignore
from tests.pack_runs import all_alone, assert_as_alone, mixed, without_graph
from tests.train_runs import Metrics

every_detector = pytest.mark.parametrize("name", DETECTORS)


@every_detector
def test_every_member_gives_what_it_gives_alone_whatever_it_is_beside(
    name: str, digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured, "capture", without_graph)
    configs = mixed(name)
    alone = all_alone(configs, digits_train)
    assert len({str(history[-1]) for history in alone.values()}) == 4, "members that are alike would prove nothing"
    for strategy in STRATEGIES:
        # rates of a captured step are float32, on the device
        rel = 1e-5 if strategy == "captured" else 1e-9
        assert_as_alone(train(configs, ignore, data=digits_train, strategy=strategy), alone, rel)


@pytest.mark.parametrize("strategy", ["grouped", "plain"])
def test_no_value_passes_between_members(
    strategy: str, digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Pack.begin_epoch

    def break_the_third(pack: Pack, batches: Any) -> None:
        plain(pack, batches)
        if len(pack.members) == 4 and batches.epoch == 1:
            together = len(pack.detectors) == 1
            broken = [p.chunk(4)[2] for p in pack.parameters()] if together else pack.detectors[2].parameters()
            with torch.no_grad():
                for parameter in broken:
                    parameter.view(-1)[0] = math.nan

    monkeypatch.setattr(Pack, "begin_epoch", break_the_third)
    configs = mixed("gan", epochs=3)
    first, second, third = train(configs, ignore, data=digits_train, strategy=strategy)
    assert [first.state, second.state, third.state] == ["complete", "diverged", "complete"]
    assert [len(each.history) for each in (first, second, third)] == [3, 3, 3]
    assert [math.isnan(metrics["val_auroc_3"]) for metrics in second.history] == [False, True, True]
    alone = all_alone(configs, digits_train)
    del alone[1, 3]
    assert_as_alone([first, second, third], alone, 1e-9)


def test_a_member_out_of_patience_leaves_and_the_others_go_on(digits_train: ImageDataset) -> None:
    # the loss of an autoencoder that learns nothing never falls: it is best after the first epoch
    still: dict[str, Any] = {"learning_rate": 1e-30, "schedule": "constant", "epochs": 6, "precision": "64-true"}
    configs = [config("autoencoder", **still, patience=2), config("autoencoder", **still, patience=4, classes=(3,))]
    configs.append(config("autoencoder", epochs=6, precision="64-true", classes=(6,)))
    reports: list[list[Metrics | None]] = []
    results = train(configs, reports.append, data=digits_train)
    assert [len(result.history) for result in results] == [3, 5, 6]
    assert [result.state for result in results] == ["complete"] * 3
    assert [[metrics is not None for metrics in epoch] for epoch in reports] == [
        [True, True, True], [True, True, True], [True, True, True], [False, True, True], [False, True, True],
        [False, False, True],
    ]  # fmt: skip
    assert_as_alone(results, all_alone(configs, digits_train), 1e-9)


def test_where_memory_does_not_do_half_as_many_train_side_by_side_and_it_is_said(
    digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain, sizes = Pack.begin_epoch, []

    def room_for_two(pack: Pack, batches: Any) -> None:
        sizes.append(len(pack.members))
        if len(pack.members) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        plain(pack, batches)

    monkeypatch.setattr(Pack, "begin_epoch", room_for_two)
    configs = mixed("gan")  # 4 members
    reports: list[list[Metrics | None]] = []
    results = train(configs, reports.append, data=digits_train)
    assert sizes == [4, 2, 2, 2, 2]
    assert [[metrics is not None for metrics in epoch] for epoch in reports] == 2 * [
        [True, False, False], [False, True, True],
    ]  # fmt: skip
    assert [record.getMessage() for record in caplog.records if record.name == "adcore.train.fitting"] == [
        "out of GPU memory with 4 experiments side by side: continuing with 2"
    ]
    monkeypatch.setattr(Pack, "begin_epoch", plain)
    assert_as_alone(results, all_alone(configs, digits_train), 1e-9)


def test_a_member_that_has_left_takes_no_more_time(digits_train: ImageDataset) -> None:
    still: dict[str, Any] = {"learning_rate": 1e-30, "schedule": "constant", "epochs": 6}
    own, other = train(
        [config("autoencoder", **still, patience=1, classes=(0,)), config("autoencoder", epochs=6, classes=(3,))],
        ignore, data=digits_train,
    )  # fmt: skip
    assert [len(result.history) for result in (own, other)] == [2, 6]
    for result in (own, other):
        times = [result.images_per_epoch / epoch["images_per_second"] for epoch in result.history]
        assert result.seconds == pytest.approx(sum(times))


def test_a_detector_that_is_trained_holds_nothing_that_only_training_needs(digits_train: ImageDataset) -> None:
    pack = train(config("gan"), ignore, data=digits_train).detector
    assert not hasattr(pack, "execution")
    assert pack.optimizers_of == []


def test_a_gradient_is_laid_out_as_its_parameter_for_adam() -> None:
    weights = nn.Parameter(torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last))
    adam = MemberAdam([weights], betas=(0.9, 0.999), weight_decay=[0.0])
    factor = torch.randn(4, 3, 2, 2)
    adam.step((weights.contiguous() * factor).sum()[None])
    [[view]] = adam.views
    assert view.grad is not None
    assert view.grad.stride() == weights.stride() != factor.stride()
    assert torch.equal(view.grad, factor)


def test_members_of_one_class_and_seed_share_one_stream_of_images(digits_train: ImageDataset) -> None:
    configs = [config("gan", classes=(3,), learning_rate=rate) for rate in (1e-4, 1e-3, 1e-2)]
    module = data_module(digits_train, members_of([*configs, config("gan", classes=(3,), train_seed=1)]), until=1)
    assert module.stream_of == (0, 0, 0, 1)
    batches = module.batches(0, torch.device("cpu"))
    normal, anomalous = batches[0]
    assert normal.shape == anomalous.shape == (16, 2, 1, 32, 32)
    chosen = batches.select(normal, range(4))
    assert chosen.shape == (16, 4, 32, 32)
    assert torch.equal(chosen[:, 0], chosen[:, 2])
    assert not torch.equal(chosen[:, 0], chosen[:, 3])


OTHER: dict[str, Any] = {
    "dataset": "mnist", "image_size": 64, "images_per_class": 63, "validation_images": 61, "protocol": "one-class",
    "fold": 2, "detector": "gan-small", "width": 5, "norm": "group", "latent_size": 9, "epochs": 3, "batch_size": 16,
    "precision": "64-true", "patch_size": 8, "average_weights": 0.9, "pseudo_anomalies": "swap",
}  # fmt: skip


@pytest.mark.parametrize("field", SHARED)
def test_what_decides_shapes_or_length_is_the_same_for_all_or_refused_by_name(
    field: str, digits_train: ImageDataset
) -> None:
    assert set(OTHER) == set(SHARED)
    flag = f"--{field.replace('_', '-')}"
    with pytest.raises(UserError, match=rf"^{flag} .*: expected one value for all configurations trained together$"):
        train([config("gan"), config("gan", **{field: OTHER[field]})], ignore, data=digits_train)


def test_under_a_counted_protocol_members_are_of_one_class(digits_train: ImageDataset) -> None:
    own_class: dict[str, Any] = {"protocol": "balanced-9600", "classes": (3,)}
    configs = [config("gan", **own_class), config("gan", **own_class, learning_rate=1e-2)]
    assert [result.state for result in train(configs, ignore, data=digits_train)] == ["complete"] * 2
    with pytest.raises(UserError, match=r"--classes .*expected one value"):
        train([configs[0], dataclasses.replace(configs[0], classes=(4,))], ignore, data=digits_train)
    with pytest.raises(UserError, match="no configuration to train"):
        train([], ignore, data=digits_train)
