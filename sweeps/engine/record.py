"""The record of a sweep: an Optuna study in one SQLite file, from which everything is rebuilt.

A trial of the study is a configuration, that is a block: its classes are trained in one or more groups. Values at
rungs, and whether the block was stopped there, stand in the trial's user attributes; all else in the study's.
"""

from __future__ import annotations

import dataclasses
import math
import sqlite3
from pathlib import Path

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from adcore.errors import UserError
from sweeps.engine.facts import Facts
from sweeps.engine.places import database_uri
from sweeps.engine.plan import OWN_NUMBERS, Plan
from sweeps.engine.space import POINT
from sweeps.engine.storage_error import check_database, one_line

__all__ = ["Block", "Job", "SweepRecord", "open_study"]

#: What a trial of the study says when its block has ended.
_STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "diverged": TrialState.PRUNED}


@dataclasses.dataclass(frozen=True)
class Job:
    """One Ray trial's work: group `group` of configuration `configuration`."""

    configuration: int
    group: int


@dataclasses.dataclass
class Block:
    """A configuration: its sampled fields, and for each rung and group the classes' AUROCs, in the group's order."""

    number: int
    params: dict[str, float]
    values: dict[int, dict[int, list[float]]] = dataclasses.field(default_factory=dict)
    launched: set[int] = dataclasses.field(default_factory=set)
    state: str = "running"  # or complete, stopped, diverged, failed
    stopped_at: tuple[int, int] | None = None  # epoch, groups compared
    mean: float | None = None  # at the last epoch, all classes

    def prefix(self, epoch: int) -> int:
        """How many groups, from the first on without a gap, have a value at `epoch`."""
        present = self.values.get(epoch, {})
        return next(count for count in range(len(present) + 1) if count not in present)

    def mean_over(self, epoch: int, groups: int) -> float:
        """Mean AUROC over the classes of the first `groups` groups at `epoch`."""
        found = [value for group in range(groups) for value in self.values[epoch][group]]
        return math.fsum(found) / len(found)


class SweepRecord(Facts):
    """Blocks in memory and in the study; every change is written before it is acted on.

    first: number of the study's first block. facts: the study that holds what is not a block's, if it is another one.
    """

    def __init__(
        self,
        study: optuna.Study,
        plan: Plan,
        groups: list[tuple[int, ...]],
        *,
        first: int = 0,
        facts: optuna.Study | None = None,
        path: Path = Path("study.db"),
    ) -> None:
        super().__init__(facts or study, path)
        self.study, self.plan, self.groups, self.first = study, plan, groups, first
        self.blocks: dict[int, Block] = {}
        with self.writing():
            for point in list(plan.space.points)[: plan.configs]:
                study.enqueue_trial(plan.space.proposed(point), skip_if_exists=True)
            for trial in study.get_trials(deepcopy=False):
                if trial.state != TrialState.WAITING:
                    self.blocks[first + trial.number] = self._load(trial)

    def of_class(self, index: int) -> SweepRecord:
        """The record of a class's own search: another study in the same file, with the facts in common."""
        with self.writing():
            study = optuna.create_study(
                storage=self.study._storage, study_name=f"class-{index}", direction="maximize", load_if_exists=True
            )
        plan, first = self.plan.of_class(index), (index + 1) * OWN_NUMBERS
        return SweepRecord(study, plan, [plan.classes], first=first, facts=self.study, path=self.path)

    @property
    def is_searched(self) -> bool:
        """Whether every configuration has been proposed and has ended."""
        return len(self.blocks) >= self.plan.configs and not self.counts()["running"]

    def next_job(self) -> Job | None:
        """The next group to train: of the oldest open block first, else of a new suggestion. None: all are out."""
        for block in self.blocks.values():
            if block.state == "running" and len(block.launched) < len(self.groups):
                break
        else:
            if len(self.blocks) >= self.plan.configs:
                return None
            block = self._ask()
        group = min(set(range(len(self.groups))) - block.launched)
        block.launched.add(group)
        return Job(block.number, group)

    def open_grid(self) -> list[Block]:
        """Every point of a space that is a grid, in order."""
        while len(self.blocks) < self.plan.configs:
            self._ask()
        return list(self.blocks.values())

    def write_rung(self, block: Block, epoch: int, group: int, values: list[float], *, stop_groups: int = 0) -> None:
        """Values of a group at a rung, and in the same breath the decision: stopped on so many groups, or 0."""
        block.values.setdefault(epoch, {})[group] = values
        with self.writing():
            self._trial(block).set_user_attr(f"epoch_{epoch}_group_{group}", {"values": values, "stop": stop_groups})
        if stop_groups:
            block.stopped_at = (epoch, stop_groups)

    def hand_out_again(self, job: Job) -> None:
        """A trial has failed: its group is launched once more, before any new block."""
        self.blocks[job.configuration].launched.discard(job.group)

    def finish(self, job: Job) -> None:
        """A trial has ended by itself; the last one of a block completes it, one without a last epoch fails it."""
        block = self.blocks[job.configuration]
        last = self.plan.searched.epochs
        if block.state == "running" and job.group not in block.values.get(last, {}):
            self.close(block, "failed")
        elif block.state == "running" and block.prefix(last) == len(self.groups):
            block.mean = block.mean_over(last, len(self.groups))
            self.close(block, "complete")

    def close(self, block: Block, state: str) -> None:
        """End a block, once: complete, stopped, diverged or failed. What the study is told is final.

        A record that is broken closes nothing: after the resume the block goes on.
        """
        if block.state != "running" or self.broken:
            return
        block.state = state
        with self.writing():
            trial = self._trial(block)
            trial.set_user_attr("state", state)
            if (
                state == "stopped"
            ):  # Optuna ranks pruned trials by (last step, value); a diverged one, without any, last
                for epoch in sorted(block.values):
                    if groups := block.prefix(epoch):
                        trial.report(block.mean_over(epoch, groups), epoch)
            value = block.mean if state == "complete" else None
            self.study.tell(block.number - self.first, value, state=_STATES.get(state, TrialState.FAIL))

    def counts(self) -> dict[str, int]:
        """Blocks by state."""
        states = [block.state for block in self.blocks.values()]
        return {state: states.count(state) for state in ("complete", "stopped", "diverged", "running", "failed")}

    def best(self, count: int) -> list[Block]:
        """The complete blocks with the highest mean, best first."""
        complete = [block for block in self.blocks.values() if block.mean is not None]
        return sorted(complete, key=lambda block: (-(block.mean or 0.0), block.number))[:count]

    def write_confirmed(self, configuration: int, seed: int, group: int, values: list[float]) -> None:
        """AUROCs of a group's classes after a training with a fresh seed."""
        self.write(f"confirm_{configuration}_{seed}_{group}", values)

    def confirmed(self, configuration: int, seed: int) -> dict[int, float] | None:
        """AUROC by class of a configuration trained with a fresh seed; None unless all its groups are there."""
        found: dict[int, float] = {}
        for group, classes in enumerate(self.groups):
            values = self.read(f"confirm_{configuration}_{seed}_{group}")
            if values is None:
                return None
            found |= dict(zip(classes, values, strict=True))
        return dict(sorted(found.items()))

    def _ask(self) -> Block:
        number = self.first + len(self.blocks)
        self._seed_sampler(number)
        with self.writing():
            trial = self.study.ask(self.plan.space.distributions())
        assert self.first + trial.number == number
        block = self.blocks[number] = Block(number, self.plan.space.fields(trial.params))
        return block

    def _seed_sampler(self, number: int) -> None:
        """A sampler of its own for each block: a resumed search proposes what the uninterrupted one would have."""
        seed = int(np.random.SeedSequence([self.plan.search_seed, number]).generate_state(1)[0])
        startup = min(10, max(4, self.plan.configs // 4))  # TPE's first proposals do not depend on results
        self.study.sampler = TPESampler(seed=seed, n_startup_trials=startup)

    def _params(self, trial: FrozenTrial) -> dict[str, float]:
        """The sampled fields; what a kill within the ask left out is proposed now, the same as it would have been."""
        ranges = self.plan.space.ranges
        if len(trial.params) < max(1, len(ranges)):
            self._seed_sampler(self.first + trial.number)
            live = Trial(self.study, trial._trial_id)
            if self.plan.space.is_grid:
                return self.plan.space.fields({POINT: live.suggest_categorical(POINT, tuple(self.plan.space.points))})
            return {name: live.suggest_float(name, each.low, each.high, log=True) for name, each in ranges.items()}
        return self.plan.space.fields(trial.params)

    def _load(self, trial: FrozenTrial) -> Block:
        block = Block(self.first + trial.number, self._params(trial))
        for key, stored in trial.user_attrs.items():
            if key.startswith("epoch_"):
                _, epoch, _, group = key.split("_")
                block.values.setdefault(int(epoch), {})[int(group)] = stored["values"]
                if stored["stop"]:
                    block.stopped_at = (int(epoch), stored["stop"])
        block.mean = trial.value if trial.state == TrialState.COMPLETE else None
        if trial.state.is_finished():
            block.state = trial.user_attrs.get("state", "failed")
        elif block.stopped_at:  # killed between the decision and its telling
            self.blocks[block.number] = block
            self.close(block, "stopped")
        else:
            block.launched = set(block.values.get(self.plan.searched.epochs, {}))
            if len(block.launched) == len(self.groups):
                self.blocks[block.number] = block
                self.finish(Job(block.number, 0))
        return block

    def _trial(self, block: Block) -> Trial:
        return Trial(self.study, self.study.get_trials(deepcopy=False)[block.number - self.first]._trial_id)


def open_study(path: Path, *, create: bool) -> optuna.Study:
    """The study in a file of its own. Raises UserError for a file that is not one, is damaged, or is missing."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = database_uri(path)
    if create:
        return optuna.create_study(storage=url, study_name="sweep", direction="maximize")
    if not path.is_file():
        raise UserError(f"{path}: not the record of a sweep (no such file)")
    try:
        if "studies" not in check_database(path):  # Optuna would make its tables in any file
            raise UserError(f"{path}: not the record of a sweep, or damaged (no studies in it)")
        return optuna.load_study(storage=url, study_name="sweep")
    except sqlite3.OperationalError as error:
        raise UserError(f"{path}: cannot be opened to write ({one_line(error)})") from error
    except UserError:
        raise
    except RuntimeError as error:  # the tables of another version of Optuna
        raise UserError(f"{path}: {one_line(error).replace('$STORAGE_URL', url)} Make a copy of it first") from error
    except Exception as error:  # SQLAlchemy, sqlite3 and Optuna each have their own
        raise UserError(
            f"{path}: not the record of a sweep, or damaged ({type(error).__name__}: {one_line(error)}); "
            "restore it from a copy, or begin a new sweep"
        ) from error
