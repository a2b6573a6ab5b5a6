"""Train experiments side by side: `train(config, report)`, or `python -m adcore.train` on the command line.

Heavy imports are inside the functions: mistakes on the command line are reported before torch loads.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast, overload

from adcore.config import TrainConfig
from adcore.errors import UserError
from adcore.train.members import check_members, members_of

if TYPE_CHECKING:
    from adcore.datasets import ImageDataset
    from adcore.train.checkpoints import Checkpoints
    from adcore.train.pack import Pack
    from adcore.train.progress import OnStep

__all__ = ["Report", "ReportEach", "TrainResult", "train"]

#: Called after every epoch with its metrics: print on the command line, tune.report in a trial, list.append in a test.
Report = Callable[[dict[str, float]], object]
#: The same for several configurations: their metrics in order, None for a configuration without that epoch.
ReportEach = Callable[[list[dict[str, float] | None]], object]


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """How a configuration's training ended: state is "complete", "paused" or "diverged".

    history: each epoch's metrics as reported. images_per_epoch: of all its experiments. seconds: training time of all
    epochs, earlier runs included and validation excluded; the configuration's share of its packs' time.
    """

    state: str
    history: list[dict[str, float]]
    images_per_epoch: int
    seconds: float
    make_detector: Callable[[], Pack] = dataclasses.field(repr=False)

    @functools.cached_property
    def detector(self) -> Pack:
        """The networks of all its experiments, on the device that trained them; made on first access."""
        return self.make_detector()


@overload
def train(
    config: TrainConfig,
    report: Report,
    *,
    data: ImageDataset,
    checkpoints: Checkpoints | None = None,
    strategy: str = "auto",
    until: int | None = None,
    side_by_side: int | None = None,
    on_step: OnStep | None = None,
) -> TrainResult: ...
@overload
def train(
    config: Sequence[TrainConfig],
    report: ReportEach,
    *,
    data: ImageDataset,
    checkpoints: Checkpoints | None = None,
    strategy: str = "auto",
    until: int | None = None,
    side_by_side: int | None = None,
    on_step: OnStep | None = None,
) -> list[TrainResult]: ...
def train(
    config: TrainConfig | Sequence[TrainConfig],
    report: Report | ReportEach,
    *,
    data: ImageDataset,
    checkpoints: Checkpoints | None = None,
    strategy: str = "auto",
    until: int | None = None,
    side_by_side: int | None = None,
    on_step: OnStep | None = None,
) -> TrainResult | list[TrainResult]:
    """Train detectors on the train part `data` of their data set and report after every epoch.

    config: one configuration, each of whose classes is an experiment; or several that agree in the fields
    adcore.train.members.SHARED. All experiments train side by side, as a pack, with the same results as alone.
    With several configurations, `report` takes a list and a list is returned, both in their order.

    Reported, all as floats: epoch (from 1), val_<metric>_<i> for each experiment i and each of metrics.METRICS, with
    their means val_<metric>_mean, loss_<name>_<i> (means over the epoch), images_per_second (of training alone, over
    all experiments of the pack). Validation uses an experiment's known anomaly classes (adcore.protocols.definitions).
    An experiment with a NaN or infinite loss ends after that epoch, with NaN metrics and its configuration's state
    "diverged"; one that runs out of patience ends and keeps its metrics. The others continue.
    With checkpoints, an experiment that finds one resumes after it: on the CPU bit-identically in the same pack, to
    float accuracy in another pack. The epochs in it are reported again, and experiments that are behind train first.
    strategy: how steps are executed, one of pack.STRATEGIES, with the same results; "auto" takes the fastest on this
    device. until: the epoch to pause after, from 1, None for the last; resuming later from checkpoints gives the same
    results as no pause, and later epochs that a checkpoint holds are not reported. side_by_side: the maximum number of
    experiments trained at a time, None for all; if fewer, they take turns, epoch by epoch. on_step: called with the
    epoch, its images trained so far and all its images, about ten times a second at most.
    If the train part has no anomalies, val_normal_score, the mean score of normal validation images, takes the place
    of the metrics, which need both kinds.
    Raises UserError for a checkpoint that is damaged, of other settings or of other data, for configurations that
    differ in what a pack shares, for an `until` out of range, and for data that lack a class.
    """
    from adcore.protocols.splits import require_every_class
    from adcore.train.fitting import fit_members
    from adcore.train.member_state import MemberState
    from adcore.train.reports import Reports

    configs = [config] if isinstance(config, TrainConfig) else list(config)
    members = members_of(configs)
    check_members(members)
    last = members[0].epochs if until is None else until
    if not 1 <= last <= members[0].epochs:
        raise UserError(f"until {until}: expected an epoch, 1 to {members[0].epochs}")
    only = None if data.info.has_anomalies else data.info.normal_class
    require_every_class(data.labels, data.class_names, only=only)
    content = data.content_hash
    fresh = [MemberState(member, content=content) for member in members]
    states = checkpoints.load(members, content) if checkpoints else fresh
    for state in states:
        state.info = data.info
    # by the overloads, one configuration comes with a Report, several with a ReportEach
    report_each = _of_one(cast(Report, report)) if isinstance(config, TrainConfig) else cast(ReportEach, report)
    reports = Reports(configs, states, report_each, until=last)
    reports.catch_up()
    packs, images = fit_members(
        states, reports, data=data, checkpoints=checkpoints, strategy=strategy, until=last,
        side_by_side=side_by_side or len(states), on_step=on_step,
    )  # fmt: skip
    results = [
        TrainResult(
            reports.state(place),
            reports.histories[place],
            images_per_epoch=images * len(trained_config.classes),
            seconds=images * reports.share_of_time(place),
            make_detector=packs[place],
        )
        for place, trained_config in enumerate(configs)
    ]
    return results[0] if isinstance(config, TrainConfig) else results


def _of_one(report: Report) -> ReportEach:
    def report_each(epoch: list[dict[str, float] | None]) -> None:
        [metrics] = epoch
        assert metrics is not None
        report(metrics)

    return report_each
