"""Checkpoints of packs: one for each member, which goes on in any other pack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.train import train
from adcore.train.build import load_detector
from adcore.train.checkpoints import Checkpoints, read
from adcore.train.members import members_of
from adcore.train.pack import Pack
from tests.detector_runs import config, ignore
from tests.pack_runs import all_alone, assert_as_alone, mixed
from tests.train_runs import InterruptedRunError, Metrics, comparable, interrupt_after


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
        assert comparable(result.history) == comparable(expected.history)


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
