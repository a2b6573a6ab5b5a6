"""Taking one experiment out of a network that holds several."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def member_state(state: Mapping[str, Tensor], member: int, members: int) -> dict[str, Tensor]:
    """The part of a state dict that belongs to one member: member m owns the m-th of equal parts of dimension 0."""
    return {name: value.chunk(members)[member] if value.dim() else value for name, value in state.items()}
