"""Propose what to try next: the space's points first, then what an Optuna sampler makes of all results."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from adcore.metric_names import goodness
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.predicted import predicted_means
from sweeps.engine.planning.samplers import make_sampler

__all__ = ["ConfigurationResults", "propose", "sampler_history"]

#: Configurations that are passed to a sampler at most, more than any scale searches: with all of thousands, a proposal
#: would take ever longer. It gets the best (TPE models the best tenth apart), those whose packs ended last, and the
#: newest, which may be training.
BEST, LAST, NEW = 40, 120, 40
MOST = BEST + LAST + NEW


@dataclasses.dataclass(frozen=True)
class ConfigurationResults:
    """The results of a configuration: its trial in the study, the metric by class and epoch, its state, and, if it is
    complete, its mean over all classes."""

    trial: FrozenTrial
    curves: Mapping[int, Sequence[float]]
    state: str
    mean: float | None


def sampler_history(
    numbers: range, leaders: Callable[[int], Sequence[int]], last: Callable[[int], Sequence[int]]
) -> Sequence[int]:
    """The configurations that are passed to a sampler, by number: all or, if there are many, the best and the latest.

    numbers: of all. leaders: so many that came furthest up the ladder. last: so many whose packs ended last.
    """
    return numbers if len(numbers) <= MOST else sorted({*leaders(BEST), *last(LAST), *numbers[-NEW:]})


def propose(plan: Plan, place: int, results: Sequence[ConfigurationResults]) -> FrozenTrial:
    """A new trial for the study: proposal number `place`, from 0; the same results always give the same proposal.

    A configuration that stopped on some classes counts with its predicted mean over all of them, one that diverged with
    the lowest mean of all.
    """
    space = plan.space
    points, distributions = list(space.points), space.distributions()
    if place < len(points):
        params = space.point_params(points[place])
        return create_trial(state=TrialState.RUNNING, params=params, distributions=distributions)
    seed = int(np.random.SeedSequence([plan.search_seed, place]).generate_state(1)[0])
    startup = min(10, max(4, plan.configs // 4))  # the first proposals of a model do not depend on results
    study = optuna.create_study(direction="maximize", sampler=make_sampler(plan.sampler, seed, startup))
    study.add_trials(_as_complete(plan, results))
    number = study.ask(distributions).number
    proposed = study.get_trials(deepcopy=False)[number]
    return create_trial(  # with what the sampler stores there for its next proposals
        state=TrialState.RUNNING,
        params=proposed.params,
        distributions=distributions,
        system_attrs=proposed.system_attrs,
    )


def _as_complete(plan: Plan, results: Sequence[ConfigurationResults]) -> list[FrozenTrial]:
    """The trials that a sampler learns from: without a value yet they count as running, failed ones are left out."""
    results = [result for result in results if result.state != "failed"]
    order = sorted(plan.classes)
    curves = [{order.index(index): values for index, values in result.curves.items()} for result in results]
    predicted = predicted_means(curves, len(order), plan.search_config.epochs)
    means = [None if mean is None else goodness(plan.metric, mean) for mean in predicted]
    least = min((mean for mean in means if mean is not None), default=None)
    trials: list[FrozenTrial] = []
    for result, mean in zip(results, means, strict=True):
        complete = mean if result.mean is None else goodness(plan.metric, result.mean)
        trials.append(_sampler_trial(result.trial, least if result.state == "diverged" else complete))
    return trials


class _SamplerTrial(FrozenTrial):
    """A trial as it is passed to a sampler. Optuna copies each one that is added to a study, down to its ranges, which
    takes longer than a proposal itself; it never changes what is in them."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _SamplerTrial:
        return copy.copy(self)


def _sampler_trial(trial: FrozenTrial, value: float | None) -> _SamplerTrial:
    state, now = TrialState.RUNNING if value is None else TrialState.COMPLETE, trial.datetime_start
    return _SamplerTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=value,
        datetime_start=now,
        datetime_complete=now if state.is_finished() else None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={},
        system_attrs=trial.system_attrs,
        intermediate_values={},
    )
