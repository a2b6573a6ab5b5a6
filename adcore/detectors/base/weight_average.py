"""An exponential moving average of a network's weights: a steadier network than that of the last step."""

from __future__ import annotations

import copy

import torch
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage(nn.Module):
    """The average of a network's parameters and floating-point buffers over training steps.

    The decay of step t = 0, 1, ... is min(decay, (1 + t) / (10 + t)), as in TensorFlow's ExponentialMovingAverage with
    num_updates: the random weights that training starts from soon count for nothing. Averages of the weights as in
    Polyak and Juditsky 1992; for GANs, Yazici et al. 2019 (arXiv 1806.04498). Elementwise, so that members of a grouped
    network do not mix.

    network: the average, a copy of `source`. steps: updates so far.
    """

    steps: torch.Tensor

    def __init__(self, source: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(source).requires_grad_(False)
        self.decay = decay
        self.register_buffer("steps", torch.zeros(()))

    @torch.no_grad()
    def update(self, source: nn.Module) -> None:
        """Take in the weights of `source` after a training step; nothing waits for the device."""
        share = 1 - ((1 + self.steps) / (10 + self.steps)).clamp_max(self.decay)
        average, present = self.network.state_dict(), source.state_dict()
        for name, value in present.items():
            if value.is_floating_point():
                average[name].lerp_(value, share.to(value.dtype))
            else:  # batch norm's count of batches
                average[name].copy_(value)
        self.steps += 1
