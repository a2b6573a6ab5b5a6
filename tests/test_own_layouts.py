"""Data of one's own: the order of classes, which files are tested on, and layouts that would mislead."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adcore.config import TrainConfig
from adcore.datasets import DatasetError, describe, load
from adcore.datasets.listing import split_by_name
from adcore.errors import UserError
from adcore.evaluation import test_scores
from adcore.protocols.definitions import HELD_OUT
from adcore.protocols.held_out import load_part
from adcore.protocols.splits import cap_per_class, require_every_class
from adcore.train import train
from tests.detector_runs import ignore
from tests.own_images import own_folder, stripes, write_images


def write_arrays(path: Path, **images: np.ndarray) -> str:
    """Arrays of two classes in turn; images: of train and of test."""
    labels = {f"{part}_labels": np.arange(len(each)) % 2 for part, each in images.items()}
    np.savez(path, **{f"{part}_images": each for part, each in images.items()}, **labels)
    return f"npz:{path}"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("10", "2", "1", "0"), ("0", "1", "2", "10")),
        (("10", "-2", "1"), ("-2", "1", "10")),
        (("10", "2", "a"), ("10", "2", "a")),
    ],
)
def test_classes_that_are_numbers_are_in_the_order_of_their_values(
    tmp_path: Path, names: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    for name in names:
        write_images(tmp_path / name, stripes(2, standing=False))
    assert describe(f"folder:{tmp_path}").class_names == expected


def test_a_class_of_one_image_is_named_instead_of_leaving_the_training_part(tmp_path: Path) -> None:
    write_images(tmp_path / "cat", stripes(20, standing=False))
    write_images(tmp_path / "dog", stripes(1, standing=True))
    with pytest.raises(DatasetError, match="class 'dog' has one image"):
        TrainConfig(dataset=f"folder:{tmp_path}")
    rows = [(f"{path.parent.name}/{path.name}", path.parent.name) for path in sorted(tmp_path.glob("*/*.png"))]
    write_table(tmp_path / "mine.csv", rows)
    with pytest.raises(DatasetError, match="class 'dog' has one image"):
        describe(f"csv:{tmp_path}/mine.csv")


def test_which_files_are_tested_on_is_a_matter_of_their_paths_below_the_folder(tmp_path: Path) -> None:
    names = [f"a/{number}.png" for number in range(60)]
    expected = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:10]
    drawn = split_by_name({"a": [tmp_path / name for name in names]}, tmp_path)["test"]["a"]
    assert drawn == sorted(tmp_path / name for name in expected)


def test_a_table_beside_its_images_splits_them_alike_wherever_both_are(tmp_path: Path) -> None:
    for kind in ("normal", "anomaly"):
        write_images(tmp_path / "here" / "images" / kind, stripes(30, standing=kind == "anomaly"))
    (tmp_path / "here" / "tables").mkdir()
    rows = [(f"../images/{kind}/{number:03}.png", kind) for kind in ("normal", "anomaly") for number in range(30)]
    write_table(tmp_path / "here" / "tables" / "mine.csv", rows)
    shutil.copytree(tmp_path / "here", tmp_path / "elsewhere" / "deep")
    one, other = (load(f"csv:{place}/tables/mine.csv", "test")
                  for place in (tmp_path / "here", tmp_path / "elsewhere" / "deep"))  # fmt: skip
    assert one.content_hash == other.content_hash


def test_folders_of_a_part_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    for part in ("train", "Train", "test"):
        write_images(tmp_path / part / "a", stripes(3, standing=False))
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system does not tell upper from lower case")
    with pytest.raises(DatasetError, match="Train/ and train/ differ in case alone"):
        describe(f"folder:{tmp_path}")


def test_a_class_without_training_images_is_missed_in_the_train_part(tmp_path: Path) -> None:
    for part, name in (("train", "cat"), ("train", "dog"), ("test", "cat"), ("test", "dog"), ("test", "bird")):
        write_images(tmp_path / part / name, stripes(12, standing=False))
    data = load(f"folder:{tmp_path}", "train")
    with pytest.raises(UserError, match=r"class 0 \(bird\) of the train part has 0 images"):
        require_every_class(data.labels, data.class_names)


def test_where_one_class_is_normal_a_refusal_does_not_advise_to_leave_it_out(tmp_path: Path) -> None:
    config = TrainConfig(dataset=own_folder(tmp_path))
    with pytest.raises(UserError, match="no anomalies of experiment 0") as caught:
        test_scores.require_every_kind(config, torch.zeros(5, dtype=torch.int64))
    assert "leave class" not in str(caught.value)
    with pytest.raises(UserError, match="leave class 3 out of the classes"):
        test_scores.require_every_kind(TrainConfig(dataset="digits", classes=(3,)), torch.zeros(5, dtype=torch.int64))


def test_a_cap_takes_test_images_of_ones_own_at_random_and_the_first_of_a_published_set(tmp_path: Path) -> None:
    name, labels = own_folder(tmp_path), torch.arange(200) % 2
    first = cap_per_class(labels, 20)
    for dataset, is_own in ((name, True), ("digits", False)):
        kept, again, other = (
            test_scores.tested_positions(TrainConfig(dataset=dataset, images_per_class=20, split_seed=seed), labels)
            for seed in (0, 0, 1)
        )
        assert torch.equal(kept, again)
        assert labels[kept].bincount().tolist() == [20, 20]
        assert torch.equal(kept, kept.sort().values)
        assert torch.equal(kept, first) is not is_own
        assert torch.equal(kept, other) is not is_own
    everything = test_scores.tested_positions(TrainConfig(dataset=name, images_per_class=None), labels)
    assert torch.equal(everything, torch.arange(200))


def test_squares_too_small_to_crop_are_stretched_and_larger_ones_kept(tmp_path: Path) -> None:
    for side, size in ((1, 32), (4, 32), (5, 5), (31, 31), (33, 32)):
        images = np.zeros((30, side, side), np.uint8)
        name = write_arrays(tmp_path / f"{side}.npz", train=images, test=images)
        data = load(name, "train")
        assert (data.images.shape[-1], describe(name).size) == (size, size)
        config = TrainConfig(dataset=name, width=2, epochs=1, batch_size=8, crop=True, sampling="random")
        assert train(config, ignore, data=data).state == "complete"


def test_an_empty_test_part_of_another_size_is_missed_in_one_line(tmp_path: Path) -> None:
    name = write_arrays(tmp_path / "a.npz", train=stripes(30, standing=False), test=np.zeros((0, 70, 50), np.uint8))
    with pytest.raises(DatasetError, match=r"the test part has no image$"):
        load(name, "test")


def test_held_out_anomalies_of_another_size_are_refused(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"train_images": stripes(20, standing=False), "train_labels": np.zeros(20, np.uint8)}
    arrays |= {"test_images": stripes(8, standing=True, side=28), "test_labels": np.arange(8) % 2}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match="of 20 pixels a side in its train part and of 28 in its test part"):
        load_part(f"npz:{tmp_path}/a.npz", "train", HELD_OUT)


def write_table(path: Path, rows: Sequence[tuple[str, ...]], *, header: tuple[str, ...] = ("path", "label")) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_no_link_makes_an_image_of_the_test_part_one_to_train_on(tmp_path: Path) -> None:
    for part, count in (("train", 20), ("test", 6)):
        for name in ("a", "b"):
            write_images(tmp_path / "d" / part / name, stripes(count, standing=name == "a"))
    (tmp_path / "d" / "val").symlink_to("test")
    data = load(f"folder:{tmp_path / 'd'}", "train")
    assert len(data.labels) == 40
    [note] = [line for line in data.notes if "files of the test part" in line]
    assert note.endswith("and 7 more")
    rows = [(str(path), path.parent.name, path.parent.parent.name) for path in sorted(tmp_path.glob("d/t*/*/*.png"))]
    linked = [(str(path), path.parent.name, "train") for path in sorted(tmp_path.glob("d/val/*/*.png"))]
    assert len(linked) == 12
    write_table(tmp_path / "mine.csv", [*rows, *linked], header=("path", "label", "split"))
    assert len(load(f"csv:{tmp_path}/mine.csv", "train").labels) == 40


@pytest.mark.parametrize("others", [("ANOMALY",), ("anomalies",), ("Abrieb", "crack"), ("a", "z")])
def test_a_class_called_normal_is_the_normal_one_in_any_case(tmp_path: Path, others: tuple[str, ...]) -> None:
    for name in (*others, "Normal"):
        write_images(tmp_path / name, stripes(14, standing=name == "Normal"))
    info = describe(f"folder:{tmp_path}")
    assert (info.class_names, info.normal_class) == (("Normal", *others), 0)
    assert TrainConfig(dataset=f"folder:{tmp_path}").classes == (0,)


def test_without_a_class_called_normal_each_is_normal_in_turn_and_that_is_said(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        write_images(tmp_path / name, stripes(14, standing=name == "good"))
    assert describe(f"folder:{tmp_path}").normal_class is None
    notes = [load(f"folder:{tmp_path}", part).notes for part in ("train", "test")]
    assert ["no single class is called normal: each of its 2 can be" in " ".join(each) for each in notes] == [
        True,
        False,
    ]


def test_a_single_image_is_tested_on_only_where_training_then_has_no_anomalies(tmp_path: Path) -> None:
    write_images(tmp_path / "normal", stripes(24, standing=True))
    write_images(tmp_path / "dent", stripes(1, standing=False))
    name = f"folder:{tmp_path}"
    assert [len(load(name, part).labels) for part in ("train", "test")] == [20, 5]
    write_images(tmp_path / "crack", stripes(6, standing=False))
    with pytest.raises(DatasetError, match="class 'dent' has one image"):
        load(name, "train")
    shutil.rmtree(tmp_path / "crack")
    for path in sorted((tmp_path / "normal").rglob("*.png"))[1:]:
        path.unlink()
    with pytest.raises(DatasetError, match=r"class '(dent|normal)' has one image"):
        load(name, "train")


def test_links_to_the_same_images_count_once(tmp_path: Path) -> None:
    for name in ("normal", "anomaly"):
        write_images(tmp_path / name / "2024-05-01", stripes(12, standing=name == "normal"))
    (tmp_path / "normal" / "latest").symlink_to("2024-05-01")
    parts = [load(f"folder:{tmp_path}", part) for part in ("train", "test")]
    assert sum(len(part.labels) for part in parts) == 24
    assert any("links to files that are there already" in line for line in parts[0].notes)
    (tmp_path / "anomaly" / "one.png").symlink_to(next((tmp_path / "normal").rglob("*.png")))
    with pytest.raises(DatasetError, match="one file, in two classes"):
        load(f"folder:{tmp_path}", "train")
