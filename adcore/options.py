"""Settings as frozen dataclasses: each field carries its meaning and legal range, checked when an object is made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from adcore.errors import UserError, unknown_name

__all__ = ["as_plain", "check_classes", "check_options", "flag_of", "from_plain", "option"]

#: Types that a field's annotation allows.
_KINDS: dict[str, Any] = {
    "str": str,
    "int": (int, float),
    "float": (int, float),
    "bool": bool,
    "tuple[int, ...]": (tuple, list),
    "tuple[int | str, ...]": (tuple, list),
    "tuple[str, ...]": (tuple, list),
}


def flag_of(name: str) -> str:
    """The flag of a field: --learning-rate for learning_rate."""
    return f"--{name.replace('_', '-')}"


def as_plain(settings: Any) -> dict[str, Any]:
    """A settings object as values that JSON holds, by field."""
    fields = dataclasses.asdict(settings).items()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields}


def from_plain(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that make the settings object again whose `as_plain` this is."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}


def option(
    default: Any,
    text: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    choices: Sequence[str] = (),
    none: str | None = None,
    form: str | None = None,
    is_time: bool = False,
) -> Any:
    """A dataclass field with its help text and legal range.

    none: the word for None on the command line. form: what --help shows in place of a value. is_time: seconds, given on
    the command line as 45s, 90m, 3h, 1h30m or 2d.
    """
    metadata = {
        "help": text,
        "at_least": at_least,
        "above": above,
        "at_most": at_most,
        "choices": tuple(choices),
        "none": none,
        "form": form,
        "is_time": is_time,
    }
    return dataclasses.field(default=default, metadata=metadata)


def check_options(settings: Any) -> None:
    """Check every field of a dataclass instance made with `option`.

    Raises UserError, naming field, value and legal range.
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        _check_type(field, value)
        if value is None:
            continue
        if field.metadata["choices"] and value not in field.metadata["choices"]:
            raise unknown_name(field.name.replace("_", " "), str(value), field.metadata["choices"])
        if isinstance(value, int | float) and not isinstance(value, bool):
            _check_number(field, value)


def _check_type(field: dataclasses.Field[Any], value: Any) -> None:
    """Raises UserError if a value is not of the field's type; `_check_number` checks that integers are whole."""
    kind = str(field.type)
    if value is None and kind.endswith("| None"):
        return
    expected = _KINDS.get(kind.removesuffix(" | None"), object)
    is_of_kind = isinstance(value, expected) and (kind == "bool" or not isinstance(value, bool))
    if not is_of_kind or (kind == "tuple[str, ...]" and not _are_texts(value)):
        raise UserError(f"{flag_of(field.name)} {value!r}: expected {kind}")


def _are_texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _check_number(field: dataclasses.Field[Any], value: float) -> None:
    at_least, above, at_most = (field.metadata[name] for name in ("at_least", "above", "at_most"))
    whole = "int" in str(field.type)
    if at_most is None:
        at_most = 2**53 if whole else math.inf  # beyond it floats do not represent every whole number
    in_range = (at_least is None or value >= at_least) and (above is None or value > above) and value <= at_most
    if in_range and (isinstance(value, int) or (not whole and math.isfinite(value))):
        return
    bound = f" >= {at_least:g}" if at_least is not None else f" > {above:g}" if above is not None else ""
    bound += f" and <= {at_most:g}" if value > at_most else ""
    kind = "a whole number" if whole else "a finite number"
    raise UserError(f"{flag_of(field.name)} {value}: expected {kind}{bound}")


def check_classes(classes: Sequence[int], count: int, flag: str) -> tuple[int, ...]:
    """The experiments to run, each named by its class index; an empty sequence means all `count` of them.

    Raises UserError for a repeated class, and for one that is no int or outside 0..count-1.
    """
    chosen = tuple(classes) or tuple(range(count))
    for index in chosen:
        if type(index) is not int or not 0 <= index < count:  # from Python, it could be a text
            raise UserError(f"--{flag} {index!r}: expected classes by name, or from 0 to {count - 1}")
    if len(set(chosen)) < len(chosen):
        repeated = next(index for index in chosen if chosen.count(index) > 1)
        raise UserError(f"--{flag}: class {repeated} is given twice; give each class once")
    return chosen
