"""Adam with a learning rate for each member, and learning rate schedules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Adam

__all__ = ["MemberAdam", "learning_rates"]

#: One-cycle: share of the steps that rise, ratio of peak to start, ratio of start to end (PyTorch's defaults).
RISING, START, END = 0.3, 25.0, 1e4
#: Adam's state of a parameter.
STATE = {"step", "exp_avg", "exp_avg_sq"}
#: Epochs after which halve-every-50 halves.
HALVED_AFTER = 50


class MemberAdam:
    """Adam (Kingma and Ba 2015) over networks that several members share, each with its own learning rate and decay.

    Adam is elementwise, so that each member's part of the tensors is updated as if it were alone.
    parameters: member m owns the m-th of equal parts of dimension 0 of each. weight_decay: by member. on_device: rates
    are tensors on the device, as a step that is captured as a CUDA graph requires.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        *,
        betas: tuple[float, float],
        weight_decay: Sequence[float],
        on_device: bool = False,
    ) -> None:
        self.parameters = list(parameters)
        self.members = len(weight_decay)
        # views: Adam's changes to them reach the networks
        self.views = [
            [nn.Parameter(view) for view in parameter.detach().chunk(self.members)] for parameter in parameters
        ]
        groups = [
            {"params": [views[member] for views in self.views], "weight_decay": decay}
            for member, decay in enumerate(weight_decay)
        ]
        device = self.parameters[0].device
        for group in groups:
            group["lr"] = torch.zeros((), device=device) if on_device else 0.0
        self.optimizer = Adam(groups, betas=betas, fused=True, capturable=on_device and device.type == "cuda")

    def set_rates(self, rates: Sequence[float] | Tensor) -> None:
        """Set each member's learning rate; a tensor [members] on the device if the step is to be captured."""
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            if isinstance(rate, Tensor):
                group["lr"].copy_(rate)
            else:
                group["lr"] = rate

    def step(self, losses: Tensor, *, retain_graph: bool = False) -> None:
        """Update only these parameters by the gradient of the losses' sum; no other gradient is computed."""
        computed = torch.autograd.grad(losses.sum(), self.parameters, retain_graph=retain_graph, allow_unused=True)
        gradients = cast("tuple[Tensor | None, ...]", computed)  # torch's annotation does not know allow_unused
        for views, gradient in zip(self.views, gradients, strict=True):
            parts = gradient.chunk(self.members) if gradient is not None else (None,) * self.members
            for view, part in zip(views, parts, strict=True):
                view.grad = part if part is None else _laid_out(view, part)
        self.optimizer.step()

    def state(self, member: int) -> list[dict[str, Tensor]]:
        """A member's moments and step count for each parameter, on the CPU; empty if there was no gradient yet."""
        states = [self.optimizer.state.get(views[member], {}) for views in self.views]
        return [{name: value.detach().to("cpu", copy=True) for name, value in state.items()} for state in states]

    def load(self, member: int, state: Sequence[dict[str, Tensor]]) -> None:
        """Restore what `state` returned. Raises ValueError for a state of other parameters."""
        if len(state) != len(self.views):
            raise ValueError(f"expected the state of {len(self.views)} parameters, got {len(state)}")
        for views, stored in zip(self.views, state, strict=True):
            if stored.keys() not in (set(), STATE):
                raise ValueError(f"expected {', '.join(sorted(STATE))} of a parameter, got {', '.join(stored)}")
            if stored:
                self.optimizer.state[views[member]] = {n: _like(views[member], value) for n, value in stored.items()}


def _laid_out(view: Tensor, gradient: Tensor) -> Tensor:
    """A gradient in its parameter's memory format, as CUDA's fused Adam requires."""
    if gradient.stride() == view.stride():
        return gradient
    return torch.empty_like(view, requires_grad=False).copy_(gradient)


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """A copy of a moment, laid out as its parameter, or of a step count; on the parameter's device."""
    if not value.dim():
        return value.to(parameter.device, copy=True)
    if value.shape != parameter.shape:
        raise ValueError(f"expected shape {tuple(parameter.shape)}, got {tuple(value.shape)}")
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


def learning_rates(schedule: str, peak: float, *, steps: range, steps_per_epoch: int, epochs: int) -> Tensor:
    """The learning rate of each of `steps`, of which a run has steps_per_epoch * epochs: float64 [len(steps)].

    schedule: "one-cycle" (two half cosines, Smith and Topin 2019, arXiv 1708.07120), "halve-every-50" (epochs) or
    "constant"; the values of PyTorch's OneCycleLR, StepLR and ConstantLR. Momentum is not cycled: GANs need a beta 1
    of .5 to be stable.
    """
    at = torch.arange(steps.start, steps.stop, dtype=torch.float64)
    if schedule == "constant":
        return torch.full_like(at, peak)
    if schedule == "halve-every-50":
        return peak * 0.5 ** (at // (HALVED_AFTER * steps_per_epoch))
    last = steps_per_epoch * epochs
    top = RISING * (last + 1) - 1
    start = peak / START
    rising, falling = _cosine(start, peak, at / top), _cosine(peak, start / END, (at - top) / (last - top))
    return torch.where(at <= top, rising, falling)


def _cosine(start: float, end: float, part: Tensor) -> Tensor:
    return end + (start - end) / 2 * (1 + torch.cos(math.pi * part))
