"""NodeLosses: distinguishes a trial whose node was lost from one that has crashed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial

from sweeps.engine.machine.nodes import is_alive, node_of
from sweeps.engine.machine.shared_storage import NOT_SEEN

__all__ = ["NodeLosses", "last_failure"]

#: What Ray says of a worker whose node is gone, and of one that it cannot reach and knows nothing of: the node may be
#: gone, too. Ray learns of a worker that has crashed within a second, of a node's end within half a minute.
LOST, UNREACHABLE = "its node has died", "is temporarily unavailable"
#: Seconds after which a node that is not known to be gone is there.
UNCERTAIN_SECONDS = 90.0
#: How Tune begins the entry of a failure in a trial's log.
ENTRY = "Failure # "


class NodeLosses:
    """Does not count failures that a node caused; an uncertain one counts later if the node turns out to be alive."""

    def __init__(
        self,
        node_of: Callable[[Any], str | None] = node_of,
        is_alive: Callable[[str | None], bool] = is_alive,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.node_of, self.is_alive, self.clock = node_of, is_alive, clock
        self.worker_and_node: dict[str, tuple[Any, str | None]] = {}  # worker and node, by trial
        self.uncertain_failures: list[tuple[float, str | None, Trial]] = []

    def follow(self, trials: Iterable[Trial]) -> None:
        """Called at each step: note where the trials run, and count the failures whose nodes are alive after all."""
        for trial in trials:
            worker = trial.temporary_state.ray_actor
            if worker is not None and self.worker_and_node.get(trial.trial_id, (None, None))[0] is not worker:
                self.worker_and_node[trial.trial_id] = worker, self.node_of(worker)
        due = [failure for failure in self.uncertain_failures if failure[0] <= self.clock()]
        for failure in due:
            self.uncertain_failures.remove(failure)
            if self.is_alive(failure[1]):
                failure[2].run_metadata.num_failures += 1

    def forgive(self, trial: Trial) -> bool:
        """Whether a trial's last failure is its node's, which then does not count as one of its own."""
        text = last_failure(trial)
        if LOST not in text and UNREACHABLE not in text:
            return False
        if LOST not in text:
            _, node = self.worker_and_node.get(trial.trial_id, (None, None))
            self.uncertain_failures.append((self.clock() + UNCERTAIN_SECONDS, node, trial))
        _uncount(trial)
        return True

    def node_without_storage(self, trial: Trial) -> str | None:
        """The node of a trial that has failed as it did not see the storage there, which does not count; else None."""
        node = self.worker_and_node.get(trial.trial_id, (None, None))[1]
        if node is None or NOT_SEEN not in last_failure(trial):
            return None
        _uncount(trial)
        return node


def _uncount(trial: Trial) -> None:
    trial.run_metadata.num_failures = max(0, trial.run_metadata.num_failures - 1)


def last_failure(trial: Trial) -> str:
    """What Tune has noted of a trial's last failure; empty if nothing."""
    file = Path(trial.error_file or "")  # the driver's own: get_error() reads a copy that does not exist yet
    return file.read_text().rpartition(ENTRY)[2] if file.is_file() else ""
