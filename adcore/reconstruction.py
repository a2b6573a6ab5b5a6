"""Reconstruction errors on [0, 1]: the mean over each image's pixels, for one experiment at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor

__all__ = ["ERRORS", "bce", "excess_bce", "l1", "mse", "unit_range"]

#: Keeps logarithms and their slopes finite in float32.
MARGIN = 1e-6


def unit_range(images: Tensor) -> Tensor:
    """Images in [-1, 1] to [0, 1]."""
    return (images + 1) / 2


def mse(image: Tensor, output: Tensor) -> Tensor:
    """Mean squared error, mean (x - x')^2.

    image, output: [batch, channels, height, width]. Returns [batch]. Raises ValueError when shapes differ.
    """
    _require_equal_shapes(image, output)
    return (image - output).square().mean((1, 2, 3))


def bce(image: Tensor, output: Tensor) -> Tensor:
    """Binary cross-entropy, mean -(x log x' + (1 - x) log(1 - x')): a pixel as the probability of being lit.

    Its minimum is not 0 but the entropy of the pixels. x' is clamped to [MARGIN, 1 - MARGIN].
    image, output: [batch, channels, height, width] in [0, 1]. Returns [batch]. Raises ValueError when shapes differ.
    """
    _require_equal_shapes(image, output)
    output = output.clamp(MARGIN, 1 - MARGIN)  # unlike PyTorch's loss, passes NaN on: a diverged run is no error
    return -(image * output.log() + (1 - image) * (1 - output).log()).mean((1, 2, 3))


def excess_bce(image: Tensor, output: Tensor) -> Tensor:
    """Binary cross-entropy minus its minimum, the entropy of the pixels: a Kullback-Leibler divergence, >= 0.

    Its gradient is that of `bce`, but as a score it differs: the entropy depends on the image alone, high for grey and
    low for black images, whatever a detector has learnt. Shapes as for `bce`.
    """
    return bce(image, output) - bce(image, image)


def l1(image: Tensor, output: Tensor) -> Tensor:
    """Mean absolute error, mean |x - x'|.

    image, output: [batch, channels, height, width]. Returns [batch]. Raises ValueError when shapes differ.
    """
    _require_equal_shapes(image, output)
    return (image - output).abs().mean((1, 2, 3))


#: TrainConfig.reconstruction's choices.
ERRORS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType({"mse": mse, "bce": excess_bce, "l1": l1})


def _require_equal_shapes(image: Tensor, output: Tensor) -> None:
    if image.shape != output.shape or image.dim() != 4:
        raise ValueError(
            f"expected two equal shapes [batch, channels, height, width], "
            f"got {tuple(image.shape)} and {tuple(output.shape)}"
        )
