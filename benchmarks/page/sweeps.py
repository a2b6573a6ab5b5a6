"""Sweeps: their winner, known and unknown anomalies, an ablation."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from adcore.config import TrainConfig
from adcore.datasets import DATASETS
from adcore.options import as_plain, flag_of
from sweeps.engine.planning.settings import SCALES, TRAINING_FLAGS

from .tables import interval, markdown, spread

__all__ = ["ablation", "sweep", "unseen"]

MAKE_SWEEP = "python sweeps/gan_loss_weights.py --scale laptop"
#: How the first configuration of a sweep with --start-from is called, before the name of the other sweep.
WINNER = "winner of "


def sweep(found: dict[str, Any], name: str = "") -> list[str]:
    """A sweep: the stages side by side, what was confirmed, and the winner by class. name: as for `command_of`."""
    base, search = found["plan"]["base"], found["plan"]["search"]
    names = DATASETS[base["dataset"]].class_names
    states = ", ".join(f"{count} {state}" for state, count in found["states"].items() if count)
    seeds, smaller = len(found["seeds"]), " (smaller trainings)" if search else ""
    alone = f"{found['search_value']:.4f}" if found["search_value"] else "stopped"
    stages = [
        [f"search, validation, 1 seed{smaller}", interval(found["search"]) if found["search"] else alone],
        [f"confirm, validation, {seeds} fresh seeds", interval(found["confirm"])],
        *([f"test {name}".rstrip(), interval(each)] for name, each in found["test"].items()),
    ]
    confirmed = [
        [each["configuration"], each["name"] or "-", *(f"{value:.4g}" for value in each["params"].values()),
         f"{each['search']:.4f}" if each["search"] else "stopped", spread(each["confirm"]), spread(each["test"])]
        for each in found["confirmed"]
    ]  # fmt: skip
    fields = [name.removeprefix("weight_").replace("_", " ") for name in found["confirmed"][0]["params"]]
    figures = found["test_by_class"]
    classes = [
        [f"{index} {names[int(index)]}", *(spread(figures[metric][index]) for metric in figures)]
        for index in figures["auroc"]
    ]
    means = [f"**{fmean(fmean(values) for values in by_class.values()):.4f}**" for by_class in figures.values()]
    training = f"width {base['width']}, {base['epochs']} epochs, {base['images_per_class'] or 'all'} images a class"
    training += ", anomalies drawn anew for each epoch" if base.get("draws") == "each-epoch" else ""
    training += ", scores over an image and its mirror image" if base.get("mirrored_scores") else ""
    return [
        f"`{command_of(found['plan'], name)}`: {found['seconds'] / 60:.0f} minutes on 2 CPU cores. "
        f"{origin_of(found['plan'])} Configurations: {states}. Confirmed at {training}.",
        markdown(["", "mean AUROC over the classes (95 % interval)"], stages),
        found["sentence"],
        markdown(["configuration", "", *fields, "search", "confirm", "test"], confirmed),
        markdown(["normal class", *(f"test {metric}" for metric in figures)], [*classes, ["mean", *means]]),
    ]


def unseen(found: dict[str, Any]) -> list[str]:
    """Known and unknown anomalies apart."""
    names = DATASETS[found["plan"]["base"]["dataset"]].class_names
    figures = found["test_by_class"]
    comparisons = ["auroc_seen", "auroc_unseen", "auroc"]
    rows = [
        [f"{index} {names[int(index)]}", *(spread(figures[name][index]) for name in comparisons)]
        for index in figures["auroc"]
    ]
    means = [interval(found["test"][name]) for name in ("seen", "unseen", "")]
    reported = " Over all ten classes and all anomalies, Deep SAD reports .905 and ESAD .956 for this protocol."
    is_reported = (found["plan"]["base"]["known_classes"], found["plan"]["base"]["labelled_share"]) == (1, 0.05)
    return [
        f"`{command_of(found['plan'])}`: {len(found['seeds'])} seeds. {origin_of(found['plan'])}"
        f"{reported if is_reported else ''}",
        markdown(["normal class", "seen", "unseen", "all anomalies"], [*rows, ["mean (95 % interval)", *means]]),
    ]


def ablation(found: dict[str, Any]) -> list[str]:
    """Every variant against all six losses."""
    differences = {each["configuration"]: each["difference"] for each in found["comparisons"]}
    rows = [
        [each["name"], spread(each["confirm"]), spread(each["test"]),
         interval(differences.get(each["configuration"]), sign="+")]
        for each in found["confirmed"]
    ]  # fmt: skip
    return [
        f"`{command_of(found['plan'])}`: {found['seconds'] / 60:.0f} minutes on 2 CPU cores, "
        f"{len(found['seeds'])} seeds, {len(found['plan']['base']['classes'])} classes. {origin_of(found['plan'])}",
        markdown(["losses", "validation", "test", "test, minus all six (95 % interval)"], rows),
        found["sentence"],
    ]


def command_of(plan: dict[str, Any], name: str = "") -> str:
    """The command that gives today's code the settings of a plan: its scale, and flags where that has changed.

    name: of the sweep, if another one starts from it.
    """
    scale = SCALES[plan["scale"]]
    today, base = as_plain(TrainConfig(**scale.train)), {**as_plain(TrainConfig()), **plan["base"]}
    words = [f"python sweeps/{plan['script']}.py --scale {plan['scale']}"]
    for field, value in base.items():
        if value == today[field]:
            continue
        text = f"{value:g}" if isinstance(value, float) else "all" if value is None else str(value)
        if field == "classes":
            words.append(f"--normal-class {','.join(map(str, value))}")
        else:
            words.append(f"{flag_of(field)} {text}" if field in TRAINING_FLAGS else f"--set {field}={text}")
    starts = [point.removeprefix(WINNER) for point in plan["space"]["points"] if point.startswith(WINNER)]
    words += [f"--start-from {start}" for start in starts]
    if plan["space"]["ranges"] and plan["configs"] != scale.configs:
        words.append(f"--configs {plan['configs']}")
    words += [f"--name {name}"] if name else []
    return "make sweep" if words == [MAKE_SWEEP] else " ".join(words)


def origin_of(plan: dict[str, Any]) -> str:
    """What a sweep's scores were made of, and whether today's code would search and score in the same way."""
    weight = plan["base"].get("score_latent", 0.0)
    score = "the reconstruction error " + (f"plus {weight:g} x the latent distance" if weight else "alone")
    is_search = bool(plan["space"]["ranges"]) and plan["configs"] > 1
    if is_search and "rungs" not in plan:
        return (
            f"**Of an earlier search**: {plan['configs']} configurations, stopped without the ladder and scored by "
            f"{score}. The command has its settings, but today's search gives other figures."
        )
    if weight != SCALES[plan["scale"]].train.get("score_latent", 0.0):
        return f"**Of an earlier version of the scale**: scored by {score}."
    return f"Scored by {score}."
