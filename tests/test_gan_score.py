"""The anomaly score of the two-discriminator GAN: what it is made of, and that scoring changes nothing."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.networks import IMAGE_SIZE
from adcore.train.batch_scores import anomaly_scores
from adcore.train.pack import Pack
from tests.gan_parts import images_of, make


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_score_is_one_continuous_number_per_image_and_member(channels: int, members: int) -> None:
    detector = make(range(members), channels=channels)
    images = torch.rand(50, channels, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0)).double()
    scores = detector.score(images)
    assert scores.shape == (50, members)
    assert not scores.requires_grad
    assert len(scores.unique()) == 50 * members, "scores that are labels already"
    detector.eval()
    for member in range(members):
        output = detector.generator(images.repeat(1, members, 1, 1))[0].unflatten(1, (members, channels))[:, member]
        torch.testing.assert_close(scores[:, member], (images - output).abs().mean((1, 2, 3)), rtol=1e-12, atol=0)


def test_the_latent_distance_is_added_to_the_score_by_each_members_weight() -> None:
    detector, plain = make(score_latent=[0.0, 0.5, 2.0]), make()
    images = torch.rand(20, 1, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0)).double()
    added = detector.score(images) - plain.score(images)
    detector.eval()
    output, code = detector.generator(images.repeat(1, 3, 1, 1))
    distance = (code - detector.generator.encode(output)).unflatten(1, (3, -1)).abs().mean((2, 3, 4))
    assert distance.min() > 0
    torch.testing.assert_close(added, distance * torch.tensor([0.0, 0.5, 2.0]), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_scoring_an_image_alone_or_among_others_is_the_same_and_changes_nothing(
    training: bool, digits_train: ImageDataset
) -> None:
    detector = make()
    detector.train(training)
    for _ in range(3):  # running statistics that are not the initial ones
        detector.generator.train()(images_of(digits_train, slice(0, 30)).repeat(1, 3, 1, 1))
    detector.train(training)
    state = {name: value.clone() for name, value in detector.state_dict().items()}
    images = images_of(digits_train, slice(0, 40))
    together = detector.score(images)
    alone = torch.cat([detector.score(image[None]) for image in images])
    torch.testing.assert_close(alone, together, rtol=1e-10, atol=0)
    assert all(module.training is training for module in detector.modules())
    assert sum("running" in name for name in state) == 3 * 2 * 3 + 2 * 3, "no running statistics to change"
    assert all(torch.equal(value, detector.state_dict()[name]) for name, value in state.items())


def test_a_mirrored_score_is_the_mean_over_an_image_and_its_mirror_image(digits_train: ImageDataset) -> None:
    member = TrainConfig(dataset="digits", classes=(3,), width=4, precision="64-true")
    made = Pack([member, dataclasses.replace(member, train_seed=1)], 1, strategy="grouped")
    images = digits_train.images[:8]
    plain, mirrored = anomaly_scores(made, images), anomaly_scores(made, images, mirrored=True)
    assert torch.allclose(mirrored, (plain + anomaly_scores(made, images.flip(3))) / 2, rtol=0, atol=1e-12)
    assert not torch.allclose(mirrored, plain)
