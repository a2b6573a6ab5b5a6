"""Turn flags into the trainings of every row."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adcore.config import TrainConfig
from adcore.errors import UserError, unknown_name
from adcore.options import option
from adcore.protocols.definitions import FOLDS
from adcore.system.device import has_cuda_device
from sweeps.engine.baselines.rows import TABLE_SCALES, Baseline, TableScale
from sweeps.engine.planning.base_plan import BasePlan, Data
from sweeps.engine.planning.labels import count_of
from sweeps.engine.planning.run_settings import RunSettings

if TYPE_CHECKING:
    from adcore.datasets import Part

__all__ = ["BaselinePlan", "BaselineSettings", "Training", "rows_in_words", "plan_baselines"]

#: A row's configurations are numbered from its place times this, one for each fold.
NUMBERS_PER_ROW = 10


@dataclasses.dataclass(frozen=True)
class BaselineSettings(RunSettings):
    """The flags of the table of baselines. Raises UserError with field, value and legal range of a bad one."""

    scale: str | None = option(
        None, "how much to train [default: full if there are GPUs, else laptop]", choices=tuple(TABLE_SCALES)
    )
    only: str | None = option(None, "rows by name, separated by commas [default: all]")
    seeds: int | None = option(
        None, "trainings of each experiment, one per seed [default: the scale's]", at_least=1, at_most=100
    )
    seed: int = option(0, "the first seed", at_least=0, at_most=2**53 - 100)

    @staticmethod
    def default_scale(*, has_gpus: bool) -> str:
        """The scale for a machine or a cluster, if none is given."""
        return "full" if has_gpus else "laptop"


@dataclasses.dataclass(frozen=True)
class Training:
    """One training: a row's experiment with a seed; configuration: row and fold in a number."""

    configuration: int
    index: int
    seed: int

    @property
    def key(self) -> str:
        """Its name in the record."""
        return f"done_{self.configuration}_{self.seed}_{self.index}"


@dataclasses.dataclass(frozen=True)
class BaselinePlan(BasePlan):
    """rows: by place, from which configurations are numbered; a selection does not change the places."""

    parts: ClassVar[tuple[Part, ...]] = ("train", "test")

    script: str
    scale: str
    rows: Mapping[int, Baseline]
    seeds: int
    search_seed: int

    @property
    def table_scale(self) -> TableScale:
        """The settings of the scale."""
        return TABLE_SCALES[self.scale]

    @functools.cached_property
    def trainings(self) -> list[Training]:
        """Every training; all rows with the first seed, then with the next."""
        return [
            Training(number, index, seed)
            for seed in range(self.search_seed, self.search_seed + self.seeds)
            for place in self.rows
            for number in self.configurations(place)
            for index in self.classes_of(number)
        ]

    def configurations(self, place: int) -> list[int]:
        """The numbers of a row's configurations."""
        return [place * NUMBERS_PER_ROW + fold for fold in range(FOLDS if self.rows[place].cross_validated else 1)]

    def row(self, configuration: int) -> Baseline:
        """The row of a configuration."""
        return self.rows[configuration // NUMBERS_PER_ROW]

    def config(self, training: Training) -> TrainConfig:
        """The TrainConfig of a training."""
        row = self.row(training.configuration)
        fold = training.configuration % NUMBERS_PER_ROW if row.cross_validated else None
        return row.config(self.table_scale, training.index, seed=training.seed, fold=fold)

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """The data sets of all rows."""
        return tuple(dict.fromkeys(self.config(training).dataset for training in self.trainings))

    def params(self) -> dict[str, Any]:
        """The parameters of the table's run in MLflow."""
        return {"scale": self.scale, "seeds": self.seeds, "rows": ", ".join(row.name for row in self.rows.values())}

    def classes_of(self, configuration: int) -> tuple[int, ...]:
        """The experiments of a configuration."""
        return self.row(configuration).experiments(self.table_scale)

    def title(self, stage: str, configuration: int, config: TrainConfig) -> str:
        """The name of a row, with its seed."""
        fold = "" if config.fold is None else f" fold {config.fold}"
        return f"{self.row(configuration).name}{fold} seed {config.train_seed}"

    def tags(self, configuration: int) -> dict[str, str]:
        """The row's name."""
        return {"row": self.row(configuration).name}

    def as_record(self) -> dict[str, Any]:
        """Everything that decides the results, as plain values."""
        first = {place: Training(numbers[0], self.classes_of(numbers[0])[0], self.search_seed)
                 for place in self.rows if (numbers := self.configurations(place))}  # fmt: skip
        configs = {
            self.rows[place].name: dataclasses.asdict(self.config(training)) for place, training in first.items()
        }
        classes = {row.name: list(row.experiments(self.table_scale)) for row in self.rows.values()}
        numbers = {row.name: place for place, row in self.rows.items()}  # which identify a row in the record
        return {"script": self.script, "scale": self.scale, "seeds": self.seeds, "search_seed": self.search_seed,
                "numbers": numbers, "configs": configs, "experiments": classes}  # fmt: skip

    def resolved_settings(self, settings: BaselineSettings) -> dict[str, Any]:
        """The settings, with what the scale stands for: a resume on another machine must make the same choices."""
        return {"settings": {**dataclasses.asdict(settings), "scale": self.scale, "seeds": self.seeds}}

    def check_data(self, data: Data) -> None:
        """Nothing to check: no flag says how much data the rows take."""


def plan_baselines(script: str, settings: BaselineSettings, rows: Sequence[Baseline]) -> BaselinePlan:
    """Resolve scale and rows. Raises UserError for a row that is unknown or given twice."""
    names = [row.name for row in rows]
    chosen = names if settings.only is None else [name.strip() for name in settings.only.split(",")]
    for name in chosen:
        if name not in names:
            raise unknown_name("row", name, names)
        if chosen.count(name) > 1:
            raise UserError(f"--only: {name} is given twice; give each row once")
    scale = settings.scale or settings.default_scale(has_gpus=has_cuda_device())
    selected = {place: row for place, row in enumerate(rows) if row.name in chosen}
    return BaselinePlan(script, scale, selected, settings.seeds or TABLE_SCALES[scale].seeds, settings.seed)


def rows_in_words(plan: BaselinePlan, settings: BaselineSettings, done: Collection[str] | None = None) -> str:
    """The rows in words; opens no file and no connection. done: of a table on record, the keys of its trainings."""
    lines = [f"{plan.script}, scale {plan.scale}: nothing is run"]
    for place, row in plan.rows.items():
        trainings = [training for training in plan.trainings if training.configuration in plan.configurations(place)]
        config = plan.config(trainings[0])
        reported = "no figure reported" if row.reported is None else f"reported: {row.metric} {row.reported:g}"
        lines.append(
            f"  {row.name:18} {config.detector}, {config.dataset}, protocol {config.protocol}, "
            f"trainings: {len(trainings)}, epochs: {config.epochs}, width {config.width}; {reported}"
        )
    lines.append(f"  cost: {_cost_in_words(plan, plan.trainings)}, in all")
    if done is not None:
        lines.append(f"  left: {_cost_in_words(plan, [each for each in plan.trainings if each.key not in done])}")
    if wait := settings.wait_in_words:
        lines.append(f"  cluster: {wait}")
    lines.append(f"  checkpoints: {settings.checkpoints_of(settings.name or settings.continued_sweep or '<name>')}")
    return "\n".join(lines)


def _cost_in_words(plan: BaselinePlan, trainings: Sequence[Training]) -> str:
    epochs = sum(plan.config(training).epochs for training in trainings)
    return f"{count_of(len(trainings), 'training')}, at most {count_of(epochs, 'epoch')}"
