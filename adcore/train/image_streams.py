"""Image streams of a pack: members that see the same images in the same order share one stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adcore.augment import Augmentation
from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.protocols.experiments import Experiment, one_vs_rest
from adcore.pseudo_anomalies import PseudoAnomalies
from adcore.train.build import split_train
from adcore.train.datamodule import AnomalyDetectionDataModule, ImageStream
from adcore.train.precision import DTYPES

__all__ = ["data_module"]

#: Draws the experiment of a class with a training seed in an epoch.
Draw = Callable[[int, int, int], Experiment]
#: The fields that decide what is drawn from, in addition to adcore.train.members.SHARED.
_OF_DRAWS = ("split_seed", "known_classes", "labelled_share", "pollution", "sampling", "clusters")
#: The fields that decide which images a member sees, in which order and how augmented.
_OF_STREAMS = (
    *_OF_DRAWS, "classes", "train_seed", "draws", "horizontal_flip", "vertical_flip", "crop", "rotate",
    "pseudo_share",
)  # fmt: skip


def data_module(data: ImageDataset, members: Sequence[TrainConfig], until: int) -> AnomalyDetectionDataModule:
    """The data module of the members' batches up to epoch `until`. data: the train part."""
    draws: dict[tuple[object, ...], Draw] = {}
    streams: dict[tuple[object, ...], ImageStream] = {}
    keys: list[tuple[object, ...]] = []
    for member in members:
        drawn_by, key = (tuple(getattr(member, name) for name in names) for names in (_OF_DRAWS, _OF_STREAMS))
        if drawn_by not in draws:
            draws[drawn_by] = _draw(data, member)
        if key not in streams:
            streams[key] = _stream(member, draws[drawn_by])
        keys.append(key)
    order = list(streams)
    return AnomalyDetectionDataModule(
        data.images,
        list(streams.values()),
        [order.index(key) for key in keys],
        batch_size=members[0].batch_size,
        epochs=until,
        image_size=members[0].image_size,
        dtype=DTYPES[members[0].precision],
    )


def _draw(data: ImageDataset, member: TrainConfig) -> Draw:
    return one_vs_rest(
        data.images,
        data.labels,
        split_train(member, data.labels).fit,
        sampling=member.sampling,
        clusters=member.clusters,
        split_seed=member.split_seed,
        content_hash=data.content_hash,
        exposure=member.exposure,
        only=data.info.normal_class,
    )


def _stream(member: TrainConfig, draw: Draw) -> ImageStream:
    [index], seed = member.classes, member.train_seed
    first = draw(index, seed, 0)
    changes = Augmentation(member.horizontal_flip, member.vertical_flip, member.crop, member.rotate)
    each_epoch = member.draws == "each-epoch"
    pseudo = PseudoAnomalies.of(member.pseudo_anomalies, member.pseudo_share, changes)
    return ImageStream(lambda epoch: draw(index, seed, epoch) if each_epoch else first, changes, seed, pseudo)
