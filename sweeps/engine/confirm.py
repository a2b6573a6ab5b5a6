"""Confirm the best configurations, and those they are compared with, with fresh seeds on validation."""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from sweeps.engine.models import unlike_record
from sweeps.engine.record import Block, SweepRecord
from sweeps.engine.searcher import RecordSearcher
from sweeps.engine.trial import checkpoint_path, trial_config

__all__ = ["ConfirmSearch", "Confirmation", "candidates", "confirmations", "references"]


@dataclasses.dataclass(frozen=True)
class Confirmation:
    """A configuration's validation AUROCs with fresh seeds: seed -> class -> AUROC."""

    block: Block
    by_seed: dict[int, dict[int, float]]

    @property
    def means(self) -> list[float]:
        """Mean over the classes, one per seed."""
        return [statistics.fmean(values.values()) for values in self.by_seed.values()]

    @property
    def mean(self) -> float:
        """Mean over classes and seeds; NaN if one of the trainings diverged."""
        return statistics.fmean(self.means)

    def by_class(self) -> dict[int, float]:
        """Mean over the seeds of each class."""
        classes = next(iter(self.by_seed.values()))
        return {index: statistics.fmean(values[index] for values in self.by_seed.values()) for index in classes}


def candidates(record: SweepRecord) -> list[Block]:
    """What is confirmed: the references, and the best complete blocks beside them, best first; empty without any."""
    plan = record.plan
    named = references(record)
    best = [block for block in record.best(plan.configs) if block not in named.values()][: plan.best]
    complete = [block for block in named.values() if block.mean is not None]
    return [*best, *named.values()] if best or complete else []


def references(record: SweepRecord) -> dict[str, Block]:
    """The package's default and, where the scale trains them, the paper's weights: by name, as far as searched."""
    plan = record.plan
    names = [plan.space.default, *([plan.space.paper] if plan.paper and plan.space.paper else [])]
    found: dict[str, Block] = {}
    for name in names:
        block = next((b for b in record.blocks.values() if b.params == plan.space.points.get(name)), None)
        if block:
            found[name] = block
    return found


class ConfirmSearch(RecordSearcher):
    """Hands out every candidate x seed x group that the record does not hold yet."""

    name = "confirm"
    keeps_checkpoints = True  # the winner's score the test part

    def __init__(self, record: SweepRecord, blocks: list[Block], home: Path) -> None:
        super().__init__()
        self.record, self.blocks, self.home = record, blocks, home
        self.jobs = [
            (block, seed, group)
            for block in blocks
            for seed in record.plan.confirm_seeds
            for group in range(len(record.groups))
            if not self._is_done(block, seed, group)
        ]
        self.trials: dict[str, tuple[Block, int, int]] = {}
        self.open = {(block.number, seed) for block in blocks for seed in record.plan.confirm_seeds}
        self.failed: set[tuple[int, int]] = set()
        self.tried: set[tuple[int, int, int]] = set()  # those that failed once as a trial

    def _is_done(self, block: Block, seed: int, group: int) -> bool:
        """Its values are recorded, and the models are theirs as long as the test part has not been scored.

        A model that is not is said and dropped: it is trained again.
        """
        values = self.record.read(f"confirm_{block.number}_{seed}_{group}")
        if values is None or self.record.read("test") is not None:
            return values is not None
        is_done = True
        for index, value in zip(self.record.groups[group], values, strict=True):
            path = checkpoint_path(self.home, block.number, index, seed)
            if reason := unlike_record(path, value):
                print(f"{path}: {reason}; the model is trained again", file=sys.stderr)
                path.unlink(missing_ok=True)
                is_done = False
        return is_done

    def suggest(self, trial_id: str) -> Any:
        if self.record.broken or not (self.jobs or self.trials):
            return Searcher.FINISHED
        if not self.jobs:  # one that is under way may have to be tried again
            return None
        block, seed, group = self.trials[trial_id] = self.jobs.pop(0)
        changes = {**block.params, "classes": self.record.groups[group], "train_seed": seed}
        return trial_config(self.record.plan.base, configuration=block.number, group=group, **changes)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        block, seed, group = self.trials.pop(trial_id)
        work = (block.number, seed, group)
        if error and work not in self.tried:  # as in the search
            self.tried.add(work)
            self.jobs.insert(0, (block, seed, group))
            return
        if error or result is None:
            self.failed.add((block.number, seed))
            return
        values = [float(result[f"val_auroc_{index}"]) for index in self.record.groups[group]]
        self.record.write_confirmed(block.number, seed, group, values)

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        total = len(self.blocks) * self.record.plan.seeds
        done = confirmations(self.record, self.blocks)
        count = sum(len(each.by_seed) for each in done)
        best = max((each.mean for each in done if math.isfinite(each.mean)), default=None)
        return f"{count} of {total} trainings done, {running} running, {failed} failed", best

    def newly_closed(self) -> list[tuple[int, int, str]]:
        ended = [key for key in sorted(self.open) if key in self.failed or self.record.confirmed(*key) is not None]
        self.open -= set(ended)
        return [(*key, self._state(*key)) for key in ended]

    def _state(self, configuration: int, seed: int) -> str:
        values = self.record.confirmed(configuration, seed)
        if values is None or (configuration, seed) in self.failed:
            return "failed"
        return "complete" if all(map(math.isfinite, values.values())) else "diverged"


def confirmations(record: SweepRecord, blocks: list[Block]) -> list[Confirmation]:
    """What the record holds of the candidates, best mean first; one that diverged with a fresh seed is left out."""
    found: list[Confirmation] = []
    for block in blocks:
        by_seed = {
            seed: values for seed in record.plan.confirm_seeds if (values := record.confirmed(block.number, seed))
        }
        if by_seed and math.isfinite((each := Confirmation(block, by_seed)).mean):
            found.append(each)
    if record.plan.space.is_grid:  # nothing wins: the points keep their order, the default one first
        return found
    return sorted(found, key=lambda each: (-each.mean, each.block.number))
