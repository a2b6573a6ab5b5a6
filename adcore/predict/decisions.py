"""How the models of one experiment, one for each training seed, decide on an image together."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adcore.errors import UserError
from adcore.thresholds import DIRECTION

__all__ = ["Rule", "own_rule", "rule_at_rate"]

#: What the product of a share and a number of images may be off by.
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Rule:
    """threshold: images whose score, the mean over the models, is at or above it are anomalous; None: no decisions.

    name: of what chose it. validation: on which images, and what it flags of them, in words; empty if it was given.
    """

    threshold: float | None
    name: str
    validation: str = ""


def own_rule(decisions: Sequence[Mapping[str, Any]]) -> Rule:
    """The mean of the models' own thresholds; none if a model has no threshold that this version knows.

    decisions: of each model, from adcore.thresholds.decision_rule.
    """
    validation = _validation_in_words(decisions)
    if not all(each.get("anomalous") == DIRECTION and math.isfinite(each["threshold"]) for each in decisions):
        return Rule(None, "", validation)
    mean = f", mean of {len(decisions)} thresholds" if len(decisions) > 1 else ""
    threshold = statistics.fmean(each["threshold"] for each in decisions)
    return Rule(threshold, str(decisions[0]["rule"]), f"{validation}{mean}")


def rule_at_rate(decisions: Sequence[Mapping[str, Any]], rate: float) -> Rule:
    """The threshold at which the models together flag as many normal validation images as a share `rate` allows.

    It lies half-way between two scores, as a score that is computed again may differ by a rounding error. rate: in
    [0, 1). Raises UserError for models whose scores of normal validation images are not on record.
    """
    if not all("normal_scores" in each for each in decisions):
        raise UserError(
            f"--false-positive-rate {rate:g}: an earlier version wrote the model, without its scores of normal "
            "validation images; train it again, or give --threshold"
        )
    scores = np.sort(np.mean([each["normal_scores"] for each in decisions], 0))  # the same images for every seed
    allowed = min(math.floor(rate * len(scores) + ROUNDING), len(scores) - 1)
    passed = scores[-1 - allowed]
    flagged = scores[scores > passed]
    threshold = np.nextafter(np.float32(passed), np.float32(np.inf))
    if flagged.size:  # decisions compare in float32, in which nothing may lie between the two
        threshold = max(threshold, np.float32((passed + flagged[0]) / 2))
    validation = f"{len(scores)} normal validation images, of which it flags {flagged.size}"
    return Rule(float(threshold), f"at most {100 * rate:.4g} % false positives", validation)


def _validation_in_words(decisions: Sequence[Mapping[str, Any]]) -> str:
    """The validation images that thresholds were chosen on, and the shares of them that these flag, mean over models.

    A checkpoint of an earlier version does not tell.
    """
    if not all("images" in decision for decision in decisions):
        return "validation images"
    normal, anomalies = decisions[0]["images"]  # the same for every seed
    kinds = [f"{normal} normal validation images", *([f"{anomalies} anomalies"] if anomalies else [])]
    shares = [
        statistics.fmean(decision["flagged"][place] / decision["images"][place] for decision in decisions)
        for place in range(len(kinds))
    ]
    flags = "it flags" if len(decisions) == 1 else "each model's own flags on average"
    return f"{' and '.join(kinds)}, of which {flags} {' and '.join(f'{100 * share:.0f} %' for share in shares)}"
