"""--set, --range and --point: what a sweep trains with and searches, in place of the scale's and the script's own."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any

from adcore.command_line import value_of
from adcore.config import LOSS_WEIGHTS, TrainConfig
from adcore.errors import UserError, unknown_name
from adcore.options import flag_of
from sweeps.engine.planning.settings import TRAINING_FLAGS
from sweeps.engine.planning.space import NOT_SEARCHED, Choice, Integers, LogUniform, Range, Space, Uniform

__all__ = ["FLAGS", "WEIGHT", "check_used", "naming_flag", "naming_set", "parse_point", "parse_ranges", "parse_set"]

#: Fields that flags of the sweeps set, and which.
FLAGS: Mapping[str, str] = MappingProxyType(
    {name: flag_of(name) for name in TRAINING_FLAGS}
    | {"classes": "--normal-class", "train_seed": "--seed", "detector": "--detector of sweeps/tune.py"}
)
FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}
WEIGHT = "weight_"
RANGES = "LOW:HIGH, LOW:HIGH:log, LOW:HIGH:int, LOW:HIGH:STEP or A|B|C"


def parse_set(texts: Sequence[str], space: Space, searched_fields: Sequence[str]) -> dict[str, Any]:
    """The values of --set FIELD=VALUE, by field.

    space: the script's own. searched_fields: those of --range. Raises UserError for a field that is unknown,
    given twice, searched, or set by another flag, and for a value that cannot be read.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, value = _assignment("--set", text)
        if name in FLAGS:
            raise UserError(f"--set {text}: {name} has a flag of its own; use {FLAGS[name]}")
        if name in searched_fields:
            raise UserError(f"--set {text}: --range {name} is given as well; give one of the two")
        if name in space.names:
            way = "leave it out" if space.is_grid else f"--range {name}=VALUE holds it fixed"
            raise UserError(f"--set {text}: {name} is what this sweep varies; {way}")
        _add_once(values, "--set", name, _value(name, value, f"--set {text}"))
    return values


def parse_ranges(texts: Sequence[str]) -> dict[str, Range]:
    """The ranges of --range FIELD=RANGE, by field.

    Raises UserError for a field that is unknown, given twice or the same for all configurations, and for a range that
    cannot be read or holds nothing.
    """
    ranges: dict[str, Range] = {}
    for text in texts:
        name, range_text = _assignment("--range", text)
        if name in NOT_SEARCHED:
            way = FLAGS.get(name, f"--set {name}=VALUE")
            raise UserError(f"--range {text}: {name} cannot be searched: {NOT_SEARCHED[name]}; choose it with {way}")
        _add_once(ranges, "--range", name, _range(name, range_text, f"--range {text}"))
    return ranges


def parse_point(text: str, ranges: Mapping[str, Range]) -> dict[str, Any]:
    """The values of --point FIELD=VALUE,FIELD=VALUE, by field.

    Raises UserError for a field that is unknown, given twice or not searched, and for a value outside its range.
    """
    values: dict[str, Any] = {}
    for part in text.split(","):
        name, value_text = _assignment("--point", part)
        if name not in ranges:
            raise UserError(f"--point {text}: {name} is not searched; add --range {name}=..., or use --set {part}")
        value = _value(name, value_text, f"--point {text}")
        if not ranges[name].holds(value):
            raise UserError(f"--point {text}: {name} is {value}, expected {ranges[name]}; --range {name}=... widens it")
        _add_once(values, "--point", name, value)
    return values


def check_used(names: Sequence[str], flag: str, detector: str) -> None:
    """Raises UserError for a field that some detectors take, but not this one: it would change nothing."""
    from adcore.detectors import DETECTORS

    fields_by_detector = {name: _fields_of(kind.config_fields) for name, kind in DETECTORS.items()}
    for name in names:
        users = [other for other, fields in fields_by_detector.items() if name in fields]
        if users and detector not in users:
            hint = f"; did you mean {WEIGHT}{name}?" if f"{WEIGHT}{name}" in fields_by_detector[detector] else ""
            raise UserError(f"{flag} {name}: detector {detector} does not use it, {', '.join(users)} do{hint}")


@contextmanager
def naming_flag(form: str, names: Sequence[str]) -> Generator[None]:
    """Errors of TrainConfig's own checks, with a flag of the sweeps in place of the field's.

    form: what stands before the value, with {name} for the field. Raises UserError.
    """
    try:
        yield
    except UserError as error:
        text = str(error)
        for name in names:
            named = form.format(name=name)
            text = re.sub(rf"{flag_of(name)} (?=\S)", named, text)
            text = re.sub(rf"{flag_of(name)}(?![\w-])", named.rstrip(" :="), text)
        raise UserError(text) from error


def naming_set() -> AbstractContextManager[None]:
    """The same for fields that have no flag of the sweeps, but that --set sets."""
    return naming_flag("--set {name}=", [name for name in FIELDS if name not in FLAGS])


def _assignment(flag: str, text: str) -> tuple[str, str]:
    """Field and value of FIELD=VALUE. Raises UserError if it is not of this form, or the field unknown."""
    name, sign, value = (part.strip() for part in text.partition("="))
    if not (name and sign and value):
        raise UserError(f"{flag} {text!r}: expected FIELD=VALUE, such as width=16")
    name = name.replace("-", "_")
    if name not in FIELDS and f"{WEIGHT}{name}" in FIELDS:
        name = f"{WEIGHT}{name}"
    if name not in FIELDS:
        raise unknown_name(f"{flag} field", name, FIELDS)
    return name, value


def _add_once(fields: dict[str, Any], flag: str, name: str, value: Any) -> None:
    if name in fields:
        raise UserError(f"{flag} {name}: given twice; give each field once")
    fields[name] = value


def _value(name: str, text: str, flag: str) -> Any:
    try:
        return value_of(FIELDS[name], text)
    except UserError as error:
        raise UserError(f"{flag}: {error}") from error


def _range(name: str, text: str, flag: str) -> Range:
    if ":" not in text:
        try:
            options = tuple(_value(name, part.strip(), flag) for part in text.split("|"))
        except UserError as error:
            is_number = str(FIELDS[name].type) in ("int", "float")
            hint = f"; did you mean {name}={text.replace(',', '|')}?" if "," in text else ""
            raise UserError(f"{error}; expected {RANGES if is_number else 'values, as A|B|C'}{hint}") from error
        if len(set(options)) < len(options):
            raise UserError(f"{flag}: a value is given twice; give each once")
        return Choice(options)
    kind = str(FIELDS[name].type)
    low, high, *more = (part.strip() for part in text.split(":"))
    if kind not in ("int", "float") or len(more) > 1:
        hint = f"; did you mean {WEIGHT}{name}?" if f"{WEIGHT}{name}" in FIELDS else ""
        raise UserError(f"{flag}: expected {RANGES if kind in ('int', 'float') else 'values, as A|B|C'}{hint}")
    if (more and more[0] != "log") or kind == "int":
        return _integers(low, high, more, flag)
    ends = _value(name, low, flag), _value(name, high, flag)
    if not ends[0] < ends[1]:
        raise UserError(f"{flag}: expected LOW < HIGH")
    if more and ends[0] <= 0:
        raise UserError(f"{flag}: expected LOW > 0 for a log scale")
    return LogUniform(*ends) if more else Uniform(*ends)


def _integers(low: str, high: str, more: Sequence[str], flag: str) -> Integers:
    words = [low, high, *(word for word in more if word != "int")]
    if not all(re.fullmatch(r"[0-9]{1,16}", word) for word in words):
        raise UserError(f"{flag}: expected whole numbers, as LOW:HIGH:int or LOW:HIGH:STEP")
    least, most, step = (*map(int, words), 1)[:3]
    if not least < most or step < 1 or (most - least) % step:
        raise UserError(f"{flag}: expected LOW < HIGH, some steps of {step} apart")
    return Integers(least, most, step)


def _fields_of(config_fields: Sequence[str]) -> set[str]:
    """Fields of TrainConfig; a detector takes the weights of its losses as one."""
    weights = {f"{WEIGHT}{name}" for name in LOSS_WEIGHTS} if "weights" in config_fields else set[str]()
    return {*config_fields, *weights}
