"""Turn flags into a plan; nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Collection

from adcore.errors import UserError
from adcore.system.device import has_cuda_device
from sweeps.engine.planning.overrides import parse_ranges, parse_set
from sweeps.engine.planning.plan import NUMBERS_PER_CLASS, Plan
from sweeps.engine.planning.samplers import check_sampler
from sweeps.engine.planning.settings import SCALES, Scale, SweepSettings
from sweeps.engine.planning.space import Space
from sweeps.engine.planning.steering import base_config, check_steering, drop_unused, steer_space

__all__ = ["make_plan"]


def make_plan(
    script: str,
    settings: SweepSettings,
    space: Space,
    add_start: Callable[[Space], Space] = lambda space: space,
    scale_of: Callable[[str], Scale] = SCALES.__getitem__,
    kept: Collection[str] = (),
) -> Plan:
    """Resolve scale, data set, classes, counts and space. Raises UserError for flags that contradict each other.

    add_start: adds the first configuration of --start-from to the space. scale_of: a scale by its name. kept: what a
    sweep on record searches, whether it is used or not.
    """
    searched_fields = list(parse_ranges(settings.range))
    set_values = parse_set(settings.set, space, searched_fields)
    name = settings.scale or settings.default_scale(has_gpus=has_cuda_device())
    scale = scale_of(name)
    base = base_config(settings, scale, set_values)
    space = drop_unused(add_start(steer_space(space, base, settings)), base, settings, kept)
    space.check(base)
    check_sampler(settings.sampler)
    if space.is_grid and settings.configs:
        raise UserError(
            f"--configs {settings.configs}: this script trains each of its {len(space.points)} points; leave it out"
        )
    if space.is_grid and (settings.time_limit or settings.gpu_hours):
        raise UserError(f"a time limit: this script trains each of its {len(space.points)} points; leave it out")
    search = {name: value for name, value in scale.search.items() if name not in (*set_values, *searched_fields)}
    if "epochs" in search:  # a search is never longer than its confirmation
        search["epochs"] = min(search["epochs"], base.epochs)
    plan = Plan(
        script=script,
        scale=name,
        base=base,
        search=search,
        space=space,
        configs=len(space.points) if space.is_grid else settings.configs or scale.configs,
        best=scale.best,
        seeds=scale.seeds,
        paper=scale.paper,
        search_seed=settings.seed,
        objective=settings.objective,
        sampler=settings.sampler,
        metric=settings.metric,
    )
    if plan.objective == "per-class":
        _check_per_class(plan)
    check_steering(
        plan.space,
        settings,
        plan.configs,
        detector=base.detector,
        set_fields=list(set_values),
        searched_fields=searched_fields,
    )
    return plan


def _check_per_class(plan: Plan) -> None:
    """Raises UserError unless each class can have its own search."""
    if plan.space.is_grid:
        raise UserError(f"--objective per-class: this script trains only its {len(plan.space.points)} points")
    if len(plan.classes) < 2:
        raise UserError("--objective per-class: expected at least 2 classes, got 1")
    if plan.configs >= NUMBERS_PER_CLASS:
        raise UserError(
            f"--configs {plan.configs}: expected at most {NUMBERS_PER_CLASS - 1} with --objective per-class"
        )
