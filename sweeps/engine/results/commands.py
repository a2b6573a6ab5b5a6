"""The commands printed at the end of a sweep, and those in its report."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from adcore.config import TrainConfig
from adcore.detector_catalog import LATENT_SCORES
from adcore.options import flag_of
from sweeps.engine.machine.commands import (
    FROM_PYTHON,
    LIMITS,
    browse_command,
    flag_words,
    python,
    resume_command,
    script_command,
)
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.confirmation import Confirmation
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.record.stored_plan import stored_flags

__all__ = ["commands_of_record", "final_commands", "report_command"]

#: Flags of a sweep that say where it ran or what was done with it, not what it computed.
NOT_REPEATED = {*SweepSettings.changeable, "allow_unverified_data"} - set(LIMITS)
#: Said below the command that repeats the winner's training.
REPEATED = "(equal to float accuracy; on little data, over many updates, rounding can become visible)"


def final_commands(
    plan: Plan, winner: Confirmation, settings: SweepSettings, resume: str, home: SweepHome
) -> list[str]:
    """The commands that open MLflow, resume the sweep (given), repeat the winner and score images with it."""
    config = dataclasses.replace(plan.base, **winner.params, train_seed=next(iter(winner.by_seed)))
    data = ["--data-dir", settings.data_dir] if settings.data_dir else []
    data += ["--allow-unverified-data"] if settings.allow_unverified_data else []
    threads = f"OMP_NUM_THREADS={settings.cpus_per_trial}"
    return [
        f"browse:  {browse_command(settings.tracking_uri)}",
        f"resume:  {resume}",
        f"repeat:  {threads} {shlex.join([python(), '-m', 'adcore.train', *_changed_flags(config), *data])}",
        f"         {REPEATED}",
        *([] if plan.space.is_grid else [f"score:   {_score_command(plan, home)}"]),
    ]


def commands_of_record(record: SweepRecord, home: SweepHome, winner: int) -> list[str]:
    """All commands that concern a finished sweep, from its record. winner: number of the configuration to repeat."""
    settings, seed = stored_flags(record, home), record.plan.confirm_seeds[0]
    confirmed = Confirmation(record.configurations[winner], {seed: record.confirmation_values(winner, seed)})
    resume = resume_command(record.plan.script, settings, home.name)
    return [
        f"search:  {_start_command(record.plan.script, record.read('settings'), home)}",
        *final_commands(record.plan, confirmed, settings, resume, home),
        f"report:  {report_command(home)}",
    ]


def report_command(home: SweepHome) -> str:
    """The command that makes a sweep's report again."""
    return script_command("report", [home.name, "--storage", str(home.folder.parent)])


def _score_command(plan: Plan, home: SweepHome) -> str:
    """The command that scores images with the winner's models; of several classes, with those of the first."""
    chosen = ["--class", str(plan.classes[0])] if len(plan.classes) > 1 else []
    words = ["--sweep", home.name, "--storage", str(home.folder.parent), *chosen, "IMAGES"]
    return script_command("predict", words)


def _start_command(script: str, stored: Mapping[str, Any], home: SweepHome) -> str:
    """The command that starts the same sweep again, under a new name; for one that Python code began, the call."""
    defaults = {field.name: field.default for field in dataclasses.fields(SweepSettings)}
    given = {
        name: value
        for name, value in stored.items()
        if name not in NOT_REPEATED and value not in (None, [], defaults.get(name)) and value is not False
    }
    if "start_from" in given:  # the storage where that sweep is
        given["storage"] = str(home.folder.parent)
    if script == FROM_PYTHON:
        return f"sweep({', '.join(['space', *(f'{name}={value!r}' for name, value in given.items())])})"
    words = [word for name, value in given.items() for word in flag_words(name, value)]
    return script_command(script, words)


def _changed_flags(config: TrainConfig) -> list[str]:
    """Flags of every field that differs from its default."""
    words: list[str] = []
    for field in dataclasses.fields(config):
        value, flag = getattr(config, field.name), flag_of(field.name)
        if field.name == "score_latent" and config.detector not in LATENT_SCORES:  # the scale's, for the GAN
            continue
        if field.name == "classes":
            words += [flag, ",".join(map(str, value))]
        elif value != field.default and isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        elif value != field.default:
            words += [flag, "all" if value is None else str(value)]
    return words
