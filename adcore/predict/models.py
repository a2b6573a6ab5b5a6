"""A trained experiment, of one or several training seeds, ready to score images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from adcore.config import TrainConfig
from adcore.data_checks import class_index
from adcore.datasets import DatasetInfo
from adcore.errors import UserError
from adcore.files import is_folder
from adcore.predict.decisions import Rule, own_rule, rule_at_rate
from adcore.reconstruction import unit_range
from adcore.train import checkpoints
from adcore.train.batch_scores import anomaly_scores, by_batch
from adcore.train.build import load_states, scoring_strategy, training_device
from adcore.train.member_state import MemberState
from adcore.train.pack import Pack

__all__ = ["Model", "load_model", "read_states"]

#: What to do about a file that is no checkpoint.
REMEDY = "name a file that adcore.train or a sweep has written"


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """One experiment's networks, a member of `detector` for each training seed.

    config: of the first seed. info: the data that it was trained on. seeds: of training. rule: which images
    are anomalous. source: the files.
    """

    config: TrainConfig
    info: DatasetInfo
    detector: Pack
    seeds: tuple[int, ...]
    rule: Rule
    source: str

    @property
    def threshold(self) -> float | None:
        """Images that score at or above it are anomalous; None without decisions."""
        return self.rule.threshold

    @property
    def title(self) -> str:
        """Detector, data set, class and seeds in words."""
        [index] = self.config.classes
        name, several = self.info.class_names[index], "s" * (len(self.seeds) > 1)
        class_title = f"{self.config.exposure.named_class} {index}" + (f" ({name})" if name != str(index) else "")
        seeds = f"training seed{several} {', '.join(map(str, self.seeds))}"
        return f"{self.config.detector} on {self.config.dataset}, {class_title}, {seeds}"

    def scores(self, images: Tensor) -> Tensor:
        """Anomaly scores of uint8 images [n, channels, side, side], higher is more anomalous: [n] on the CPU.

        The mean over the seeds; an image's score does not depend on the others, to float accuracy.
        """
        return anomaly_scores(self.detector, images, mirrored=self.config.mirrored_scores).mean(1)

    def error_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images as the networks see them, [n, channels, size, size] in [0, 1], and where they are reconstructed badly.

        The maps, [n, size, size] in [0, 1], are |x - x'| on [0, 1], the mean over channels and seeds; with
        mirrored_scores also over an image and its mirror image. size: config.image_size. images: as for `scores`; both
        are on the CPU.
        """

        def errors(plain: Tensor) -> Tensor:
            output = self.detector.reconstruct(plain)
            return (unit_range(plain)[:, None] - unit_range(output)).abs().mean((1, 2))

        def both(plain: Tensor) -> Tensor:
            return (errors(plain) + errors(plain.flip(3)).flip(2)) / 2 if self.config.mirrored_scores else errors(plain)

        return by_batch(self.detector, images, unit_range), by_batch(self.detector, images, both)


def read_states(places: Sequence[Path]) -> list[MemberState]:
    """The models in checkpoint files, and in all of the folders' files *.ckpt, of any depth.

    Raises UserError for a file that is not a checkpoint, and for a folder without one.
    """
    files: list[Path] = []
    for place in places:
        paths = sorted(place.rglob("*.ckpt")) if is_folder(place, f"--model {str(place)!r}") else [place]
        if not paths:
            raise UserError(f"--model {str(place)!r}: no *.ckpt file in this folder; {REMEDY}")
        files += paths
    return [state for path in files for state in checkpoints.read(path, remedy=REMEDY)]


def load_model(
    states: Sequence[MemberState], chosen: str | None = None, source: str = "--model", rate: float | None = None
) -> Model:
    """The models of one class, on the fastest device. chosen: the class, by index or name; None for the only one.

    source: where they come from, for messages. rate: the false positive rate on normal validation images to set the
    threshold for, in [0, 1); None for the models' own thresholds. Raises UserError for a class that is missing or not
    chosen, for models that differ in more than their training seed, and for one that is untrained or diverged.
    """
    class_states = _of_class(states, chosen, source)
    config = class_states[0].config
    for state in class_states:
        _require_same(config, state.config, source)
        _require_same_data(class_states[0], state, source)
        if not state.networks or state.diverged:
            raise UserError(f"{source}: a model that {'diverged' if state.diverged else 'was not trained'}; {REMEDY}")
    seeds = tuple(state.config.train_seed for state in class_states)
    if len(set(seeds)) < len(seeds):
        again = next(seed for seed in seeds if seeds.count(seed) > 1)
        raise UserError(f"{source}: training seed {again} is given twice; name each model once")
    decisions = [state.decision for state in class_states]
    rule = own_rule(decisions) if rate is None else rule_at_rate(decisions, rate)
    info = class_states[0].data_info
    pack = Pack([state.config for state in class_states], info.channels, strategy=scoring_strategy())
    load_states(pack, class_states, source)
    return Model(config, info, pack.to(training_device(config.precision)), seeds, rule, source)


def _of_class(states: Sequence[MemberState], chosen: str | None, source: str) -> list[MemberState]:
    classes = sorted({state.config.classes[0] for state in states})
    listed = ", ".join(map(str, classes))
    if chosen is None and len(classes) > 1:
        raise UserError(f"{source}: models of the classes {listed}; choose one of them with --class")
    index = classes[0] if chosen is None else class_index(states[0].data_info, chosen, "class", classes)
    if index not in classes:
        raise UserError(f"--class {chosen}: {source} has no model of it, only of {listed}")
    return [state for state in states if state.config.classes == (index,)]


def _require_same_data(first: MemberState, other: MemberState, source: str) -> None:
    """Raises UserError if two models were trained on different images, as far as their checkpoints tell."""
    known = first.content and other.content
    if (known and first.content != other.content) or first.data_info != other.data_info:
        raise UserError(
            f"{source}: models of {first.config.dataset} as it was at two times; name those that were trained on the "
            "same images"
        )


def _require_same(first: TrainConfig, other: TrainConfig, source: str) -> None:
    """Raises UserError if two configurations differ in more than the training seed."""
    for name in (field.name for field in dataclasses.fields(TrainConfig) if field.name != "train_seed"):
        ours, theirs = getattr(first, name), getattr(other, name)
        if ours != theirs:
            raise UserError(
                f"{source}: models of several configurations ({name}: {ours} and {theirs}); "
                "name those of one, which differ in their training seed alone"
            )
