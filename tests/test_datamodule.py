"""Batches: the right images, half normal and half anomalous, in an order that epoch, seed and class decide alone."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from adcore.augment import Augmentation, Resampler
from adcore.datasets import ImageDataset
from adcore.networks import IMAGE_SIZE
from adcore.protocols.experiments import Experiment, one_vs_rest
from adcore.protocols.splits import split
from adcore.random_streams import PURPOSES, generator, permutation
from adcore.train.datamodule import AnomalyDetectionDataModule, ImageStream

CPU = torch.device("cpu")
Batch = tuple[Tensor, Tensor]

#: Image i is filled with the value i, in three channels, so that a batch tells which images it was made of.
FLAT = torch.arange(200, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
EXPERIMENTS = [
    Experiment(0, torch.arange(0, 50), torch.arange(50, 100)),
    Experiment(7, torch.arange(100, 150), torch.arange(150, 200)),
]
ALL_CHANGES = Augmentation(horizontal_flip=True, vertical_flip=True, crop=True, rotate=True)


def module_of(
    images: Tensor, experiments: list[Experiment], *, batch_size: int, seed: int = 0
) -> AnomalyDetectionDataModule:
    """Serves each experiment to one member, with all changes; the same images in every epoch."""
    streams = [ImageStream(lambda _, own=each: own, ALL_CHANGES, seed) for each in experiments]
    places = range(len(streams))
    return AnomalyDetectionDataModule(images, streams, places, batch_size=batch_size, epochs=20, dtype=torch.float64)


def flat_module(batch_size: int, *, seed: int = 0) -> AnomalyDetectionDataModule:
    return module_of(FLAT, EXPERIMENTS, batch_size=batch_size, seed=seed)


def used(part: Tensor, member: int = 0) -> list[int]:
    """Which flat images [half, members*3, 32, 32] were made of, for one member."""
    values = (part.unflatten(1, (-1, 3))[:, member] + 1) * 127.5
    assert torch.allclose(values, values[:, :1, :1, :1].round(), rtol=0, atol=1e-9), "pixels of different images"
    return values[:, 0, 0, 0].round().long().tolist()


def digits_module(data: ImageDataset, classes: tuple[int, ...], *, batch_size: int = 32) -> AnomalyDetectionDataModule:
    parts = split(data.labels, split_seed=0)
    draw = one_vs_rest(
        data.images,
        data.labels,
        parts.fit,
        sampling="random",
        clusters=1,
        split_seed=0,
        content_hash=data.content_hash,
    )
    return module_of(data.images, [draw(index, 0, 0) for index in classes], batch_size=batch_size)


def epoch_of(module: AnomalyDetectionDataModule, epoch: int) -> list[Batch]:
    """As a detector of all members takes them."""
    return list(module.batches(epoch, CPU).of(range(len(module.stream_of))))


def same(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)
    )


@pytest.mark.parametrize(
    ("batch_size", "half", "steps"), [(1, 1, 50), (2, 1, 50), (16, 8, 6), (20, 10, 5), (100, 50, 1), (1000, 50, 1)]
)
def test_batches_are_half_normal_half_anomalous_and_use_no_image_twice_in_an_epoch(
    batch_size: int, half: int, steps: int
) -> None:
    module = flat_module(batch_size)
    assert len(module.batches(0, CPU)) == len(module.train_dataloader()) == module.steps_per_epoch == steps
    seen: list[Batch] = epoch_of(module, 0)
    assert len(seen) == steps
    for normal, anomalous in seen:
        assert normal.shape == anomalous.shape == (half, 2 * 3, IMAGE_SIZE, IMAGE_SIZE)
    for member, experiment in enumerate(EXPERIMENTS):
        for kind, positions in ((0, experiment.normal), (1, experiment.anomalous)):
            images = [i for batch in seen for i in used(batch[kind], member)]
            assert len(images) == len(set(images)) == half * steps
            assert set(images) <= set(positions.tolist())


@pytest.mark.parametrize(("batch_size", "size", "steps"), [(1, 1, 50), (16, 16, 3), (50, 50, 1), (1000, 50, 1)])
def test_without_anomalies_a_batch_is_of_normal_images_alone(batch_size: int, size: int, steps: int) -> None:
    none = torch.empty(0, dtype=torch.int64)
    module = module_of(
        FLAT, [Experiment(each.normal_class, each.normal, none) for each in EXPERIMENTS], batch_size=batch_size
    )
    seen = epoch_of(module, 0)
    assert len(seen) == module.steps_per_epoch == steps
    assert module.images_per_member == steps * size
    for normal, anomalous in seen:
        assert normal.shape == (size, 2 * 3, IMAGE_SIZE, IMAGE_SIZE)
        assert anomalous.shape == (0, 2 * 3, IMAGE_SIZE, IMAGE_SIZE)
    for member, experiment in enumerate(EXPERIMENTS):
        images = [i for normal, _ in seen for i in used(normal, member)]
        assert len(images) == len(set(images)) == size * steps
        assert set(images) <= set(experiment.normal.tolist())


def test_batches_are_an_index_gather_of_the_images_resized(digits_train: ImageDataset) -> None:
    served = digits_module(digits_train, (2,), batch_size=16).streams[0]
    experiment = served.draw(3)
    stream = ImageStream(served.draw, Augmentation(), 0)
    module = AnomalyDetectionDataModule(digits_train.images, [stream], [0], batch_size=16, epochs=4)
    resample = Resampler(8, IMAGE_SIZE, CPU)
    for kind, own in (("normal", experiment.normal), ("anomaly", experiment.anomalous)):
        order = own[permutation(len(own), 0, 2, f"order-{kind}", 3)]
        got = torch.cat([batch[kind == "anomaly"] for batch in epoch_of(module, 3)])
        expected = resample.plain(digits_train.images[order[: len(got)]])
        assert len(got) == len(own) // 8 * 8
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_order_is_fresh_each_epoch_and_differs_between_normal_and_anomalous_images() -> None:
    module = flat_module(100)
    (first,), (second,) = epoch_of(module, 0), epoch_of(module, 1)
    orders = [[i % 50 for i in used(part)] for part in (*first, *second)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_images_left_over_in_one_epoch_are_used_in_another() -> None:
    module = flat_module(64)  # 32 of 50 images an epoch
    seen = {i for epoch in range(10) for normal, _ in epoch_of(module, epoch) for i in used(normal)}
    assert seen == set(range(50))  # left out ten times over: (18/50)^10 = 4e-5 an image


def test_augmentation_is_drawn_anew_each_epoch(digits_train: ImageDataset) -> None:
    single = [Experiment(0, torch.tensor([0]), torch.tensor([1]))]
    module = module_of(digits_train.images, single, batch_size=1)
    epochs = [epoch_of(module, epoch)[0] for epoch in range(12)]
    for kind in (0, 1):  # one image each, so whatever differs is the augmentation
        distinct = {tuple(epoch[kind].flatten().tolist()) for epoch in epochs}
        assert len(distinct) >= 10


def test_an_epoch_is_the_same_whatever_came_before(digits_train: ImageDataset) -> None:
    module = digits_module(digits_train, (0, 5))
    for epoch in range(3):
        epoch_of(module, epoch)
    torch.rand(7)  # nor does the global generator matter
    late, fresh = epoch_of(module, 3), epoch_of(digits_module(digits_train, (0, 5)), 3)
    assert same(late, fresh)
    assert not same(late, epoch_of(module, 2))


def test_iterating_twice_gives_the_same_batches(digits_train: ImageDataset) -> None:
    batches = digits_module(digits_train, (0,)).batches(1, CPU)
    assert same(list(batches.of(range(1))), list(batches.of(range(1))))


def test_a_batch_is_the_same_by_its_number_from_the_host_and_from_the_device(digits_train: ImageDataset) -> None:
    batches = digits_module(digits_train, (0, 5)).batches(2, CPU)
    counter = torch.zeros(1, dtype=torch.int64)
    for step in range(len(batches)):
        assert same([batches[step]], [batches.at(counter)])
        counter += 1
    assert step > 0


def test_an_epoch_takes_on_the_tables_of_another_in_place(digits_train: ImageDataset) -> None:
    module = digits_module(digits_train, (0, 5))
    first, second = module.batches(0, CPU), module.batches(1, CPU)
    tables = [table.data_ptr() for table in first.tables]
    first.copy_(second)
    assert first.epoch == 1
    assert [table.data_ptr() for table in first.tables] == tables
    assert same(list(first.of(range(2))), list(second.of(range(2))))


def test_a_failure_in_drawing_ahead_is_raised_where_the_epoch_is_asked_for() -> None:
    def draw(epoch: int) -> Experiment:
        if epoch == 1:
            raise ValueError("no more images")
        return EXPERIMENTS[0]

    module = AnomalyDetectionDataModule(FLAT, [ImageStream(draw, ALL_CHANGES, 0)], [0], batch_size=16, epochs=2)
    assert len(epoch_of(module, 0)) == 6
    with pytest.raises(ValueError, match="no more images"):
        epoch_of(module, 1)


def test_ten_members_draw_what_ten_single_experiments_draw(digits_train: ImageDataset) -> None:
    together = epoch_of(digits_module(digits_train, tuple(range(10))), 2)
    for member in range(10):
        alone = epoch_of(digits_module(digits_train, (member,)), 2)
        own = [(normal[:, member : member + 1], anomalous[:, member : member + 1]) for normal, anomalous in together]
        assert len(own) > 1
        assert same(own, alone)


def test_the_seed_decides_order_and_augmentation() -> None:
    same_seed, other_seed = flat_module(100), flat_module(100, seed=1)
    assert same(epoch_of(flat_module(100), 0), epoch_of(same_seed, 0))
    assert used(epoch_of(same_seed, 0)[0][0]) != used(epoch_of(other_seed, 0)[0][0])


def test_streams_of_every_purpose_class_epoch_and_seed_are_different() -> None:
    names = list(itertools.product((0, 1), (0, 1), PURPOSES, (0, 1)))
    drawn = {torch.randint(2**62, (1,), generator=generator(*name)).item() for name in names}
    assert len(drawn) == len(names) == 104
    with pytest.raises(ValueError, match="not in tuple"):
        generator(0, 0, "no such purpose")


def test_each_epoch_may_have_draws_of_its_own(digits_train: ImageDataset) -> None:
    draw = one_vs_rest(
        digits_train.images, digits_train.labels, split(digits_train.labels, split_seed=0).fit, sampling="kmeans",
        clusters=5, split_seed=0, content_hash=digits_train.content_hash,
    )  # fmt: skip
    streams = [ImageStream(lambda epoch, own=index: draw(own, 0, epoch), Augmentation(), 0) for index in (3, 6)]
    module = AnomalyDetectionDataModule(digits_train.images, streams, [0, 1], batch_size=32, epochs=2)
    first, second = ([stream.draw(epoch) for stream in streams] for epoch in (0, 1))
    seen: set[int] = set()
    for epoch, experiments in ((0, first), (1, second)):
        positions = module.batches(epoch, CPU).tables[0]  # [steps, normal and anomalous, members]
        for member, experiment in enumerate(experiments):
            used = positions[:, module.half :, member].flatten().tolist()
            assert set(used) <= set(experiment.anomalous.tolist())
            assert (digits_train.labels[experiment.anomalous] != experiment.normal_class).all()
            counts = digits_train.labels[experiment.anomalous].bincount(minlength=10)
            assert counts[counts > 0].max() - counts[counts > 0].min() <= 1, "balanced in each epoch"
        seen |= set(experiments[0].anomalous.tolist())
    assert len(seen) > 1.3 * len(first[0].anomalous), "more anomalies than one draw holds"
    assert same(epoch_of(module, 1), epoch_of(module, 1))
