"""RecordSearcher: a searcher of Tune's whose whole state is the sweep's record."""

from __future__ import annotations

from typing import Any

from ray.tune.search import Searcher

__all__ = ["RecordSearcher"]


class RecordSearcher(Searcher):
    """What a stage asks: which trial is next, how far it is, and what has ended. Tune saves and restores nothing.

    name: of the stage. keeps_checkpoints: whether the checkpoints of what has ended are needed later on.
    """

    name: str
    keeps_checkpoints: bool

    def status(self, running: int, failed: int) -> tuple[str, float | None]:
        """Counts in words, and the best mean so far."""
        raise NotImplementedError

    def newly_closed(self) -> list[tuple[int, int, str]]:
        """Configuration, seed and state of what ended since the last call; at first, of all that has ended."""
        raise NotImplementedError

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: what counts is recorded when it is decided on, or at the end."""

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the record is all there is to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the record is read when it is opened."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles the searcher for Tuner.restore, which is not used
