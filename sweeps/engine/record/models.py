"""Whether the model in a checkpoint is the one that the record tells of."""

from __future__ import annotations

import math
from pathlib import Path

from adcore.errors import UserError

__all__ = ["unlike_record"]


def unlike_record(path: Path, auroc: float) -> str:
    """Why the model in a checkpoint is not the trained one whose last validation AUROC is on record; "" if it is."""
    from adcore.train import checkpoints

    if not path.exists():
        return "no such file"
    try:
        states = checkpoints.read(path, mapped=True)
    except UserError as error:
        return f"not a checkpoint ({error})"
    if len(states) != 1:
        return f"a checkpoint of {len(states)} models"
    [state] = states
    if not state.finished:
        return f"trained for {state.epoch} of {state.config.epochs} epochs"
    found = state.history[-1]["val_auroc"]
    is_same = found == auroc or (math.isnan(found) and math.isnan(auroc))
    return "" if is_same else f"validation AUROC {found:.6f} there, {auroc:.6f} on record"
