"""What is tried next: the space's points first, then what one of Optuna's samplers makes of all that is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.predicted import predicted_means
from sweeps.engine.planning.samplers import make_sampler

__all__ = ["Known", "propose"]


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known of a configuration: its trial in the study, its AUROC by class and epoch, its state, and the mean
    over all classes of a complete one."""

    trial: FrozenTrial
    curves: Mapping[int, Sequence[float]]
    state: str
    mean: float | None


def propose(plan: Plan, place: int, known: Sequence[Known]) -> FrozenTrial:
    """A new trial for the study: the proposal of this place, from 0 on, the same whenever the same is known.

    A configuration that stopped on some classes counts with the mean that it is predicted to have on all of them, one
    that diverged with the least of all.
    """
    space = plan.space
    points, distributions = list(space.points), space.distributions()
    if place < len(points):
        params = space.proposed(points[place])
        return create_trial(state=TrialState.RUNNING, params=params, distributions=distributions)
    seed = int(np.random.SeedSequence([plan.search_seed, place]).generate_state(1)[0])
    startup = min(10, max(4, plan.configs // 4))  # the first proposals of a model do not depend on results
    study = optuna.create_study(direction="maximize", sampler=make_sampler(plan.sampler, seed, startup))
    study.add_trials(_as_complete(plan, known))
    number = study.ask(distributions).number
    proposed = study.get_trials(deepcopy=False)[number]
    return create_trial(  # with what the sampler keeps there for its next proposals
        state=TrialState.RUNNING,
        params=proposed.params,
        distributions=distributions,
        system_attrs=proposed.system_attrs,
    )


def _as_complete(plan: Plan, known: Sequence[Known]) -> list[FrozenTrial]:
    """What a sampler is to learn from; what has no value yet is under way to it, and what failed says nothing."""
    known = [each for each in known if each.state != "failed"]
    order = sorted(plan.classes)
    curves = [{order.index(index): own for index, own in each.curves.items()} for each in known]
    means = predicted_means(curves, len(order), plan.search_config.epochs)
    least = min((mean for mean in means if mean is not None), default=None)
    found: list[FrozenTrial] = []
    for each, mean in zip(known, means, strict=True):
        value = least if each.state == "diverged" else mean if each.mean is None else each.mean
        found.append(
            create_trial(
                state=TrialState.RUNNING if value is None else TrialState.COMPLETE,
                value=value,
                params=each.trial.params,
                distributions=each.trial.distributions,
                system_attrs=each.trial.system_attrs,
            )
        )
    return found
