"""One optimiser step, and learning rates over a run."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR, StepLR

__all__ = ["learning_rate_schedule", "step"]


def step(optimizer: Optimizer, loss: Tensor, parameters: Iterable[nn.Parameter]) -> None:
    """Update `parameters` alone by the gradient of loss, [members]: nothing else's gradient is computed."""
    optimizer.zero_grad()
    # not manual_backward: one device and one precision need none of its hooks, which cost 1 % of a small step
    loss.sum().backward(inputs=list(parameters))
    optimizer.step()


def learning_rate_schedule(optimizer: Optimizer, schedule: str, *, steps_per_epoch: int, epochs: int) -> LRScheduler:
    """What changes the optimiser's learning rate, its peak, when stepped once per optimiser step.

    schedule: "one-cycle", "halve-every-50" (epochs) or "constant".
    """
    if schedule == "one-cycle":
        peak = optimizer.param_groups[0]["lr"]
        # momentum stays as it is: for GANs, a beta 1 of .5 is what keeps them steady
        return OneCycleLR(optimizer, peak, total_steps=steps_per_epoch * epochs + 1, cycle_momentum=False)
    if schedule == "halve-every-50":
        return StepLR(optimizer, 50 * steps_per_epoch, gamma=0.5)
    return ConstantLR(optimizer, factor=1.0)
