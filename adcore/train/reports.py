"""Metrics of configurations, epoch by epoch, assembled from the members of a pack."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adcore.config import TrainConfig
from adcore.metric_names import class_metric, mean_metric
from adcore.train.member_state import MemberState
from adcore.train.members import one_configuration

__all__ = ["Reports", "history_of"]

#: An epoch's metrics of each configuration; None for one without any to report.
Epoch = list[dict[str, float] | None]


class Reports:
    """Reports each configuration's epochs, in order, as soon as all its members have completed them.

    configs: their members are `states`, in order. report: called with the metrics of each configuration. until: the
    last epoch to report; None for all.
    """

    def __init__(
        self,
        configs: Sequence[TrainConfig],
        states: Sequence[MemberState],
        report: Callable[[Epoch], object],
        *,
        until: int | None = None,
    ) -> None:
        self.report, self.until = report, until
        self.histories: list[list[dict[str, float]]] = [[] for _ in configs]
        ends = [sum(len(config.classes) for config in configs[: place + 1]) for place in range(len(configs))]
        self.states = [states[end - len(config.classes) : end] for config, end in zip(configs, ends, strict=True)]

    def catch_up(self) -> None:
        """Report every complete epoch that has not been reported."""
        while any(epoch := [self._next(place) for place in range(len(self.states))]):
            for history, metrics in zip(self.histories, epoch, strict=True):
                if metrics:
                    history.append(metrics)
            self.report(epoch)

    def state(self, place: int) -> str:
        """How a configuration ended: diverged if one of its members did, else complete, or paused before its end."""
        if self.until and any(state.epoch > self.until for state in self.states[place]):
            return "paused"
        if any(state.diverged for state in self.states[place]):
            return "diverged"
        return "complete" if all(state.finished for state in self.states[place]) else "paused"

    def share_of_time(self, place: int) -> float:
        """Training time of a configuration's members, in seconds per image of one member's epoch."""
        return sum(1 / epoch["images_per_second"] for state in self.states[place] for epoch in state.history)

    def _next(self, place: int) -> dict[str, float] | None:
        """The first unreported epoch of a configuration; None if it is missing or incomplete."""
        states, epoch = self.states[place], len(self.histories[place])
        if epoch == self.until:
            return None
        under_way = [state for state in states if state.epoch > epoch]
        if not under_way or any(state.epoch <= epoch and not state.finished for state in states):
            return None
        return _joined(states, epoch, under_way[0].history[epoch])


def history_of(states: Sequence[MemberState]) -> list[dict[str, float]]:
    """Each epoch's metrics of the configuration with these members, as `train` reports them."""
    reports = Reports([one_configuration([state.config for state in states])], states, lambda _: None)
    reports.catch_up()
    return reports.histories[0]


def _joined(states: Sequence[MemberState], epoch: int, pack: dict[str, float]) -> dict[str, float]:
    """An epoch's metrics of all members, by name and class; of a member that had ended, its last ones.

    pack: the metrics of a member that was trained in this epoch.
    """
    members = {state.config.classes[0]: state.history[min(epoch, state.epoch - 1)] for state in states}
    metrics = {"epoch": float(epoch + 1)}
    for name in (name for name in pack if name.startswith("val_")):
        values = {index: epoch_metrics[name] for index, epoch_metrics in members.items()}
        metrics[mean_metric(name)] = sum(values.values()) / len(values)
        metrics |= {class_metric(name, index): value for index, value in values.items()}
    for name in (name for name in pack if name.startswith("loss_")):
        metrics |= {class_metric(name, index): epoch_metrics[name] for index, epoch_metrics in members.items()}
    return {**metrics, "images_per_second": pack["images_per_second"]}
