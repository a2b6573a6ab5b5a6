"""The captured training step: a CUDA graph where there is a GPU, and here the steps that such a graph is made of."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adcore.datasets import ImageDataset
from adcore.train import captured, train
from adcore.train.checkpoints import Checkpoints, read
from adcore.train.member_state import MemberState
from tests.detector_runs import config, ignore
from tests.pack_runs import all_alone, assert_as_alone, mixed, without_graph


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
