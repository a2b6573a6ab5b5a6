"""What `throughput.py` measures adcore against: a bare PyTorch loop, and the way of the published projects."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Adam
from torch.utils.data import Dataset
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from adcore import losses
from adcore.config import TrainConfig
from adcore.datasets import ImageDataset
from adcore.networks import IMAGE_SIZE, Discriminator, Generator

__all__ = ["Networks", "PilImages", "SeedsModule", "bare_loop", "of_both_kinds"]

WEIGHTS = TrainConfig().weights


def of_both_kinds(data: ImageDataset, count: int) -> tuple[Tensor, Tensor]:
    """The first images of class 0 and the first of the others, uint8 [count, channels, side, side] each."""
    return data.images[data.labels == 0][:count], data.images[data.labels != 0][:count]


class Networks:
    """The three networks and two optimisers that every contestant trains. weights: of the generator's losses."""

    def __init__(
        self,
        width: int,
        device: torch.device,
        *,
        weights: Mapping[str, float] = WEIGHTS,
        learning_rate: float = 1e-3,
        **adam: Any,
    ) -> None:
        self.weights = weights
        self.generator = Generator(channels=1, width=width).to(device)
        self.normal, self.anomaly = (Discriminator(channels=1, width=width).to(device) for _ in range(2))
        critics = [*self.normal.parameters(), *self.anomaly.parameters()]
        self.optimizers = [
            Adam(own, learning_rate, betas=(0.5, 0.999), **adam) for own in (self.generator.parameters(), critics)
        ]

    def on_normal(self, image: Tensor, output: Tensor, code: Tensor) -> Tensor:
        """Weighted generator losses of normal images."""
        return (
            self.weights["reconstruction"] * losses.reconstruction(image[:, None], output[:, None])
            + self.weights["patch"] * losses.patch(image[:, None], output[:, None])
            + self.weights["latent"] * losses.latent(code[:, None], self.generator.encode(output)[:, None])
            + self.weights["adversarial_normal"] * losses.adversarial_normal(self.normal(output)[:, None])
        ).sum()

    def on_anomalous(self, image: Tensor, output: Tensor) -> Tensor:
        """Weighted generator losses of anomalous images."""
        fooled = losses.adversarial_anomaly(self.anomaly(output)[:, None])
        return (
            self.weights["abc"] * losses.abc(image[:, None], output[:, None])
            + self.weights["adversarial_anomaly"] * fooled
        ).sum()


def critic_loss(critic: Discriminator, image: Tensor, output: Tensor) -> Tensor:
    return losses.discriminator(critic(image)[:, None], critic(output.detach())[:, None]).sum()


def bare_loop(networks: Networks, batches: list[tuple[Tensor, Tensor]]) -> None:
    """The detector's training step, a mixed batch through the generator, without anything around it."""
    (generator_step, critic_step), generator = networks.optimizers, networks.generator
    of_generator = list(generator.parameters())
    of_critics = [*networks.normal.parameters(), *networks.anomaly.parameters()]
    for normal, anomalous in batches:
        output, code = generator(torch.cat([normal, anomalous]))
        half = len(normal)
        on_normal, on_anomalous = output.split(half)
        loss = networks.on_normal(normal, on_normal, code[:half]) + networks.on_anomalous(anomalous, on_anomalous)
        generator_step.zero_grad()
        loss.backward(inputs=of_generator)
        generator_step.step()
        loss = critic_loss(networks.normal, normal, on_normal) + critic_loss(networks.anomaly, anomalous, on_anomalous)
        critic_step.zero_grad()
        loss.backward(inputs=of_critics)
        critic_step.step()


class PilImages(Dataset):
    """Normal images (0) and anomalies (1) in turn, as PIL images changed one by one."""

    def __init__(self, data: ImageDataset, count: int) -> None:
        crop = v2.Lambda(lambda image: v2.functional.crop(image, *torch.randint(3, (2,)).tolist(), 26, 26))
        turn = v2.Lambda(lambda image: v2.functional.rotate(image, 90 * int(torch.randint(4, ()))))
        flips = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
        scale = [v2.Resize(IMAGE_SIZE), v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5])]
        self.change = v2.Compose([*flips, crop, turn, *scale])
        self.images = torch.stack(of_both_kinds(data, count // 2), 1).flatten(0, 1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.change(to_pil_image(self.images[index])), index % 2


class SeedsModule(pl.LightningModule):
    """Manual optimisation, one image at a time; both losses are logged at each step, as the reports' curves are."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.seconds = self.started = 0.0
        self.networks = networks
        self.parts = torch.nn.ModuleList([networks.generator, networks.normal, networks.anomaly])

    def configure_optimizers(self) -> Any:
        return self.networks.optimizers

    def on_train_epoch_start(self) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        self.seconds = time.perf_counter() - self.started

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        image, kind = batch
        generator_step, critic_step = self.optimizers()
        output, code = self.networks.generator(image)
        anomalous = bool(kind)
        loss = self.networks.on_anomalous(image, output) if anomalous else self.networks.on_normal(image, output, code)
        generator_step.zero_grad()
        self.manual_backward(loss)
        generator_step.step()
        of_critic = critic_loss(self.parts[2 if anomalous else 1], image, output)
        critic_step.zero_grad()
        self.manual_backward(of_critic)
        critic_step.step()
        self.log_dict({"generator": loss, "discriminator": of_critic})
