"""The commands printed at the end of a sweep: browse, resume, repeat the winner."""

from __future__ import annotations

import dataclasses
import shlex

from adcore.config import TrainConfig
from adcore.options import flag_of
from sweeps.engine.machine.commands import browse_command, python
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.confirmation import Confirmation

__all__ = ["final_commands"]


def final_commands(plan: Plan, winner: Confirmation, settings: SweepSettings, resume: str) -> list[str]:
    """The commands that open MLflow, resume the sweep (given) and repeat the winner."""
    config = dataclasses.replace(plan.base, **winner.params, train_seed=next(iter(winner.by_seed)))
    data = ["--data-dir", settings.data_dir] if settings.data_dir else []
    threads = f"OMP_NUM_THREADS={settings.cpus_per_trial}"
    return [
        f"browse:  {browse_command(settings.tracking_uri)}",
        f"resume:  {resume}",
        f"repeat:  {threads} {shlex.join([python(), '-m', 'adcore.train', *_changed(config), *data])}",
    ]


def _changed(config: TrainConfig) -> list[str]:
    """Flags of every field that differs from its default."""
    words: list[str] = []
    for field in dataclasses.fields(config):
        value, flag = getattr(config, field.name), flag_of(field.name)
        if field.name == "classes":
            words += [flag, ",".join(map(str, value))]
        elif value != field.default and isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        elif value != field.default:
            words += [flag, "all" if value is None else str(value)]
    return words
