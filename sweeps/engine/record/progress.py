"""How far a stage has come, from the attributes of a record: class-epochs on record, and the time left."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "CLOCK",
    "ENDED",
    "EXTENSIONS",
    "STAGE",
    "is_being_extended",
    "now_as_text",
    "openings_before_extension",
    "seconds_left",
    "stage_start",
]

#: Attribute: the stage that was begun last, as `stage_start` returns it.
STAGE = "stage"
#: Attribute: how the last driver ended ("code", "reason", "failures"); None while one runs, or after a kill.
ENDED = "ended"
#: Attribute: of a sweep with a time limit, the limit and how much of it is used.
CLOCK = "clock"
#: Attribute: what the sweep was before each extension.
EXTENSIONS = "extensions"


def stage_start(name: str, class_epochs: float, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What is noted as a stage begins. class_epochs: those still to train, at most. attributes: those on record."""
    return {"name": name, "left": class_epochs, "started": now_as_text(), "on_record": _on_record(name, attributes)}


def now_as_text() -> str:
    """This moment as records hold it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def seconds_left(attributes: Mapping[str, Any], epochs: int, now: datetime.datetime) -> float | None:
    """Seconds until the stage that runs has ended, at most; None if that is not known.

    epochs: of a training of the confirmation. now: with a time zone. It is not known before something of the stage is
    on record, nor of stages in which trainings differ in length. A time limit ends the search at the latest.
    """
    stage = attributes[STAGE]
    done = _on_record(stage["name"], attributes) - stage["on_record"]
    if stage["name"] == "confirm":
        done *= epochs
    if done <= 0:
        return None
    started = datetime.datetime.fromisoformat(stage["started"])
    left = (now - started).total_seconds() / done * max(0.0, stage["left"] - done)
    return min(left, _left_of_limit(attributes, started, now)) if stage["name"] == "search" else left


def openings_before_extension(extensions: Sequence[Mapping[str, Any]] | None) -> int:
    """How often the test part had been opened when the sweep was last extended. extensions: the attribute."""
    return extensions[-1]["openings"] if extensions else 0


def is_being_extended(attributes: Mapping[str, Any]) -> bool:
    """Whether an extension has not come to its end: results.json is of before it."""
    return bool(attributes.get(EXTENSIONS)) and attributes.get("test") is None


def _left_of_limit(attributes: Mapping[str, Any], started: datetime.datetime, now: datetime.datetime) -> float:
    """Seconds until a time limit; infinite if it is past, or is that of an earlier driver, one before `started`."""
    clock = attributes.get(CLOCK) or {}
    noted = datetime.datetime.fromisoformat(clock["noted"]) if "noted" in clock else None
    if noted is None or noted < started:
        return math.inf
    left = clock["limit"] - clock["used"] - (now - noted).total_seconds()
    return left if left > 0 else math.inf


def _on_record(stage: str, attributes: Mapping[str, Any]) -> int:
    """The search's class-epochs on record, or the confirmation's trainings; 0 for any other stage."""
    if stage == "search":
        packs = (value for key, value in attributes.items() if key.startswith("pack_"))
        curves = (each for pack in packs for each in pack["trained"].values() if each)
        return sum(len(values) for each in curves for values in each.values())
    if stage == "confirm":
        return sum(len(value) for key, value in attributes.items() if key.startswith("confirm_"))
    return 0
