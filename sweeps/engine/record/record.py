"""The record of a sweep: an Optuna study in one SQLite file, from which everything is rebuilt.

A trial of the study is a configuration. What has been trained is in the study's attributes, one for each pack of the
search in the order in which they ended: a resumed sweep climbs the ladder again, step by step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from adcore.metric_names import goodness
from adcore.train.members import SHARED
from sweeps.engine.planning.ladder import Ladder
from sweeps.engine.planning.plan import NUMBERS_PER_CLASS, Plan
from sweeps.engine.planning.proposals import ConfigurationResults, propose, sampler_history
from sweeps.engine.record.attributes import PACK, Attributes
from sweeps.engine.record.configuration import Configuration, Curves
from sweeps.engine.record.home import RECORD
from sweeps.engine.record.ledger import Ledger
from sweeps.engine.record.study import at_once, end_trial, storage_of

__all__ = ["SweepRecord"]

#: The state of a trial of the study when its configuration has ended.
_STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "diverged": TrialState.PRUNED}


class SweepRecord(Attributes):
    """Configurations in memory and in the study; every change is written before it is acted on.

    first: number of the study's first configuration. attributes: those of another record, if it shares them. classes:
    in the ladder's order; empty until that is known. ledger: how the configurations stand. is_searched: whether the
    search has ended.
    """

    def __init__(
        self,
        study: optuna.Study,
        plan: Plan,
        *,
        first: int = 0,
        attributes: Attributes | None = None,
        path: Path = Path(RECORD),
    ) -> None:
        super().__init__(study, path, shared=attributes)
        self.study, self.plan, self.first = study, plan, first
        self.ledger, self._next = Ledger(self.goodness), first
        self.ladder = Ladder(plan.rungs, plan.reduction, plan.budget, plan.min_complete, kind=self._kind)
        self.classes = plan.class_order
        self._trials = study.get_trials()
        self._told = {first + trial.number for trial in self._trials if trial.state.is_finished()}
        self._of_class: dict[int, SweepRecord] = {}
        self.configurations: dict[int, Configuration] = {}
        for trial in self._trials:
            self._take_up(first + trial.number, trial.params)
        known = study.user_attrs
        self._packs = 0
        while pack := known.get(f"{PACK}{self._packs}"):
            self._packs += 1
            for number in pack["trained"]:
                self.begin(int(number), pack["rung"])
            self._take_in(pack["rung"], pack["trained"])
        self.is_searched = bool(known.get("searched"))
        if self.is_searched:
            self.end_search()
        self._tell_ended()

    def of_class(self, index: int) -> SweepRecord:
        """The record of a class's own search: another study in the same file, which shares the attributes."""
        if index not in self._of_class:
            with self.writing():
                storage = storage_of(self.study)
                study = optuna.create_study(
                    storage=storage, study_name=f"class-{index}", direction="maximize", load_if_exists=True
                )
            plan, first = self.plan.of_class(index), (index + 1) * NUMBERS_PER_CLASS
            self._of_class[index] = SweepRecord(study, plan, first=first, attributes=self, path=self.path)
        return self._of_class[index]

    def propose(self, number: int) -> Configuration:
        """The configuration with this number: the one on record, or the next one that the sampler proposes."""
        if number not in self.configurations:
            begun = range(self.first, self.first + len(self._trials))
            known = [self._known(each) for each in sampler_history(begun, self.ladder.leaders, self.ledger.last_heard)]
            trial = propose(self.plan, number - self.first, known)
            with self.writing():
                self.study.add_trial(trial)
            self._trials.append(trial)
            self._take_up(number, trial.params)
        return self.configurations[number]

    def not_begun(self) -> Iterator[int]:
        """The numbers of configurations that have not begun, in their order, without end."""
        while self.ladder.has_begun(self._next):
            self._next += 1
        return (number for number in count(self._next) if not self.ladder.has_begun(number))

    def open_grid(self) -> list[Configuration]:
        """Every point of a grid, in order."""
        return [self.propose(self.first + place) for place in range(self.plan.configs)]

    def begin(self, number: int, rung: int) -> None:
        """A configuration begins a rung, on all classes while their order is not known."""
        self.ladder.begin(number, rung)
        if not self.classes:
            self.ladder.spent += self.plan.class_order_cost

    def finish_pack(self, rung: int, trained: Mapping[int, Curves | None]) -> None:
        """A pack has ended. trained: by configuration, what is added to its curves; None if it failed.

        Its configurations must have begun the rung. One with a value that is not finite has diverged.
        """
        plain = {
            str(number): None if curves is None else {str(index): list(added) for index, added in curves.items()}
            for number, curves in trained.items()
        }
        with self.writing():
            self.study.set_user_attr(f"{PACK}{self._packs}", {"rung": rung, "trained": plain})
        self._packs += 1
        self._take_in(rung, plain)
        self._tell_ended()

    def end_search(self) -> None:
        """End the search: configurations that have not reached the top are stopped."""
        if not self.is_searched:
            with self.writing():
                self.study.set_user_attr("searched", True)
            self.is_searched = True
        for each in self.configurations.values():
            if each.state == "running":
                self.ledger.end(each, "stopped")
        self._tell_ended()

    def goodness(self, value: float) -> float:
        """A value of the metric as a number that is higher for a better configuration."""
        return goodness(self.plan.metric, value)

    def value_at(self, configuration: Configuration, rung: int) -> float:
        """The mean over a rung's classes at its epoch, or at the last one of an experiment that ended early."""
        epochs, curves = self.ladder.rungs[rung].epochs, configuration.curves
        values = [curves[index][:epochs][-1] for index in self.classes[: self.ladder.rungs[rung].classes]]
        return math.fsum(values) / len(values)

    def best(self, count: int) -> list[Configuration]:
        """The complete configurations with the best mean, best first."""
        return self.ledger.best(count)

    def write_confirmed(self, configuration: int, seed: int, values: Mapping[int, float]) -> None:
        """Add values by class of models trained with a fresh seed to those on record."""
        key = f"confirm_{configuration}_{seed}"
        known = self.read(key) or {}
        self.write(key, {**known, **{str(index): value for index, value in values.items()}})

    def confirmed_classes(self, configuration: int, seed: int) -> dict[int, float]:
        """The metric by class of a configuration's models trained with a fresh seed."""
        return {int(index): value for index, value in (self.read(f"confirm_{configuration}_{seed}") or {}).items()}

    def confirmed(self, configuration: int, seed: int) -> dict[int, float] | None:
        """The same, sorted; None unless all classes are on record."""
        found = self.confirmed_classes(configuration, seed)
        classes = sorted(self.plan.classes)
        return {index: found[index] for index in classes} if found.keys() >= set(classes) else None

    def _take_up(self, number: int, params: Mapping[str, Any]) -> None:
        self.configurations[number] = own = Configuration(number, self.plan.space.fields(params))
        self.ledger.begin(own)

    def _take_in(self, rung: int, trained: Mapping[str, Mapping[str, list[float]] | None]) -> None:
        for number, added in trained.items():
            own = self.configurations[int(number)]
            self.ledger.hear(own)
            if added is None:
                self.ledger.end(own, "failed")
                continue
            for index, values in added.items():
                own.curves.setdefault(int(index), []).extend(values)
            self._rate(own, rung)

    def _known(self, number: int) -> ConfigurationResults:
        own = self.configurations[number]
        return ConfigurationResults(self._trials[number - self.first], own.curves, own.state, own.mean)

    def _kind(self, number: int) -> tuple[Any, ...]:
        """The values that all configurations of a pack must have in common."""
        return tuple(self.configurations[number].params.get(name) for name in SHARED)

    def _rate(self, own: Configuration, rung: int) -> None:
        """Update how far a configuration has come; the first one trained on all classes gives their order."""
        if not all(math.isfinite(values[-1]) for values in own.curves.values()):
            self.ledger.end(own, "diverged")
            return
        if not self.classes:
            self.classes = tuple(sorted(own.curves, key=lambda index: self.goodness(own.curves[index][-1])))
        value = self.value_at(own, rung)
        self.ledger.climb(own, rung, value)
        self.ladder.reach(own.number, rung, self.goodness(value))
        if rung == len(self.ladder.rungs) - 1:
            self.ledger.end(own, "complete")

    def _tell_ended(self) -> None:
        """Tell the study of every configuration that has ended since the last call; that is final."""
        untold = [own for own in self.ledger.untold if own.number not in self._told]
        if untold:
            with self.writing(), at_once(self.study):
                for own in untold:
                    rungs = range(own.rung + 1) if own.state == "stopped" else ()  # Optuna ranks by (last step, value)
                    end_trial(
                        self.study, own.number - self.first, _STATES.get(own.state, TrialState.FAIL),
                        None if own.mean is None else self.goodness(own.mean), name=own.state,
                        reported=[self.goodness(self.value_at(own, rung)) for rung in rungs],
                    )  # fmt: skip
        self._told.update(own.number for own in untold)
        self.ledger.untold.clear()
