"""Packs: experiments side by side, each as if alone, however they are grouped, executed or resumed."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.detectors import DETECTORS
from adcore.detectors.base.optimisation import MemberAdam
from adcore.errors import UserError
from adcore.train import TrainResult, captured, train
from adcore.train.build import load_detector
from adcore.train.checkpoints import Checkpoints, read
from adcore.train.image_streams import data_module
from adcore.train.member_state import MemberState
from adcore.train.members import SHARED, members_of
from adcore.train.pack import STRATEGIES, Pack
from tests.detector_runs import config, ignore

Metrics = dict[str, float]
every_detector = pytest.mark.parametrize("name", DETECTORS)
#: What a capture is on a machine without a CUDA device: the steps before it, and the step itself at each replay.
WARM_UPS = 3


def without_graph(step: Callable[[], None]) -> Callable[[], None]:
    for _ in range(WARM_UPS):
        step()
    return step


def mixed(name: str, **changes: Any) -> list[TrainConfig]:
    """Three configurations that differ in all that decides no shape: weights, rates, classes, seeds, augmentation.

    GANs score with averaged weights.
    """
    common: dict[str, Any] = {"precision": "64-true", "average_weights": 0.9, **changes}
    return [
        config(name, **common, classes=(3,), learning_rate=3e-3, weight_abc=0.3, dropout=0.4, vae_score="elbo"),
        config(
            name, **common, train_seed=5, schedule="constant", crop=True, mirrored_scores=True, weight_decay=1e-3,
            reconstruction="l1", score_latent=0.5,
        ),
        config(name, **common, classes=(3,), weight_patch=0.0, split_seed=3, draws="each-epoch", bandwidth=0.2),
    ]  # fmt: skip


def own(metrics: Metrics, index: int) -> Metrics:
    return {name: value for name, value in metrics.items() if name.endswith(f"_{index}")}


def all_alone(configs: list[TrainConfig], data: ImageDataset) -> dict[tuple[int, int], list[Metrics]]:
    """The history of each experiment, by configuration and class, each trained by itself as the reference does it."""
    found: dict[tuple[int, int], list[Metrics]] = {}
    for place, each in enumerate(configs):
        for index in each.classes:
            alone = train(dataclasses.replace(each, classes=(index,)), ignore, data=data, strategy="plain")
            found[place, index] = [own(metrics, index) for metrics in alone.history]
    return found


def assert_as_alone(results: list[TrainResult], alone: dict[tuple[int, int], list[Metrics]], rel: float) -> None:
    for (place, index), history in alone.items():
        together = [own(metrics, index) for metrics in results[place].history]
        assert len(together) == len(history)
        for ours, theirs in zip(together, history, strict=True):
            assert len(ours) >= 5
            assert ours == pytest.approx(theirs, rel=rel)


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


@pytest.mark.parametrize("name", ["gan", "ganomaly", "deep-svdd"])
def test_a_captured_step_starts_from_where_the_pack_was(
    name: str, digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its warm-up leaves no trace: not in networks, running statistics, Adam's moments or loss sums."""
    monkeypatch.setattr(captured, "capture", without_graph)
    found: list[list[MemberState]] = []
    for strategy in ("captured", "plain"):
        files = Checkpoints(tmp_path / f"{strategy}.ckpt")
        settings: dict[str, Any] = {"precision": "64-true", "average_weights": 0.9}
        train(config(name, **settings), ignore, data=digits_train, strategy=strategy, checkpoints=files)
        found.append(read(tmp_path / f"{strategy}.ckpt"))
    for warm, cold in zip(*found, strict=True):
        for tensor, value in cold.networks.items():
            torch.testing.assert_close(warm.networks[tensor], value, rtol=1e-5, atol=1e-8)
        for ours, theirs in zip(itertools.chain(*warm.optimizers), itertools.chain(*cold.optimizers), strict=True):
            assert ours["step"].item() == theirs["step"].item() > 0
            torch.testing.assert_close(ours["exp_avg"], theirs["exp_avg"], rtol=1e-3, atol=1e-5)


def test_no_graph_of_gradients_is_alive_when_a_step_is_captured(
    digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would tie the parameters to the stream on which it was built, and a CUDA capture would fail."""
    alive: list[Tensor] = []

    def look(step: Callable[[], None]) -> Callable[[], None]:
        gc.collect()
        alive.extend(each for each in gc.get_objects() if type(each) is Tensor and each.grad_fn is not None)
        return without_graph(step)

    monkeypatch.setattr(captured, "capture", look)
    train(config("gan", epochs=1), ignore, data=digits_train, strategy="captured")
    assert alive == []


def test_where_a_step_cannot_be_captured_a_line_says_so_and_it_is_run_as_it_is(
    digits_train: ImageDataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(step: Callable[[], None]) -> Callable[[], None]:
        step()
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(captured, "capture", fail)
    configs = mixed("gan")
    results = train(configs, ignore, data=digits_train, strategy="captured")
    assert_as_alone(results, all_alone(configs, digits_train), 1e-5)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "adcore.train.captured"]
    assert line == (
        "the training step cannot be captured as a CUDA graph (operation not permitted when stream is capturing): "
        "training is slower"
    )


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


class InterruptedRunError(Exception):
    """Stands for the end of a process."""


def interrupt_after(epoch: int) -> Callable[[list[Metrics | None]], None]:
    def report(metrics: list[Metrics | None]) -> None:
        if any(each and each["epoch"] == epoch for each in metrics):
            raise InterruptedRunError

    return report


@pytest.mark.parametrize("name", ["gan", "gan-small", "vae", "autoencoder-kde", "deep-sad", "ganomaly"])
def test_members_of_two_packs_go_on_as_one(name: str, digits_train: ImageDataset, tmp_path: Path) -> None:
    configs = mixed(name, epochs=3)  # members: class 3; classes 0 and 3; class 3
    files = [tmp_path / f"{place}-{index}.ckpt" for place, each in enumerate(configs) for index in each.classes]
    with pytest.raises(InterruptedRunError):
        train(configs[:2], interrupt_after(2), data=digits_train, checkpoints=Checkpoints(files[:3], every=0))
    with pytest.raises(InterruptedRunError):
        train(configs[2:], interrupt_after(2), data=digits_train, checkpoints=Checkpoints(files[3:], every=0))
    reports: list[list[Metrics | None]] = []
    results = train(configs, reports.append, data=digits_train, checkpoints=Checkpoints(files, every=0))
    assert len(reports) == 3
    assert all(None not in epoch for epoch in reports)
    assert_as_alone(results, all_alone(configs, digits_train), 1e-9)


def test_members_that_are_behind_train_first(digits_train: ImageDataset, tmp_path: Path) -> None:
    configs = mixed("gan", epochs=3)
    files = [tmp_path / f"{place}.ckpt" for place in range(4)]
    for part, epoch in ((slice(0, 1), 2), (slice(2, 3), 1)):
        with pytest.raises(InterruptedRunError):
            train(
                configs[part], interrupt_after(epoch), data=digits_train,
                checkpoints=Checkpoints(files[:1] if part.start == 0 else files[3:], every=0),
            )  # fmt: skip
    reports: list[list[Metrics | None]] = []
    results = train(configs, reports.append, data=digits_train, checkpoints=Checkpoints(files, every=0))
    assert_as_alone(results, all_alone(configs, digits_train), 1e-9)
    # a configuration's epochs come in order, as soon as they are there
    for place in range(3):
        assert [epoch[place]["epoch"] for epoch in reports if epoch[place]] == [1, 2, 3]  # type: ignore[index]


def test_a_checkpoint_is_a_members_own_on_the_cpu_and_knows_no_pack(digits_train: ImageDataset, tmp_path: Path) -> None:
    configs = mixed("gan")
    paths = [tmp_path / f"{place}.ckpt" for place in range(4)]
    train(configs, ignore, data=digits_train, checkpoints=Checkpoints(paths))
    for path, member in zip(paths, members_of(configs), strict=True):
        (state,) = read(path)
        assert state.config == member
        alone = Pack([member], 1, strategy="plain").detectors[0].state_dict()
        assert {name: value.shape for name, value in state.networks.items()} == {n: v.shape for n, v in alone.items()}
        moments = [value for adam in state.optimizers for each in adam for value in each.values()]
        tensors: list[Tensor] = [*state.networks.values(), *moments]
        trained = [each for each in Pack([member], 1, strategy="plain").parameters() if each.requires_grad]
        assert len(moments) == 3 * len(trained)
        assert {tensor.device.type for tensor in tensors} == {"cpu"}
        assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in tensors), "more than its own part"
    both, detector = load_detector(paths[1:3], 1)
    assert both == configs[1]
    assert detector.score(torch.zeros(2, 1, 32, 32).double()).shape == (2, 2)
    with pytest.raises(UserError, match="models of several configurations, which differ in "):
        load_detector(paths, 1)


def damaged(state: dict[str, Any], part: str) -> None:
    """Take something out of a member's checkpoint."""
    if part == "optimizers":
        state[part].pop()
    elif part == "a parameter's moments":
        state["optimizers"][0].pop()
    elif part == "a moment":
        del state["optimizers"][0][0]["exp_avg"]
    else:
        state["history"] = [{"epoch": 1.0}]


@pytest.mark.parametrize("part", ["optimizers", "a parameter's moments", "a moment", "history"])
def test_a_checkpoint_that_lacks_a_part_is_one_error_with_its_name(
    part: str, digits_train: ImageDataset, tmp_path: Path
) -> None:
    path = tmp_path / "run.ckpt"
    with pytest.raises(InterruptedRunError):
        train([config("gan")], interrupt_after(1), data=digits_train, checkpoints=Checkpoints(path, every=0))
    stored = torch.load(path, weights_only=True)
    damaged(stored["adcore"]["members"][1], part)
    torch.save(stored, path)
    with pytest.raises(UserError) as caught:
        train(config("gan"), ignore, data=digits_train, checkpoints=Checkpoints(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "move it away" in str(caught.value)


def test_wrong_counts_and_names_are_refused(digits_train: ImageDataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 checkpoint files for 2 experiments: expected one for each"):
        train(config("gan"), ignore, data=digits_train, checkpoints=Checkpoints([tmp_path / "0.ckpt"]))
    with pytest.raises(UserError, match="no checkpoint, expected at least one"):
        load_detector([], 1)
    with pytest.raises(UserError, match="unknown strategy 'Grouped'"):
        train(config("gan"), ignore, data=digits_train, strategy="Grouped")


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


def test_a_gradient_is_laid_out_as_its_parameter_for_adam(monkeypatch: pytest.MonkeyPatch) -> None:
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
    "precision": "64-true", "patch_size": 8, "average_weights": 0.9,
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


@pytest.mark.parametrize("strategy", ["grouped", "plain"])
def test_a_training_that_pauses_goes_on_as_if_it_had_not(
    strategy: str, digits_train: ImageDataset, tmp_path: Path
) -> None:
    configs = [config("gan", epochs=4), config("gan", epochs=4, weight_abc=0.5, learning_rate=3e-3)]
    whole = train(configs, ignore, data=digits_train, strategy=strategy)
    paths = [tmp_path / f"{place}.ckpt" for place in range(sum(len(each.classes) for each in configs))]
    for until, state in ((1, "paused"), (3, "paused"), (4, "complete")):
        results = train(
            configs, ignore, data=digits_train, strategy=strategy, checkpoints=Checkpoints(paths), until=until
        )
        assert [result.state for result in results] == [state, state]
        assert [len(result.history) for result in results] == [until, until]
    for result, expected in zip(results, whole, strict=True):
        assert [_timeless(epoch) for epoch in result.history] == [_timeless(epoch) for epoch in expected.history]


def test_a_member_that_is_further_than_the_pause_waits_and_reports_its_later_epochs_later(
    digits_train: ImageDataset, tmp_path: Path
) -> None:
    ahead, behind = config("gan", epochs=3, classes=(3,)), config("gan", epochs=3, classes=(6,))
    paths = {each.classes[0]: tmp_path / f"{each.classes[0]}.ckpt" for each in (ahead, behind)}
    train(ahead, ignore, data=digits_train, checkpoints=Checkpoints(paths[3]), until=2)
    results = train([ahead, behind], ignore, data=digits_train, checkpoints=Checkpoints([paths[3], paths[6]]), until=1)
    assert [(len(result.history), result.state) for result in results] == [(1, "paused"), (1, "paused")]
    results = train([ahead, behind], ignore, data=digits_train, checkpoints=Checkpoints([paths[3], paths[6]]), until=2)
    assert [len(result.history) for result in results] == [2, 2]


@pytest.mark.parametrize("until", [0, -1, 3])
def test_a_pause_at_an_epoch_that_is_not_there_is_refused(until: int, digits_train: ImageDataset) -> None:
    with pytest.raises(UserError, match=f"until {until}: expected an epoch, 1 to 2"):
        train(config("gan", epochs=2), ignore, data=digits_train, until=until)


def _timeless(metrics: Metrics) -> Metrics:
    return {name: value for name, value in metrics.items() if name != "images_per_second"}
