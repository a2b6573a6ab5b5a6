"""A finished sweep as its record has it, whichever script it came from: for reading, not for a resume."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from adcore.config import TrainConfig
from adcore.datasets import DatasetError
from adcore.errors import UserError
from adcore.options import from_plain
from sweeps.engine.machine.locations import with_moved_paths
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import Choice, Integers, LogUniform, Range, Space, Uniform
from sweeps.engine.record.facts import FACTS, remember_facts
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.record.resume import plan_with_defaults
from sweeps.engine.record.study import open_study

__all__ = ["read_record", "stored_flags"]


def read_record(home: SweepHome) -> SweepRecord:
    """The record of a search.

    Raises UserError for a damaged one, for that of another version or of baselines, and for one without configurations.
    """
    study = open_study(home.record, create=False)
    stored = plan_with_defaults(study.user_attrs.get("plan"))
    if not isinstance(stored, dict) or "space" not in stored:
        raise UserError(f"{home.record}: expected the record of a search; a table of baselines has no report")
    if not (trials := study.get_trials(deepcopy=False)):
        raise UserError(f"sweep {home.name!r} has no results yet: it ended before its first configuration; resume it")
    try:
        remember_facts(study.user_attrs.get(FACTS) or {})
        plan = _plan(stored, trials[0].distributions)
        is_same = json.loads(json.dumps(plan.as_record())) == stored
    except DatasetError:  # the data are gone, and an earlier version kept no facts about them
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _other_version(home, str(error)) from error
    if not is_same:
        raise _other_version(home, "its plan reads differently")
    return SweepRecord(study, plan, path=home.record)


def stored_flags(record: SweepRecord, home: SweepHome) -> SweepSettings:
    """The flags that the sweep was started with, with paths as they are now; without those of its script alone."""
    names = {field.name for field in dataclasses.fields(SweepSettings)}
    try:
        stored = from_plain({name: value for name, value in record.read("settings").items() if name in names})
        return SweepSettings(**{**with_moved_paths(stored, home.folder.parent), "name": None})
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _other_version(home, str(error)) from error


def _plan(stored: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> Plan:
    """The plan on record, which has the ends of the ranges alone. distributions: of the searched fields."""
    space, names = stored["space"], {field.name for field in dataclasses.fields(Plan)}
    ranges = {name: _range_of(distributions[name]) for name in space["ranges"]}
    base, plan_space = TrainConfig(**from_plain(stored["base"])), Space(**{**space, "ranges": ranges})
    return Plan(
        **{name: value for name, value in stored.items() if name in names} | {"base": base, "space": plan_space}
    )


def _range_of(distribution: BaseDistribution) -> Range:
    """The range whose `distribution` this is."""
    if isinstance(distribution, FloatDistribution):
        kind = LogUniform if distribution.log else Uniform
        return kind(distribution.low, distribution.high)
    if isinstance(distribution, IntDistribution):
        return Integers(distribution.low, distribution.high, distribution.step)
    assert isinstance(distribution, CategoricalDistribution), distribution
    return Choice(distribution.choices)  # pyright: ignore[reportArgumentType] # Optuna's allow None


def _other_version(home: SweepHome, reason: str) -> UserError:
    return UserError(f"{home.record}: the record of another version, or damaged ({reason}); use that version")
