"""The installed commands that sweep: adsweep and adsweep-ablation, adsweep-baselines, adsweep-tune."""

from __future__ import annotations

from types import ModuleType

from sweeps.engine import detector_sweep, main
from sweeps.engine.baselines import main as table

__all__ = ["ablation", "baselines", "sweep", "tune"]


def sweep() -> None:
    """The command of sweeps/gan_loss_weights.py."""
    from sweeps import gan_loss_weights

    main.main(_name(gan_loss_weights), gan_loss_weights.__doc__ or "", gan_loss_weights.SPACE)


def ablation() -> None:
    """The command of sweeps/loss_ablation.py."""
    from sweeps import loss_ablation

    main.main(_name(loss_ablation), loss_ablation.__doc__ or "", loss_ablation.SPACE)


def tune() -> None:
    """The command of sweeps/tune.py."""
    from sweeps import tune as script

    detector_sweep.main(_name(script), script.__doc__ or "")


def baselines() -> None:
    """The command of sweeps/baselines.py."""
    from sweeps import baselines as script

    table.main(_name(script), script.__doc__ or "", script.ROWS)


def _name(script: ModuleType) -> str:
    return script.__name__.rpartition(".")[2]
