"""Data of one's own: which layout means what, what is left out and said so, and what is refused in one line."""

from __future__ import annotations

import contextlib
import csv
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adcore.config import TrainConfig
from adcore.data_checks import compared_under
from adcore.datasets import DatasetError, ImageDataset, Part, describe, load
from adcore.datasets.__main__ import main as datasets_main
from adcore.datasets.listing import split_by_name
from adcore.errors import UserError
from adcore.protocols.held_out import load_part
from adcore.protocols.splits import require_every_class
from tests.own_images import own_folder, stripes, write_images


def read(path: Path, part: Part = "train", size: int = 32) -> ImageDataset:
    return load(f"folder:{path}", part, image_size=size)


def counts(data: ImageDataset) -> dict[str, int]:
    return dict(zip(data.class_names, data.labels.bincount(minlength=len(data.class_names)).tolist(), strict=True))


def said(data: ImageDataset) -> str:
    return "\n".join(data.notes)


def test_classes_in_train_and_test_keep_their_parts_and_validation_joins_train(tmp_path: Path) -> None:
    for part, count in (("train", 5), ("val", 2), ("test", 3)):
        for seed, name in enumerate(("Äpfel und Birnen", "zebra", "b c")):
            write_images(tmp_path / part / name, stripes(count, standing=False, seed=seed))
    train, test = read(tmp_path), read(tmp_path, "test")
    assert train.class_names == ("b c", "zebra", "Äpfel und Birnen")
    assert (set(counts(train).values()), set(counts(test).values())) == ({7}, {3})
    assert "val/ joins train/" in said(train)
    assert TrainConfig(dataset=f"folder:{tmp_path}").classes == (0, 1, 2)


def test_classes_alone_are_split_by_file_name_and_that_is_said(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_images(tmp_path / "one" / name, stripes(30, standing=name == "b"))
    train, test = read(tmp_path / "one"), read(tmp_path / "one", "test")
    assert (counts(train), counts(test)) == ({"a": 25, "b": 25}, {"a": 5, "b": 5})
    assert "a sixth of each class, chosen by a hash of the paths, is the test part" in said(train)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert read(tmp_path / "two").content_hash == train.content_hash


def test_a_new_file_moves_few_others_to_another_part(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(60)]
    before, after = (
        set(split_by_name({"a": own}, tmp_path)["test"]["a"]) for own in (files, [*files, tmp_path / "x.png"])
    )
    assert (len(before), len(after)) == (10, 10)
    assert len(before - after) <= 1


def test_normal_and_anomaly_fix_the_normal_class(tmp_path: Path) -> None:
    name = own_folder(tmp_path)
    info = describe(name)
    assert (info.class_names, info.normal_class, info.has_anomalies) == (("normal", "anomaly"), 0, True)
    assert TrainConfig(dataset=name).classes == (0,)
    with pytest.raises(UserError, match=r"--classes 1: the normal class of folder:.* is 0 \(normal\)"):
        TrainConfig(dataset=name, classes=(1,))


def test_the_layout_of_mvtec_trains_on_its_good_images_and_says_what_it_ignores(tmp_path: Path) -> None:
    write_images(tmp_path / "train" / "good", stripes(20, standing=False))
    for kind in ("good", "crack", "dent"):
        write_images(tmp_path / "test" / kind, stripes(5, standing=True))
    write_images(tmp_path / "ground_truth" / "dent", stripes(5, standing=True))
    train, test = read(tmp_path), read(tmp_path, "test")
    assert (counts(train)["good"], len(train.labels)) == (20, 20)
    assert counts(test) == {"good": 5, "crack": 5, "dent": 5}
    assert "ground_truth/" in said(train)
    assert "training has no AUROC" in said(load_part(f"folder:{tmp_path}", "train", "one-class"))
    assert TrainConfig(dataset=f"folder:{tmp_path}").protocol == "one-class"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"protocol": "leave-one-out"}, "has one normal class, 'normal', and no other"),
        ({"protocol": "seen-unseen"}, "has 2 classes, expected at least 3"),
    ],
)
def test_protocols_that_make_no_sense_are_refused(tmp_path: Path, settings: dict[str, Any], reason: str) -> None:
    name = own_folder(tmp_path)
    for protocol in ("paper", "one-class", "balanced-9600", "rare-504", "normal-4500"):
        assert TrainConfig(dataset=name, protocol=protocol).protocol == protocol
    with pytest.raises(UserError, match=reason):
        TrainConfig(dataset=name, **settings)


@pytest.mark.parametrize("settings", [{"protocol": "seen-unseen"}, {"protocol": "rare-504"}, {"pollution": 0.1}])
def test_what_needs_anomalies_is_refused_without_any(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="no anomalies to train on"):
        TrainConfig(dataset=own_folder(tmp_path, anomaly=0), **settings)


@pytest.mark.parametrize(("normal", "is_enough"), [(13, False), (14, True)])
def test_a_class_that_is_too_small_to_train_on_is_told_by_a_plan(tmp_path: Path, normal: int, is_enough: bool) -> None:
    name = own_folder(tmp_path, normal)  # a sixth of them becomes the test part
    data = load(name, "train")
    with contextlib.nullcontext() if is_enough else pytest.raises(UserError, match="fewer than 12 images to train on"):
        compared_under(data.info, None)
    with contextlib.nullcontext() if is_enough else pytest.raises(UserError, match="expected at least 12"):
        require_every_class(data.labels, data.class_names)


def test_files_that_cannot_be_read_are_counted_and_named(tmp_path: Path) -> None:
    name = own_folder(tmp_path, 20, 20)
    for number in range(7):
        (tmp_path / "normal" / f"bad {number}.png").write_text("?")
    notes = f"{said(load(name, 'train'))}\n{said(load(name, 'test'))}"
    numbers = re.findall(r"(\d+) of \d+ files of the \w+ part cannot be read", notes)
    assert sum(map(int, numbers)) == 7
    assert "bad" in notes
    assert "not a PNG" in notes


def test_hidden_empty_and_foreign_files_links_and_suffixes(tmp_path: Path) -> None:
    write_images(tmp_path / "normal" / "deeper", stripes(20, standing=False))
    write_images(tmp_path / "normal", stripes(20, standing=False), ".JPG")
    write_images(tmp_path / "anomaly", stripes(20, standing=True), ".tiff")
    write_images(tmp_path / ".cache", stripes(3, standing=True))
    (tmp_path / "normal" / ".hidden.png").write_text("?")
    (tmp_path / "normal" / "Thumbs.db").write_text("?")
    (tmp_path / "anomaly" / "again").symlink_to(tmp_path)
    (tmp_path / "anomaly" / "itself").symlink_to(tmp_path / "anomaly" / "itself")
    (tmp_path / "nothing yet").mkdir()
    (tmp_path / "stray.png").write_text("?")
    train, test = read(tmp_path), read(tmp_path, "test")
    assert {name: counts(train)[name] + counts(test)[name] for name in train.class_names} == {
        "normal": 40,
        "anomaly": 20,
    }
    for words in ("nothing yet: no images", "a link to a folder above", "1 .db", "stray.png"):
        assert words in said(train)


def test_a_kind_of_one_image_is_tested_on_and_the_rest_trains_one_class(tmp_path: Path) -> None:
    name = own_folder(tmp_path, 20, 1)
    assert counts(load(name, "test"))["anomaly"] == 1
    assert TrainConfig(dataset=name).protocol == "one-class"


def test_grey_images_have_one_channel_and_the_test_part_those_of_the_training_part(tmp_path: Path) -> None:
    coloured = np.stack([stripes(20, standing=False)] * 3, 3)
    write_images(tmp_path / "train" / "a", stripes(20, standing=False))
    write_images(tmp_path / "test" / "a", coloured)
    write_images(tmp_path / "test" / "b", coloured)
    assert (read(tmp_path).channels, read(tmp_path, "test").channels) == (1, 1)
    write_images(tmp_path / "train" / "b", coloured)
    assert (read(tmp_path).images.shape[1:], read(tmp_path, "test", 64).images.shape[1:]) == ((3, 32, 32), (3, 64, 64))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no images; expected folders of .png"),
        (lambda path: write_images(path / "a", stripes(3, standing=True), ".gif"), "a kind that is read, but 3 .gif"),
        (lambda path: write_images(path, stripes(3, standing=True)), "its 3 images are in no class's folder; expected"),
        (lambda path: path.rmdir(), "no such folder"),
        (lambda path: write_images(path / "train" / "a", stripes(2, standing=True)), "it has train/ without test/"),
        (lambda path: write_images(path / "anomaly", stripes(9, standing=True)), "images of class 'anomaly' only"),
        (lambda path: [write_images(path / str(n), stripes(2, standing=True)) for n in range(257)], "257 classes"),
    ],
)
def test_folders_that_will_not_do_are_refused(tmp_path: Path, make: Any, reason: str) -> None:
    make(tmp_path)
    with pytest.raises(DatasetError, match=reason) as caught:
        TrainConfig(dataset=f"folder:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_names_are_checked_and_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_folder(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert TrainConfig(dataset="folder:mine").dataset == f"folder:{tmp_path}/mine"
    for name, reason in (
        ("foldr:mine", "did you mean 'folder'"), ("folder:", "a path after the colon"), ("mine", "write folder:mine"),
        ("folder:s3://bucket", "not supported"),
    ):  # fmt: skip
        with pytest.raises(DatasetError, match=reason):
            TrainConfig(dataset=name)
    with pytest.raises(DatasetError, match="leave --data-dir out"):
        load("folder:mine", "train", data_dir=tmp_path)


def test_a_table_names_images_relative_to_itself(tmp_path: Path) -> None:
    own_folder(tmp_path / "Bilder", 30, 30)
    splits = ("train", "val", "test")
    rows = [(f"Bilder/{name}/{n:03}.png", f" {name} ", splits[n % 3]) for name in ("normal", "anomaly")
            for n in range(30)]  # fmt: skip
    write_table(tmp_path / "mine.csv", ("Path", "label", "split"), rows)
    data = load(f"csv:{tmp_path}/mine.csv", "train")
    assert counts(data) == {"normal": 20, "anomaly": 20}
    write_table(tmp_path / "short.csv", ("path", "label"), [row[:2] for row in [*rows, ("gone.png", "normal")]])
    both = [load(f"csv:{tmp_path}/short.csv", part) for part in ("train", "test")]
    assert [len(each.labels) for each in both] in ([50, 10], [51, 9])
    assert "gone.png (No such file" in said(both[0]) + said(both[1])


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("file", "label")], "columns file, label; expected path and label"),
        ([("path", "label"), ("a.png", "")], "line 2: no label"),
        ([("path", "label"), ("a.png", "a"), ("./a.png", "b")], "line 3: ./a.png is in line 2, too"),
        ([("path", "label", "split"), ("a.png", "a", "dev")], "line 2: split 'dev', expected one of train"),
        ([("path", "label")], "no images to train on"),
    ],
)
def test_tables_that_will_not_do_are_refused(tmp_path: Path, rows: list[tuple[str, ...]], reason: str) -> None:
    write_table(tmp_path / "mine.csv", rows[0], rows[1:])
    with pytest.raises(DatasetError, match=reason):
        describe(f"csv:{tmp_path}/mine.csv")


def test_arrays_of_medmnist_are_kept_to_the_bit_and_larger_ones_shrink(tmp_path: Path) -> None:
    write_arrays(tmp_path / "mine.npz", side=28)
    train, test = (load(f"npz:{tmp_path}/mine.npz", part) for part in ("train", "test"))
    with np.load(tmp_path / "mine.npz") as arrays:
        expected = np.concatenate([arrays["train_images"], arrays["val_images"]])
    assert torch.equal(train.images[:, 0], torch.from_numpy(expected))
    assert (counts(train), counts(test)) == ({"3": 35, "7": 35}, {"3": 10, "7": 10})
    write_arrays(tmp_path / "large.npz", side=70, coloured=True)
    assert load(f"npz:{tmp_path}/large.npz", "test", image_size=64).images.shape == (20, 3, 64, 64)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test_labels": None}, "expected test_images and test_labels"),
        (
            {"train_images": np.zeros((60, 28, 28), np.float32)},
            r"train_images is float32 \(60, 28, 28\), expected uint8",
        ),
        ({"train_labels": np.zeros((60, 14), np.uint8)}, r"uint8 \(60, 14\), expected a whole number"),
        ({"train_labels": np.array([{}] * 60, object)}, "without pickled objects"),
    ],
)
def test_arrays_that_will_not_do_are_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    write_arrays(tmp_path / "mine.npz", side=28, **changes)
    with pytest.raises(DatasetError, match=reason):
        describe(f"npz:{tmp_path}/mine.npz")


def test_other_bytes_are_no_arrays(tmp_path: Path) -> None:
    (tmp_path / "mine.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(DatasetError, match="cannot be read as arrays"):
        describe(f"npz:{tmp_path}/mine.npz")
    with pytest.raises(DatasetError, match="no such file"):
        describe(f"npz:{tmp_path}/other.npz")


@pytest.mark.parametrize("name", ["csv:/dev/null", "npz:/dev/null", "csv:/", "npz:/"])
def test_what_is_not_a_regular_file_is_not_read(name: str) -> None:
    with pytest.raises(DatasetError, match="not a regular file"):
        describe(name)


def test_show_counts_the_images_of_each_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        datasets_main(["show", own_folder(tmp_path, 24, 12)])
    out, error = capsys.readouterr()
    assert (ended.value.code, "0 normal  train 20, test 4  (normal)" in out, "1 anomaly  train 10, test 2" in out) == (
        0, True, True,
    )  # fmt: skip
    assert error.count("chosen by a hash of the paths") == 1


def write_table(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_arrays(path: Path, *, side: int, coloured: bool = False, **changes: Any) -> None:
    arrays: dict[str, Any] = {}
    for part, count in (("train", 60), ("val", 10), ("test", 20)):
        labels = np.arange(count) % 2
        both = [stripes(count, standing=bool(kind), side=side) for kind in (0, 1)]
        images = np.where(labels[:, None, None] == 1, both[1], both[0])
        arrays |= {f"{part}_images": np.stack([images] * 3, 3) if coloured else images}
        arrays |= {f"{part}_labels": (3 + 4 * labels).astype(np.uint8)[:, None]}
    np.savez(path, **{name: each for name, each in (arrays | changes).items() if each is not None})
