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
from sweeps.engine.record.study import end_trial, one_transaction, storage_of

__all__ = ["SweepRecord"]

#: The state of a trial of the study when its configuration has ended.
_STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "diverged": TrialState.PRUNED}


class SweepRecord(Attributes):
    """Configurations in memory and in the study; every change is written before it is acted on.

    first_number: of the study's first configuration. attributes: those of another record, if it shares them. classes:
    in the ladder's order; empty until that is known. ledger: the state of every configuration. is_searched: whether the
    search has ended.
    """

    def __init__(
        self,
        study: optuna.Study,
        plan: Plan,
        *,
        first_number: int = 0,
        attributes: Attributes | None = None,
        path: Path = Path(RECORD),
    ) -> None:
        super().__init__(study, path, shared_attributes=attributes)
        self.study, self.plan, self.first_number = study, plan, first_number
        self.ledger, self._next_number = Ledger(self.goodness), first_number
        self.ladder = Ladder(plan.rungs, plan.reduction, plan.budget, plan.min_complete, kind=self._kind)
        self.classes = plan.class_order
        self._trials = study.get_trials()
        self._recorded_endings = {first_number + trial.number for trial in self._trials if trial.state.is_finished()}
        self._class_records: dict[int, SweepRecord] = {}
        self.configurations: dict[int, Configuration] = {}
        for trial in self._trials:
            self._add_configuration(first_number + trial.number, trial.params)
        stored = study.user_attrs
        self._pack_count = 0
        while pack := stored.get(f"{PACK}{self._pack_count}"):
            self._pack_count += 1
            for number in pack["trained"]:
                self.begin(int(number), pack["rung"])
            self._apply_pack(pack["rung"], pack["trained"])
        self.is_searched = bool(stored.get("searched"))
        if self.is_searched:
            self.end_search()
        self._record_endings()

    def of_class(self, index: int) -> SweepRecord:
        """The record of a class's own search: another study in the same file, which shares the attributes."""
        if index not in self._class_records:
            with self.writing():
                storage = storage_of(self.study)
                study = optuna.create_study(
                    storage=storage, study_name=f"class-{index}", direction="maximize", load_if_exists=True
                )
            plan, first_number = self.plan.of_class(index), (index + 1) * NUMBERS_PER_CLASS
            self._class_records[index] = SweepRecord(
                study, plan, first_number=first_number, attributes=self, path=self.path
            )
        return self._class_records[index]

    def propose(self, number: int) -> Configuration:
        """The configuration with this number: the one on record, or the next one that the sampler proposes."""
        if number not in self.configurations:
            begun = range(self.first_number, self.first_number + len(self._trials))
            results = [
                self._results_of(each) for each in sampler_history(begun, self.ladder.leaders, self.ledger.latest)
            ]
            trial = propose(self.plan, number - self.first_number, results)
            with self.writing():
                self.study.add_trial(trial)
            self._trials.append(trial)
            self._add_configuration(number, trial.params)
        return self.configurations[number]

    def unbegun_numbers(self) -> Iterator[int]:
        """The numbers of configurations that have not begun, in their order, without end."""
        while self.ladder.has_begun(self._next_number):
            self._next_number += 1
        return (number for number in count(self._next_number) if not self.ladder.has_begun(number))

    def open_grid(self) -> list[Configuration]:
        """Every point of a grid, in order."""
        return [self.propose(self.first_number + place) for place in range(self.plan.configs)]

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
            self.study.set_user_attr(f"{PACK}{self._pack_count}", {"rung": rung, "trained": plain})
        self._pack_count += 1
        self._apply_pack(rung, plain)
        self._record_endings()

    def end_search(self) -> None:
        """End the search: configurations that have not reached the top are stopped."""
        if not self.is_searched:
            with self.writing():
                self.study.set_user_attr("searched", True)
            self.is_searched = True
        for configuration in self.configurations.values():
            if configuration.state == "running":
                self.ledger.end(configuration, "stopped")
        self._record_endings()

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

    def complete_confirmation(self, configuration: int, seed: int) -> dict[int, float] | None:
        """The same, sorted; None unless all classes are on record."""
        values = self.confirmation_values(configuration, seed)
        classes = sorted(self.plan.classes)
        return {index: values[index] for index in classes} if values.keys() >= set(classes) else None

    def _add_configuration(self, number: int, params: Mapping[str, Any]) -> None:
        self.configurations[number] = configuration = Configuration(number, self.plan.space.fields(params))
        self.ledger.begin(configuration)

    def _apply_pack(self, rung: int, trained: Mapping[str, Mapping[str, list[float]] | None]) -> None:
        for number, added in trained.items():
            configuration = self.configurations[int(number)]
            self.ledger.note_pack(configuration)
            if added is None:
                self.ledger.end(configuration, "failed")
                continue
            for index, values in added.items():
                configuration.curves.setdefault(int(index), []).extend(values)
            self._update_rung(configuration, rung)

    def _results_of(self, number: int) -> ConfigurationResults:
        configuration = self.configurations[number]
        return ConfigurationResults(
            self._trials[number - self.first_number], configuration.curves, configuration.state, configuration.mean
        )

    def _kind(self, number: int) -> tuple[Any, ...]:
        """The values that all configurations of a pack must have in common."""
        return tuple(self.configurations[number].params.get(name) for name in SHARED)

    def _update_rung(self, configuration: Configuration, rung: int) -> None:
        """Update how far a configuration has come; the first one trained on all classes gives their order."""
        if not all(math.isfinite(values[-1]) for values in configuration.curves.values()):
            self.ledger.end(configuration, "diverged")
            return
        if not self.classes:
            self.classes = tuple(
                sorted(configuration.curves, key=lambda index: self.goodness(configuration.curves[index][-1]))
            )
        value = self.value_at(configuration, rung)
        self.ledger.climb(configuration, rung, value)
        self.ladder.reach(configuration.number, rung, self.goodness(value))
        if rung == len(self.ladder.rungs) - 1:
            self.ledger.end(configuration, "complete")

    def _record_endings(self) -> None:
        """Write to the study which configurations have ended since the last call; that is final."""
        endings = [each for each in self.ledger.unrecorded if each.number not in self._recorded_endings]
        if endings:
            with self.writing(), one_transaction(self.study):
                for configuration in endings:
                    mean, state = configuration.mean, configuration.state
                    rungs = range(configuration.rung + 1) if state == "stopped" else ()  # Optuna ranks by (step, value)
                    end_trial(
                        self.study, configuration.number - self.first_number, _STATES.get(state, TrialState.FAIL),
                        None if mean is None else self.goodness(mean), name=state,
                        step_values=[self.goodness(self.value_at(configuration, rung)) for rung in rungs],
                    )  # fmt: skip
        self._recorded_endings.update(configuration.number for configuration in endings)
        self.ledger.unrecorded.clear()
