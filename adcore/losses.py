"""The losses of the two-discriminator GAN: six for the generator, one discriminator loss used twice.

After Kim, Jeong, Choi, Seo, "GAN-based Anomaly Detection in Imbalance Problems", ECCV Workshops 2020.
Notation: x image, x' = G(x) its reconstruction, E the generator's encoder, D_N and D_A the discriminators for normal
and anomalous images; real images are coded 1, reconstructions 0. Every tensor is [batch, members, ...]: experiments
side by side in dimension 1. Each loss is a mean over the batch and returns [members], so that members do not mix.
All raise ValueError when shapes differ: nothing is broadcast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "LOSSES",
    "abc",
    "adversarial_anomaly",
    "adversarial_normal",
    "discriminator",
    "latent",
    "latent_distance",
    "patch",
    "reconstruction",
    "reconstruction_error",
]

#: Smallest per-image error in ABC: the slope there is 1 / MIN_ERROR, finite in float32.
MIN_ERROR = 1e-4


def reconstruction_error(image: Tensor, output: Tensor) -> Tensor:
    """Mean absolute error of each image, mean |x - x'|. Also the anomaly score.

    image, output: [batch, members, channels, height, width]. Returns [batch, members], >= 0.
    """
    _require_equal_shapes(image, output)
    return (image - output).abs().mean((2, 3, 4))


def reconstruction(image: Tensor, output: Tensor) -> Tensor:
    """L1 reconstruction loss on normal images: mean |x - x'|.

    image, output: [batch, members, channels, height, width]. Returns [members]. Reference: Kim et al. 2020.
    """
    return reconstruction_error(image, output).mean(0)


def patch(image: Tensor, output: Tensor, *, size: int = 16, stride: int = 8, worst: int = 3) -> Tensor:
    """Patch loss on normal images: the mean of the `worst` largest patch errors of each image, averaged over the batch.

    A patch error is mean |x - x'| over a size x size window; windows lie `stride` pixels apart (by default 9 on 32 x 32
    pixels).
    image, output: [batch, members, channels, height, width]. Returns [members].
    Reference: Kim et al. 2020, n = 3 of m = 9 patches.
    """
    _require_equal_shapes(image, output)
    error = (image - output).abs().mean(2)  # [batch, members, height, width]
    errors = F.avg_pool2d(error, size, stride).flatten(2)  # [batch, members, patches]
    return errors.topk(worst, dim=2).values.mean((0, 2))


def latent(code: Tensor, output_code: Tensor) -> Tensor:
    """Latent loss on normal images: mean |E(x) - E(x')| at the bottleneck.

    code = E(x), output_code = E(x'): [batch, members, channels, height, width]. Returns [members].
    Reference: Kim et al. 2020.
    """
    _require_equal_shapes(code, output_code)
    return (code - output_code).abs().mean((0, 2, 3, 4))


def latent_distance(code: Tensor, output_code: Tensor) -> Tensor:
    """Mean absolute difference of each image's latent and its reconstruction's, mean |E(x) - E(x')|, for the score.

    code, output_code: as for `latent`. Returns [batch, members], >= 0. As a score: GANomaly, Akcay et al. 2018 (arXiv
    1805.06725), eq. 5.
    """
    _require_equal_shapes(code, output_code)
    return (code - output_code).abs().mean((2, 3, 4))


def adversarial_normal(score: Tensor) -> Tensor:
    """Least-squares adversarial loss on normal images: mean (D_N(x') - 1)^2.

    score = D_N(G(x)): [batch, members, 1, height, width], a map of patch scores. Returns [members].
    Reference: Kim et al. 2020; Mao et al. 2017 (arXiv 1611.04076), eq. 2 without its factor 1/2.
    """
    return _mean_square(score, 1.0)


def adversarial_anomaly(score: Tensor) -> Tensor:
    """Least-squares adversarial loss on anomalies: mean (D_A(x') - 0)^2, which rewards fake-looking reconstructions.

    score = D_A(G(x)): [batch, members, 1, height, width], a map of patch scores. Returns [members].
    Reference: Kim et al. 2020.
    """
    return _mean_square(score, 0.0)


def abc(image: Tensor, output: Tensor) -> Tensor:
    """ABC loss on anomalies: -log(1 - exp(-e)) with e = mean |x - x'| of each image, averaged over the batch.

    image, output: [batch, members, channels, height, width]. Returns [members]; e is clamped to at least MIN_ERROR.
    Reference: Yamanaka et al. 2019 (arXiv 1903.10709), eq. 6; L1 instead of squared L2, after Kim et al. 2020.
    """
    error = reconstruction_error(image, output).clamp_min(MIN_ERROR)
    return -torch.log(-torch.expm1(-error)).mean(0)  # expm1: no cancellation near e = 0


def discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Least-squares discriminator loss: mean (D(x) - 1)^2 + mean (D(x') - 0)^2, for D_N and D_A alike.

    real = D(x), fake = D(G(x).detach()): [batch, members, 1, height, width]. Returns [members].
    Reference: Kim et al. 2020; Mao et al. 2017 (arXiv 1611.04076), eq. 2 with b = 1, a = 0, without its factor 1/2.
    """
    _require_equal_shapes(real, fake)
    return _mean_square(real, 1.0) + _mean_square(fake, 0.0)


#: Every loss that a run reports, by the name it is reported under.
LOSSES: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "reconstruction": reconstruction,
        "patch": patch,
        "latent": latent,
        "adversarial_normal": adversarial_normal,
        "adversarial_anomaly": adversarial_anomaly,
        "abc": abc,
        "discriminator_normal": discriminator,
        "discriminator_anomaly": discriminator,
    }
)


def _mean_square(score: Tensor, target: float) -> Tensor:
    return (score - target).square().mean((0, 2, 3, 4))


def _require_equal_shapes(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape or first.dim() != 5:
        raise ValueError(
            "expected two equal shapes [batch, members, channels, height, width], "
            f"got {tuple(first.shape)} and {tuple(second.shape)}"
        )
