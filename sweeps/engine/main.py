"""Sweep a search space; called by most scripts in sweeps/."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sweeps.engine.plan_cost import left_of
from sweeps.engine.plan_text import plan_in_words
from sweeps.engine.planning.base_plan import Data
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import Space
from sweeps.engine.planning.start_from import start_from
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.resume import read_attribute, recorded_fields, recorded_scale
from sweeps.engine.sweep import Script, launch

if TYPE_CHECKING:
    from sweeps.engine.session import Session
    from sweeps.engine.stages import Stages

__all__ = ["main", "search_script"]

#: Returns the space to search for these flags.
SpaceOf = Callable[[SweepSettings], Space]


def main(script: str, text: str, space: Space, argv: Sequence[str] | None = None) -> None:
    """Parse argv and run the sweep. Exits with 0 if it is complete, 1 with failed trials, 2 for bad input."""
    launch(search_script(script, lambda _: space), text, argv)


def search_script(
    name: str, space_of: SpaceOf, settings: type[SweepSettings] = SweepSettings
) -> Script[SweepSettings, Plan]:
    """A script that searches, confirms and tests the configurations of a space."""
    return Script(
        name,
        settings,
        make_plan=lambda flags, home: make_plan(
            name,
            flags,
            space_of(flags),
            lambda space: _with_start(space, flags, home),
            lambda scale: recorded_scale(home, scale),
            recorded_fields(home),
        ),
        in_words=_in_words,
        make_stages=_make_stages,
    )


def _with_start(space: Space, settings: SweepSettings, home: SweepHome) -> Space:
    """The space with its first points; a resumed sweep reads them from its record: their sweep may be gone."""
    if not settings.start_from:
        return space
    if settings.resume:
        return dataclasses.replace(space, points=read_attribute(home, "plan")["space"]["points"])
    return start_from(space, SweepHome(home.folder.parent / settings.start_from).results)


def _in_words(plan: Plan, settings: SweepSettings, home: SweepHome, is_extended: bool) -> str:
    left = left_of(plan, home, is_extended=is_extended) if settings.resume else None
    return plan_in_words(plan, settings, left)


def _make_stages(plan: Plan, settings: SweepSettings, session: Session, data: Data) -> Stages:
    from sweeps.engine.stages import Stages

    return Stages(plan, settings, session, data[plan.base.dataset, "train"])
