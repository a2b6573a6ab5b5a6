"""The installed commands that belong to a file of sweeps/: adsweep, adsweep-tune, adsweep-predict, ..."""

from __future__ import annotations

from types import ModuleType

from sweeps.engine import detector_sweep, main
from sweeps.engine.baselines import main as table

__all__ = ["ablation", "baselines", "predict", "report", "sweep", "tune", "ui"]


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


def predict() -> None:
    """The command of sweeps/predict.py."""
    from sweeps import predict as script
    from sweeps.engine import predicting

    predicting.main(_name(script), script.__doc__ or "")


def report() -> None:
    """The command of sweeps/report.py."""
    from sweeps import report as script
    from sweeps.engine.report import main as command

    command.main(_name(script), script.__doc__ or "")


def ui() -> None:
    """The command of sweeps/ui.py."""
    from sweeps import ui as script
    from sweeps.engine import browsing

    browsing.main(script.__doc__ or "")


def _name(script: ModuleType) -> str:
    return script.__name__.rpartition(".")[2]
