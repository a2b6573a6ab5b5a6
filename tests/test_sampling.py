"""Drawing anomalies down: shares, clusters and their cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adcore.datasets import ImageDataset
from adcore.protocols.experiments import one_vs_rest
from adcore.protocols.sampling import cluster, draw_by_cluster, draw_random, equal_shares
from tests.drawn_experiments import KMEANS_OR_RANDOM

sizes_and_total = st.lists(st.integers(0, 40), min_size=1, max_size=12).flatmap(
    lambda sizes: st.tuples(st.just(sizes), st.integers(0, sum(sizes)))
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(sizes_and_total)
def test_shares_sum_to_the_total_fit_and_are_even_where_there_is_room(case: tuple[list[int], int]) -> None:
    sizes, total = case
    shares = equal_shares(total, sizes)
    assert sum(shares) == total
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    roomy = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    if roomy:
        assert max(roomy) - min(roomy) <= 1
        assert max(shares) <= min(roomy) + 1  # a full place holds no more than the others, the remainder apart


def test_shares_by_hand() -> None:
    assert equal_shares(9, [3, 3, 3]) == [3, 3, 3]
    assert equal_shares(10, [1, 100, 3]) == [1, 6, 3]
    assert sorted(equal_shares(11, [9, 9, 9])) == [3, 4, 4]


def test_more_than_there_is_cannot_be_shared() -> None:
    with pytest.raises(ValueError, match="cannot draw 7 from 6"):
        equal_shares(7, [1, 2, 3])


@given(
    labels=st.lists(st.integers(0, 3), min_size=20, max_size=80),
    seed=st.integers(0, 5),
    part=st.floats(0, 1, allow_nan=False),
)
def test_draw_by_cluster_is_even_over_classes_and_their_clusters(labels: list[int], seed: int, part: float) -> None:
    labels = [*labels, 1, 2]  # never without an anomaly
    classes = torch.tensor(labels)
    clusters = torch.randint(4, classes.shape, generator=seeded(seed))
    present = [c for c in (1, 2, 3) if c in labels]
    total = int(part * sum(labels.count(c) for c in present))
    drawn = draw_by_cluster(classes, clusters, present, total, seeded(seed))
    assert len(drawn) == len(set(drawn.tolist())) == total
    assert set(classes[drawn].tolist()) <= set(present)
    if total < len(present):  # which classes give an image is drawn, too
        assert len(set(classes[drawn].tolist())) == total
        return
    shares = equal_shares(total, [labels.count(c) for c in present])
    for index, share in zip(present, shares, strict=True):
        own = drawn[classes[drawn] == index]
        assert len(own) == share
        if share < len(clusters[classes == index].unique()):  # which clusters give one is drawn, too
            assert len(clusters[own].unique()) == share
            continue
        sizes = clusters[classes == index].bincount(minlength=4)
        counts = clusters[own].bincount(minlength=4)
        roomy = counts[counts < sizes]
        assert len(roomy) == 0 or (roomy.max() - roomy.min() <= 1 and counts.max() <= roomy.min() + 1)


def test_fewer_images_than_classes_are_of_any_of_them_whatever_their_sizes() -> None:
    labels = torch.tensor([0] * 9 + [1] * 4 + [2] * 4 + [3] * 5 + [5])
    drawn = [draw_by_cluster(labels, labels * 0, [1, 2, 3, 4], 2, seeded(seed)) for seed in range(60)]
    assert {tuple(sorted(labels[each].tolist())) for each in drawn} == {(1, 2), (1, 3), (2, 3)}
    assert len({tuple(each.tolist()) for each in drawn}) > 20


def test_fewer_images_than_clusters_of_a_class_are_of_any_of_them() -> None:
    labels, clusters = torch.tensor([0] * 5 + [1] * 30), torch.arange(35) % 10
    drawn = torch.cat([draw_by_cluster(labels, clusters, [1], 2, seeded(seed)) for seed in range(300)])
    assert (clusters[drawn].bincount(minlength=10) > 30).all(), "each in about 60 of 600"


def test_draw_random_takes_every_image_of_the_classes_equally_often() -> None:
    labels = torch.arange(60) % 3
    counts = torch.zeros(60)
    for seed in range(1000):
        counts[draw_random(labels, [0, 2], 10, seeded(seed))] += 1
    assert counts.sum() == 10_000
    assert (counts[labels == 1] == 0).all()
    drawn = counts[labels != 1]  # 40 images, binomial with p = 1/4: 250 +- 13.7
    assert ((drawn - 250).abs() < 5 * 13.7).all()


@pytest.mark.parametrize("by_cluster", [True, False])
def test_same_seed_same_draw_and_another_seed_another(by_cluster: bool) -> None:
    labels, clusters = torch.arange(90) % 3, torch.arange(90) // 3 % 5

    def draw(seed: int) -> list[int]:
        if by_cluster:
            return draw_by_cluster(labels, clusters, [1, 2], 20, seeded(seed)).tolist()
        return draw_random(labels, [1, 2], 20, seeded(seed)).tolist()

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)


def find(data: ImageDataset, cache: Path, *, clusters: int = 5, seed: int = 0, name: str = "a") -> torch.Tensor:
    return cluster(data.images, data.labels, clusters=clusters, seed=seed, name=name, cache=cache)


def test_clusters_are_found_class_by_class_and_group_like_with_like(digits_train: ImageDataset, tmp_path: Path) -> None:
    found = find(digits_train, tmp_path)
    assert (found.dtype, found.shape) == (torch.int64, digits_train.labels.shape)
    pixels = digits_train.images.flatten(1).double()
    for index in range(10):
        own, groups = pixels[digits_train.labels == index], found[digits_train.labels == index]
        assert groups.unique().tolist() == [0, 1, 2, 3, 4]
        within = sum((own[groups == g] - own[groups == g].mean(0)).square().sum() for g in range(5))
        assert within < 0.8 * (own - own.mean(0)).square().sum()  # groups drawn at random would leave 97 %


def test_fewer_images_than_clusters_are_a_cluster_each(digits_train: ImageDataset, tmp_path: Path) -> None:
    few = slice(0, 3)
    images, labels = digits_train.images[few], torch.zeros(3, dtype=torch.int64)
    found = cluster(images, labels, clusters=10, seed=0, name="few", cache=tmp_path)
    assert sorted(found.tolist()) == [0, 1, 2]


def test_cached_clusters_are_the_computed_ones_and_are_read_again(digits_train: ImageDataset, tmp_path: Path) -> None:
    first = find(digits_train, tmp_path)
    (stored,) = tmp_path.iterdir()
    time_written = stored.stat().st_mtime_ns
    assert torch.equal(find(digits_train, tmp_path), first)
    assert stored.stat().st_mtime_ns == time_written
    assert torch.equal(find(digits_train, tmp_path / "another"), first)


@pytest.mark.parametrize("kept", [0, 1, 60, 128, 129, 1000])
def test_a_cut_cache_file_is_computed_again_and_replaced(digits_train: ImageDataset, tmp_path: Path, kept: int) -> None:
    first = find(digits_train, tmp_path)
    (stored,) = tmp_path.iterdir()
    whole = stored.read_bytes()
    stored.write_bytes(whole[:kept])
    assert torch.equal(find(digits_train, tmp_path), first)
    assert stored.read_bytes() == whole
    assert len(list(tmp_path.iterdir())) == 1, "a temporary file was left behind"


def test_cache_tells_images_settings_and_data_sets_apart(digits_train: ImageDataset, tmp_path: Path) -> None:
    find(digits_train, tmp_path)
    for changes in ({"clusters": 4}, {"seed": 1}, {"name": "b"}):
        find(digits_train, tmp_path, **changes)  # type: ignore[arg-type]
    cluster(digits_train.images[1:], digits_train.labels[1:], clusters=5, seed=0, name="a", cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(digits_train: ImageDataset, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert torch.equal(find(digits_train, blocked), find(digits_train, tmp_path / "folder"))


def test_the_largest_legal_seed_is_a_seed(digits_train: ImageDataset, tmp_path: Path) -> None:
    assert len(find(digits_train, tmp_path, seed=2**63)) == len(digits_train.labels)


@KMEANS_OR_RANDOM
def test_scarce_anomalies_are_repeated_whatever_their_class(digits_train: ImageDataset, sampling: str) -> None:
    data = digits_train
    few = torch.cat([(data.labels == index).nonzero()[:count, 0] for index, count in ((0, 120), (1, 40), (2, 40))])
    draw = one_vs_rest(
        data.images, data.labels, few, sampling=sampling, clusters=5, split_seed=0, content_hash="few", only=0
    )
    repeated = torch.zeros(3)
    for seed in range(50):
        [positions, counts] = draw(0, seed, 0).anomalous.unique(return_counts=True)
        assert len(positions) == 80
        repeated += data.labels[positions[counts == 2]].bincount(minlength=3)
    assert repeated.sum() == 50 * 40
    assert (repeated[1:] - 1000).abs().max() < 150
