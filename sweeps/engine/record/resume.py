"""What is read from a sweep's record before the sweep starts: settings, plan, other attributes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from adcore.config import TrainConfig
from adcore.data_checks import experiments_of
from adcore.datasets import DatasetError, describe
from adcore.datasets.own import is_own
from adcore.errors import UserError
from adcore.options import flag_of, from_plain
from sweeps.engine.machine.commands import LIMITS, origin
from sweeps.engine.machine.locations import with_moved_paths
from sweeps.engine.planning.base_plan import BasePlan
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.planning.settings import SCALES, Scale
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.progress import CLOCK

__all__ = [
    "EXTENDED",
    "plan_with_defaults",
    "read_attribute",
    "recorded_fields",
    "recorded_scale",
    "require_same_plan",
    "stored_settings",
]

#: What --extend changes in a plan.
EXTENDED = ("configs",)
Settings = TypeVar("Settings", bound=RunSettings)


def stored_settings(script: str, settings_type: type[Settings], home: SweepHome, flags: Mapping[str, Any]) -> Settings:
    """A continued sweep's own settings, with changeable ones as given now; those of --extend as for a resume.

    Raises UserError for other differences, and for an --extend that would add nothing.
    """
    stored, plan = read_attribute(home, "settings"), read_attribute(home, "plan")
    defaults = {field.name: field.default for field in dataclasses.fields(settings_type)}
    of_script = plan.get("script") if isinstance(plan, dict) else None
    if isinstance(of_script, str) and of_script != script:
        raise UserError(
            f"sweep {home.name!r} was started by {origin(of_script)}, not by {origin(script)}; go on with it from there"
        )
    if of_script != script or not isinstance(stored, dict) or not set(stored) <= set(defaults):
        raise UserError(
            f"{home.record}: the record of another version of {origin(script)}; resume it with that one, or start a "
            "new sweep"
        )
    plain = from_plain(defaults | stored)  # a setting that is newer than the record has its default
    plain = _valid(plain, settings_type, home)
    if flags.get("normal_class"):
        flags = {**flags, "normal_class": _indices(home, plan, flags["normal_class"])}
    if "extend" in flags:
        _require_more(home, plain["configs"], flags["configs"])
    may_differ = (*settings_type.changeable, *(EXTENDED if "extend" in flags else ()))
    for name, value in flags.items():
        if name not in may_differ and value != plain[name]:
            flag = flag_of(name)
            remedy = f"omit {flag}" + (f"; --extend {home.name} goes on with more" if name in EXTENDED else "")
            before, now = (_in_words(each) for each in (plain[name], value))
            with_what = f"with {flag} {before}, not {now}" if before else f"without {flag}, not with {now}"
            raise UserError(f"sweep {home.name!r} was started {with_what}; {remedy}")
    changed = {name: flags[name] for name in flags if name in may_differ and name != "extend"}
    if changed.keys() & set(LIMITS):  # one that is given replaces whichever is on record
        changed = {**dict.fromkeys(LIMITS), **changed}
    return settings_type(**{**plain, "name": None, "resume": home.name, **changed})


def _valid(plain: Mapping[str, Any], settings_type: type[RunSettings], home: SweepHome) -> dict[str, Any]:
    """A record's settings, with its paths updated for its present storage. Raises UserError if they are not valid."""
    try:
        settings_type(**plain)
        return with_moved_paths(plain, home.folder.parent)
    except DatasetError:  # data of one's own that are gone
        raise
    except UserError as error:
        if is_own(str(plain.get("dataset"))) and plain.get("normal_class"):
            raise UserError(
                f"sweep {home.name!r} was started with other classes, or another normal class, of its data ({error}); "
                "start a new one"
            ) from error
        raise UserError(f"{home.record}: damaged, with settings that are not valid ({error})") from error


def _indices(home: SweepHome, plan: Any, classes: Sequence[int | str]) -> tuple[int, ...]:
    """Classes by index, as a record has them. plan: the one on record."""
    try:
        dataset = describe(plan["base"]["dataset"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{home.record}: damaged, its plan names no data set") from error
    return experiments_of(dataset, classes, "normal-class")


def _require_more(home: SweepHome, old_configs: int | None, new_configs: int) -> None:
    if old_configs is None:
        raise UserError(f"sweep {home.name!r} trains every point of its grid: --extend has nothing to add")
    tried = _tried_within_limit(home)
    if tried is not None and tried < old_configs <= new_configs:
        return
    if new_configs <= old_configs:
        number = "a larger number" if tried in (None, old_configs) else f"{old_configs} or more, as {tried} were tried"
        raise UserError(
            f"--configs {new_configs}: sweep {home.name!r} has {old_configs} configurations already; --extend takes "
            f"{number}, --resume {home.name} continues it as it is"
        )


def _tried_within_limit(home: SweepHome) -> int | None:
    """How many configurations a search has tried that a time limit ended; None without a limit, or before its end."""
    from sweeps.engine.record.study import open_study

    study = open_study(home.record, create=False)
    is_ended = study.user_attrs.get("searched") and study.user_attrs.get(CLOCK)
    return len(study.get_trials(deepcopy=False)) if is_ended else None


def _in_words(value: Any) -> str:
    """A setting's value; all classes, and of a flag that may be repeated, all of them; empty for none."""
    if isinstance(value, tuple) and value:
        return ("; " if isinstance(value[0], str) else ",").join(map(str, value))
    return "" if value in (None, ()) else str(value)


def require_same_plan(home: SweepHome, plan: BasePlan, *, except_for: Sequence[str] = ()) -> None:
    """Raises UserError if this code would compute another sweep than the one on record. except_for: what may differ."""
    if not home.has_record:
        return
    before, now = plan_with_defaults(read_attribute(home, "plan")), json.loads(json.dumps(plan.as_record()))
    compared = [name for name in now if name not in except_for]
    different = [name for name in compared if not isinstance(before, dict) or now[name] != before.get(name)]
    if different := different or _changed_ranges(home, plan):
        raise UserError(
            f"sweep {home.name!r} was started with other settings of: {', '.join(different)}; start a new one"
        )


def _changed_ranges(home: SweepHome, plan: BasePlan) -> list[str]:
    """The searched settings with other distributions than on record; a plan has no more than the ends of a range."""
    from sweeps.engine.record.study import open_study

    trials = open_study(home.record, create=False).get_trials(deepcopy=False)
    recorded = trials[0].distributions if trials else {}
    ranges = plan.distributions().items()
    return [f"the range of {name}" for name, distribution in ranges if recorded.get(name, distribution) != distribution]


def recorded_scale(home: SweepHome, name: str) -> Scale:
    """The scale of this name; that of a sweep on record as it was when the sweep began."""
    scale = SCALES[name]
    plan = plan_with_defaults(read_attribute(home, "plan", None)) if home.has_record else None
    if not isinstance(plan, dict) or not all(isinstance(plan.get(part), dict) for part in ("base", "search")):
        return scale
    train = {field: plan["base"][field] for field in scale.train}
    others = {field: plan[field] for field in ("search", "configs", "best", "seeds", "paper") if field in plan}
    return dataclasses.replace(scale, train=train, **others)


def recorded_fields(home: SweepHome) -> list[str]:
    """The fields that a sweep on record searches; none if there is no such sweep."""
    plan = read_attribute(home, "plan", None) if home.has_record else None
    space = plan.get("space") if isinstance(plan, dict) else None
    ranges = space.get("ranges") if isinstance(space, dict) else None
    return list(ranges) if isinstance(ranges, dict) else []


def plan_with_defaults(plan: Any) -> Any:
    """A plan as a record has it; its metric and settings of a training that are newer have their defaults."""
    if not isinstance(plan, dict):
        return plan
    defaults = json.loads(json.dumps({field.name: field.default for field in dataclasses.fields(TrainConfig)}))
    complete_plan = dict(cast(dict[str, Any], plan))
    if "space" in complete_plan:
        complete_plan.setdefault("metric", "auroc")
    if isinstance(complete_plan.get("base"), dict):
        complete_plan["base"] = {**defaults, **complete_plan["base"]}
    if isinstance(complete_plan.get("configs"), dict):  # of a table of baselines, by row
        complete_plan["configs"] = {name: {**defaults, **config} for name, config in complete_plan["configs"].items()}
    return complete_plan


def read_attribute(home: SweepHome, key: str, *default: Any) -> Any:
    """An attribute of a record that is not open. Raises UserError if it is missing and there is no default."""
    from sweeps.engine.record.study import open_study

    try:
        attributes = open_study(home.record, create=False).user_attrs
    except json.JSONDecodeError as error:
        raise UserError(
            f"{home.record}: damaged, an attribute is not JSON ({error}); restore it from a copy"
        ) from error
    if key not in attributes and default:
        return default[0]
    if key not in attributes:
        raise UserError(f"{home.record}: this sweep ended before it was set up; move the folder away and start again")
    return attributes[key]
