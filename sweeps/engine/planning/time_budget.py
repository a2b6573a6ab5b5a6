"""How much of a sweep's time its stages take: what the search may spend so that its best can still be confirmed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from adcore.config import TrainConfig
from adcore.datasets import describe
from sweeps.engine.planning.labels import count_of
from sweeps.engine.planning.plan import Plan

__all__ = [
    "Pace",
    "TimedTrial",
    "confirm_seconds",
    "confirmable_count",
    "duration",
    "images_of",
    "kinds_of",
    "normal_images",
    "pace_of",
    "reserve",
    "trained_images",
    "updates_of",
    "warning_of_few_updates",
]

#: Estimated times are multiplied by this: packs differ in speed, and other work may begin on the machine. The search
#: leaves more than is asked for when it has ended, as its last packs may take longer than planned.
MARGIN, RESERVED = 1.25, 1.5
#: Trials whose pauses are more likely the start of a worker than the usual one.
FIRST = 3
#: Seconds for what does not grow with the trainings: figures, tables, MLflow's last updates, the end of Ray.
CLOSING = 20.0
#: Class-epochs that scoring the test part with a model is taken to cost: it has no backward pass, but more images.
SCORING = 1
#: The largest part of the limit that is kept free for confirming more than one configuration.
SHARE = 0.5
#: Cost of an image by a network's width, as a power of it, on a CPU (`plan_time`).
WIDTH_POWER = 1.2
#: Updates below which a training has hardly learned anything: on a few hundred images the GAN was at chance after 20,
#: and good after 40.
FEW_UPDATES = 30


class TimedTrial(NamedTuple):
    """How long a trial took: seconds before training, class-epochs, their seconds, and experiments in its pack.

    Records of earlier versions do not tell the last: 0.
    """

    pause: float
    class_epochs: float
    seconds: float
    experiments: int = 0


@dataclasses.dataclass(frozen=True)
class Pace:
    """speed: class-epochs of the search that a slot trains in a second, with the usual pause between two trials.

    startup: the longest pause before a trial, as when its worker starts, in seconds. by_size: class-epochs in a second
    of a pack, by the number of its experiments; larger packs do more in a second.
    """

    speed: float
    startup: float
    by_size: Mapping[int, float] = dataclasses.field(default_factory=dict[int, float])

    def speed_of(self, experiments: int) -> float:
        """The least class-epochs in a second of a pack of so many experiments; `speed` if none was measured.

        It does as many as a smaller pack, and its epochs take no longer than those of a larger one.
        """
        bounds = (speed * min(1.0, experiments / size) for size, speed in self.by_size.items())
        return max(bounds, default=self.speed)


def pace_of(trials: Sequence[TimedTrial], startup: float) -> Pace | None:
    """The pace of trials; None for none."""
    if not trials:
        return None
    pause = median(trial.pause for trial in trials) if len(trials) > FIRST else 0.0
    seconds = sum(trial.seconds + pause for trial in trials)
    by_size: dict[int, list[TimedTrial]] = {}
    for trial in (each for each in trials if each.experiments):
        by_size.setdefault(trial.experiments, []).append(trial)
    speeds = {
        size: sum(trial.class_epochs for trial in those) / sum(trial.seconds for trial in those)
        for size, those in by_size.items()
    }
    return Pace(sum(trial.class_epochs for trial in trials) / seconds, startup, speeds)


def normal_images(config: TrainConfig) -> int:
    """The most normal images of an experiment; under leave-one-out they are of all classes but one."""
    dataset = describe(config.dataset)
    classes = len(dataset.class_names) - 1 if config.protocol == "leave-one-out" else 1
    return classes * min(config.images_per_class or 10**9, dataset.smallest_class)


def kinds_of(config: TrainConfig) -> int:
    """How many equal parts a batch has: normal images and anomalies, or normal images alone."""
    return 2 if config.trains_on_anomalies else 1


def updates_of(config: TrainConfig) -> int:
    """The most updates of a training: steps over all epochs."""
    return config.epochs * max(1, normal_images(config) // max(1, config.batch_size // kinds_of(config)))


def warning_of_few_updates(config: TrainConfig) -> str:
    """A sentence if trainings are too short to learn anything; else empty."""
    if (updates := updates_of(config)) >= FEW_UPDATES:
        return ""
    return (
        f"Each training has at most {count_of(updates, 'update')}, too few to learn much: figures may be chance. Give "
        "more --epochs, or a smaller batch (--set batch_size=16)."
    )


def trained_images(config: TrainConfig) -> int:
    """Images that an experiment's epoch trains with: in whole batches, as what is left over is skipped."""
    half = max(1, config.batch_size // kinds_of(config))
    return kinds_of(config) * half * max(1, normal_images(config) // half)


def images_of(config: TrainConfig) -> int:
    """Images that a configuration is trained on, over all classes and epochs."""
    return kinds_of(config) * normal_images(config) * config.epochs * len(config.classes)


def confirm_seconds(plan: Plan, pace: Pace, count: int, slots: int, margin: float = MARGIN) -> float:
    """Seconds, with a margin, of confirming so many configurations and of all that follows."""
    size = max(1, math.ceil(count * plan.seeds * len(plan.classes) / slots))  # experiments of a slot
    rate = pace.speed_of(size) / _relative_cost(plan)
    return CLOSING + margin * (pace.startup + size * (plan.base.epochs + SCORING) / rate)


def confirmable_count(plan: Plan, pace: Pace, count: int, slots: int, seconds: float) -> int:
    """How many of `count` configurations can be confirmed within so many seconds; at least one."""
    fitting_counts = (number for number in range(count, 1, -1) if confirm_seconds(plan, pace, number, slots) <= seconds)
    return next(fitting_counts, 1)


def reserve(plan: Plan, pace: Pace, slots: int, limit: float) -> float:
    """Seconds at the end of the limit that the search leaves for what follows."""
    count = confirmable_count(plan, pace, plan.best + len(plan.reference_points), slots, SHARE * limit)
    return confirm_seconds(plan, pace, count, slots, RESERVED)


def duration(seconds: float) -> str:
    """A time in words, such as 45 s or 1 h 30 min."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _relative_cost(plan: Plan) -> float:
    """The cost of a class-epoch of the confirmation, as a multiple of one of the search."""
    base, search = plan.base, plan.search_config
    images = images_of(base) / base.epochs / (images_of(search) / search.epochs)
    return images * (base.width / search.width) ** WIDTH_POWER
