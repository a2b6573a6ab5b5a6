"""Data sets as a user meets them: names, contents, search order, and what is said of a wrong file."""

from __future__ import annotations

import builtins
import gzip
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adcore.datasets import DATASETS, PARTS, DatasetInfo, ImageDataset, check_name, load, registry
from adcore.datasets.files import MANIFEST, DatasetError, find_file
from adcore.datasets.locate import Request, find_part
from adcore.protocols.splits import split
from tests.fresh_python import fresh_imports
from tests.small_idx import IMAGES, LABELS, idx_images, idx_labels, small_set, write_train


def load_small(folder: Path, *, allow_unverified: bool = True) -> ImageDataset:
    return load("fashion-mnist", "train", data_dir=folder, allow_unverified=allow_unverified)


def error_of(folder: Path, *, allow_unverified: bool = True) -> str:
    with pytest.raises(DatasetError) as caught:
        load_small(folder, allow_unverified=allow_unverified)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("part", "per_class"), [("train", 6000), ("test", 1000)])
def test_fashion_mnist_has_its_published_shape_and_class_counts(part: Any, per_class: int) -> None:
    dataset = load("fashion-mnist", part)
    assert dataset.images.shape == (10 * per_class, 1, 28, 28)
    assert (dataset.images.dtype, dataset.labels.dtype) == (torch.uint8, torch.int64)
    assert dataset.labels.bincount().tolist() == [per_class] * 10
    assert (dataset.name, dataset.part, dataset.channels, len(dataset.class_names)) == ("fashion-mnist", part, 1, 10)


def test_loading_the_training_part_opens_no_test_file(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real_open = builtins.open

    def recording_open(file: Any, *arguments: Any, **keywords: Any) -> Any:
        opened.append(str(file))
        return real_open(file, *arguments, **keywords)

    load("fashion-mnist", "train")  # whatever must be fetched is fetched now
    monkeypatch.setattr(builtins, "open", recording_open)
    load("fashion-mnist", "train")
    assert any(IMAGES in path for path in opened), "the tripwire saw nothing"
    assert not [path for path in opened if "t10k" in path]


def test_digits_split_is_stratified_fixed_and_complete() -> None:
    train, test = load("digits", "train"), load("digits", "test")
    assert train.images.shape[1:] == (1, 8, 8)
    assert len(train.images) + len(test.images) == 1797
    shares = test.labels.bincount() / (test.labels.bincount() + train.labels.bincount())
    assert (shares - 1 / 6).abs().max() < 0.01
    assert (int(train.images.max()), int(train.images.min())) == (255, 0)
    # Recorded once: a change of this hash is a change of every published number on digits.
    assert test.content_hash == "9ea78edc8fd4e5ec7fc53808266d3dfa988986b22854c4e61d84e26cb43c9599"
    assert load("digits", "test").content_hash == test.content_hash != train.content_hash


def test_every_data_set_has_ten_named_classes_and_a_full_order_or_none() -> None:
    assert tuple(DATASETS) == ("fashion-mnist", "mnist", "cifar10", "digits")
    for name, info in DATASETS.items():
        assert info.name == name
        assert len(set(info.class_names)) == 10
        assert sorted(info.hardest_first or range(10)) == list(range(10))


def test_unknown_name_suggests_the_nearest_and_lists_the_legal_ones() -> None:
    with pytest.raises(DatasetError, match=r"'fashon'.*did you mean 'fashion-mnist'.*mnist, cifar10, digits"):
        check_name("fashon")
    with pytest.raises(DatasetError, match=r"'validation'.*train, test"):
        load("digits", "validation")  # type: ignore[arg-type]
    assert PARTS == ("train", "test")


def test_importing_datasets_imports_nothing_heavy() -> None:
    assert fresh_imports("adcore.datasets") & {"torch", "numpy", "sklearn", "click"} == set()


def test_images_that_do_not_fit_their_labels_are_refused() -> None:
    info = DatasetInfo("x", ("a",), 1, 2, (0,), 3)
    with pytest.raises(ValueError, match=r"expected labels \[3\], got \(2,\)"):
        ImageDataset(info, "train", torch.zeros(3, 1, 2, 2), torch.zeros(2), "")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((3, 1, 8, 8)), np.zeros(3, np.uint8), r"^digits: expected images uint8 \(3, 1, 8, 8\).*float64"),
        (np.zeros((3, 8, 8), np.uint8), np.zeros(3, np.uint8), r"^digits: .*got uint8 \(3, 8, 8\)"),
        (np.zeros((3, 1, 8, 8), np.uint8), np.zeros(2, np.uint8), r"^digits: expected images uint8 \(2, 1, 8, 8\)"),
        (np.zeros((3, 1, 8, 8), np.uint8), np.zeros(3, np.int64), r"^digits: .*got .*int64 \(3,\)"),
        (np.zeros((3, 1, 8, 8), np.uint8), np.full(3, 10, np.uint8), "^digits: label 10, expected 0 to 9"),
    ],
)
def test_a_reader_that_gives_something_else_is_refused(
    images: np.ndarray, labels: np.ndarray, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_REGISTRY", {"digits": (DATASETS["digits"], lambda *_: (images, labels))})
    with pytest.raises(DatasetError, match=message):
        load("digits", "train")


@pytest.mark.parametrize("name", ["fashion-mnist", "digits"])
def test_the_smallest_class_is_as_large_as_the_catalogue_says(name: str) -> None:
    labels = load(name, "train").labels
    assert int(labels[split(labels, split_seed=0).fit].bincount().min()) == DATASETS[name].smallest_class


def test_truncated_file_is_named_and_not_used(tmp_path: Path) -> None:
    path = write_train(tmp_path, idx_images(), idx_labels())
    path.write_bytes(path.read_bytes()[:-9])
    for allow_unverified in (False, True):
        message = error_of(tmp_path, allow_unverified=allow_unverified)
        assert message.startswith(f"{path}: cut short")
    assert path.exists(), "a file in the user's folder was deleted"


def test_foreign_file_is_named_and_not_used(tmp_path: Path) -> None:
    path = write_train(tmp_path, idx_images(), idx_labels())
    path.write_bytes(b"<html>Please log in</html>")
    assert error_of(tmp_path).startswith(f"{path}: damaged or not gzip")


def test_decompression_bomb_is_refused_beyond_the_expected_size(tmp_path: Path) -> None:
    path = write_train(tmp_path, b"\0" * 60_000_000, idx_labels())
    assert error_of(tmp_path).startswith(f"{path}: larger than the 47040016 bytes")


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (idx_images(magic=0x801), idx_labels(), "magic number 0x00000801, not 0x00000803"),
        (idx_images(size=32), idx_labels(), "images of 32x32 pixels, expected 28x28"),
        (idx_images()[:-5], idx_labels(), "bytes, but shape"),
        (idx_images(0), idx_labels(0), "0 images or labels, expected at least one"),
        (b"\0" * 7, idx_labels(), "too short for an IDX file"),
        (idx_images(), idx_labels(4), "4 labels for the 3 images"),
        (idx_images(), idx_labels(first=8), "label 10, expected 0 to 9"),
    ],
)
def test_malformed_idx_is_named_even_when_unverified_is_allowed(
    tmp_path: Path, images: bytes, labels: bytes, reason: str
) -> None:
    write_train(tmp_path, images, labels)
    message = error_of(tmp_path)
    assert message.startswith(str(tmp_path))
    assert reason in message


def test_file_of_the_users_own_making_needs_allow_unverified(tmp_path: Path) -> None:
    path = write_train(tmp_path, idx_images(), idx_labels())
    message = error_of(tmp_path, allow_unverified=False)
    assert message.startswith(str(path))
    assert "allow_unverified" in message
    dataset = load_small(tmp_path)
    assert dataset.images.flatten()[:4].tolist() == [0, 1, 2, 3]
    assert dataset.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("subfolder", ["", "fashion-mnist"])
def test_both_layouts_of_a_data_folder_are_read(tmp_path: Path, subfolder: str, compressed: bool) -> None:
    path = write_train(tmp_path / subfolder, idx_images(), idx_labels())
    if not compressed:
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert len(load_small(tmp_path).images) == 3


def test_given_folder_wins_over_the_environment_and_is_the_only_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_train(tmp_path / "variable", idx_images(2), idx_labels(2))
    write_train(tmp_path / "argument", idx_images(3), idx_labels(3))
    monkeypatch.setenv("ADCORE_DATA", str(tmp_path / "variable"))
    assert len(load("fashion-mnist", "train", allow_unverified=True).images) == 2
    assert len(load_small(tmp_path / "argument").images) == 3
    (tmp_path / "empty").mkdir()
    assert f"{IMAGES}, {LABELS} (or .gz); no other place is searched" in error_of(tmp_path / "empty")
    assert "no such folder" in error_of(tmp_path / "absent")


def test_wrong_file_in_the_system_folder_is_reported_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADCORE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = write_train(tmp_path / "system", idx_images(2), idx_labels())
    files = replace(small_set((tmp_path / "nothing").as_uri()), system_folder=tmp_path / "system")
    with pytest.raises(DatasetError) as caught:
        find_part(files, Request("train"))
    message = str(caught.value)
    for place in (
        str(tmp_path / "cache"),
        str(path),
        "nothing/",
        "python -m adcore.datasets fetch small",
        "ADCORE_DATA",
    ):
        assert place in message
    assert path.exists()


def test_cifar10_records_are_read_channel_first_and_checked_by_the_manifest(tmp_path: Path) -> None:
    record = bytes([7]) + bytes([1]) * 1024 + bytes([2]) * 1024 + bytes([3]) * 1024
    path = tmp_path / "test_batch.bin"
    path.write_bytes(record * 2)
    with pytest.raises(DatasetError, match=f"no {MANIFEST} beside it lists test_batch.bin"):
        load("cifar10", "test", data_dir=tmp_path)
    dataset = load("cifar10", "test", data_dir=tmp_path, allow_unverified=True)
    assert dataset.images.shape == (2, 3, 32, 32)
    assert dataset.images[0, :, 5, 5].tolist() == [1, 2, 3]
    assert dataset.labels.tolist() == [7, 7]
    path.write_bytes(record + b"?")
    with pytest.raises(DatasetError, match="not a whole number of 3073-byte records"):
        load("cifar10", "test", data_dir=tmp_path, allow_unverified=True)


def test_what_is_not_a_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / IMAGES)
    assert find_file(tmp_path, small_set().parts["train"][0]) is None
