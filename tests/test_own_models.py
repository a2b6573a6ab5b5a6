"""Models of data of one's own: they keep what was known of the data, and a number means the class of that index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from adcore.config import TrainConfig
from adcore.data_checks import class_index
from adcore.datasets import DatasetInfo, load
from adcore.errors import UserError
from adcore.predict.models import load_model, read_states
from adcore.train import train
from adcore.train.checkpoints import Checkpoints
from tests.detector_runs import ignore
from tests.own_images import own_folder, stripes, write_images

SMALL: dict[str, Any] = {"width": 2, "epochs": 1, "batch_size": 8, "sampling": "random"}


def test_a_model_knows_the_size_that_it_was_trained_at_whatever_else_was_loaded(tmp_path: Path) -> None:
    name = own_folder(tmp_path / "images", 24, 20)
    parts = {size: load(name, "train", image_size=size) for size in (64, 32)}
    for size, data in parts.items():
        config = TrainConfig(dataset=name, image_size=size, **SMALL)
        train(config, ignore, data=data, checkpoints=Checkpoints(tmp_path / f"{size}.ckpt"))
    load(name, "train", image_size=128)
    images = torch.randint(256, (3, 1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for size in parts:
        model = load_model(read_states([tmp_path / f"{size}.ckpt"]))
        assert (model.info.size, model.info.class_names, model.config.image_size) == (size, ("normal", "anomaly"), size)
        assert model.scores(images[..., :size, :size]).shape == (3,)


def test_a_model_without_the_facts_about_its_data_takes_those_of_the_data(tmp_path: Path) -> None:
    name = own_folder(tmp_path / "images", 24, 20)
    train(TrainConfig(dataset=name, **SMALL), ignore, data=load(name, "train"),
          checkpoints=Checkpoints(tmp_path / "a.ckpt"))  # fmt: skip
    stored = torch.load(tmp_path / "a.ckpt", weights_only=True)
    for member in stored["adcore"]["members"]:
        del member["data"]
    torch.save(stored, tmp_path / "old.ckpt")
    assert load_model(read_states([tmp_path / "old.ckpt"])).info.class_names == ("normal", "anomaly")


def test_every_index_finds_the_model_of_its_class_where_names_are_numbers(tmp_path: Path) -> None:
    for name in ("1", "2", "10"):
        write_images(tmp_path / "images" / name, stripes(20, standing=name == "2"))
    name = f"folder:{tmp_path / 'images'}"
    path = tmp_path / "a.ckpt"
    train(TrainConfig(dataset=name, **SMALL), ignore, data=load(name, "train"), checkpoints=Checkpoints(path))
    for index, title in enumerate(("1", "2", "10")):
        model = load_model(read_states([path]), str(index))
        assert model.config.classes == (index,)
        assert f"normal class {index} ({title})" in model.title
    without_first = [state for state in read_states([path]) if state.config.classes != (0,)]
    with pytest.raises(UserError, match=r"--class 'cat': expected one of 1 \(2\), 2 \(10\)$"):
        load_model(without_first, "cat")


def test_what_can_be_an_index_is_no_name() -> None:
    info = DatasetInfo("folder:/images", ("1", "2", "7", "cat"), 1, 32, None, 10)
    assert [class_index(info, chosen, "class") for chosen in ("0", "1", "2", "3", "7", "cat")] == [0, 1, 2, 3, 2, 3]
    with pytest.raises(UserError, match=r"--class '9': expected one of 0 \(1\), 1 \(2\), 2 \(7\), 3 \(cat\)"):
        class_index(info, "9", "class")
