"""Write docs/results.md from the figures in docs/results/*.json. Nothing else writes that page.

    python benchmarks/results.py

A sweep leaves its figures in STORAGE/NAME/results.json, the benchmarks in the file of their --json flag; copied to
docs/results under the names below, they make the page. A section whose file is not there is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from adcore.config import LOSS_WEIGHTS, TrainConfig
from adcore.datasets import DATASETS
from adcore.options import as_plain, flag_of
from sweeps.engine.planning.settings import SCALES, TRAINING_FLAGS

FOLDER = Path(__file__).parents[1] / "docs" / "results"
PAGE = FOLDER.parent / "results.md"
MAKE_SWEEP = "python sweeps/gan_loss_weights.py --scale laptop"
#: How the first configuration of a sweep with --start-from is called, before the name of the other sweep.
WINNER = "winner of "


def row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    return "\n".join([row(head), row(["---"] * len(head)), *map(row, rows)])


def interval(each: dict[str, float] | None, *, sign: str = "", factor: float = 1, digits: int = 4) -> str:
    """A value with its interval, or a dash."""
    if each is None:
        return "-"
    value, low, high = (factor * each[name] for name in ("value", "low", "high"))
    return f"{value:{sign}.{digits}f} ({low:{sign}.{digits}f} to {high:{sign}.{digits}f})"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{fmean(values):.4f} ± {stdev(values):.4f}" if len(values) > 1 else f"{values[0]:.4f}"


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


def control(found: dict[str, Any]) -> list[str]:
    """The supervised CNN, by class."""
    classes = sorted({each["class"] for each in found["runs"]})
    by_class = [[r["test"]["auroc"] for r in found["runs"] if r["class"] == index] for index in classes]
    seconds = sum(each["seconds"] for each in found["runs"])
    names = DATASETS[found["dataset"]].class_names
    rows = [[f"{index} {names[index]}", spread(values)] for index, values in zip(classes, by_class, strict=True)]
    seeds = len(by_class[0])
    means = [fmean(values[place] for values in by_class) for place in range(seeds)]
    return [
        f"`python benchmarks/supervised_control.py`: {seeds} seeds, {found['epochs']} epochs, "
        f"{seconds / 60:.0f} core minutes; the same 50,000 fit images and draws.",
        markdown(["normal class", "test AUROC"], [*rows, ["mean", f"**{spread(means)}**"]]),
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


def replay(found: dict[str, Any]) -> list[str]:
    """The ladder beside what Ray offers, and proposals."""
    ladders = found["ladders"]
    budgets = [f"at 1/{1 / budget:.0f}" for budget in ladders["budgets"]]
    configurations = ", ".join(f"{name} {count}" for name, count in found["configurations"].items())
    parts = [
        f"`python benchmarks/search.py`: {found['permutations']} orders of the recorded configurations of each table "
        f"({configurations}), {found['seconds']} s on {found['machine']}. Regret: the table's best final mean over the "
        "classes minus the chosen configuration's. At the end: of a whole sweep over all configurations.",
    ]
    for unit, by_workers in ladders["units"].items():
        for workers, each in by_workers.items():
            shares = [
                [name, *(interval(share, digits=2) for share in values)] for name, values in each["mean share"].items()
            ]
            parts.append(
                f"Sweeps that cost a part of no stopping's {unit}, workers: {workers}. Share of no stopping's regret, "
                "mean over the tables:"
            )
            parts.append(markdown(["policy", *budgets], shares))
            rows = [
                [table, name, *(interval(cell, factor=1000, digits=2) for cell in [*own["regret"], own["end"]])]
                for table, policies in each["tables"].items()
                for name, own in policies.items()
            ]
            parts += ["Regret times 1000:", markdown(["table", "policy", *budgets, "at the end"], rows)]
    told = [f"{name}: {own['parts']}, 1 of {own['reduction']}" for name, own in ladders["chosen"].items() if own]
    chosen = f"Ladders chosen on the other tables, rungs as shares of classes and epochs: {'; '.join(told)}."
    return [*parts, chosen, *proposals(found["proposals"])]


def proposals(found: dict[str, Any]) -> list[str]:
    """Samplers on the surrogate."""
    quality = ", ".join(f"{k} {v:.2f}" for k, v in found["cross-validation"][found["surrogate"]].items())
    rows = [
        [name, *(interval(each, factor=1000, digits=2) for each in
                 [*by_source.values(), found["gain"][name], found["less than random"][name]])]
        for name, by_source in found["regret"].items()
    ]  # fmt: skip
    head = ["sampler", *(f"told of {source}" for source in found["regret"]["random"]), "gain", "less than random"]
    seeds = ", ".join(f"{name} {count}" for name, count in found["repetitions"].items())
    explained = found["cross-validation"][found["surrogate"]]["R2"]
    return [
        f"Ladder searches of {found['configurations']} configurations on a surrogate of the first table "
        f"({found['surrogate']}; held out: {quality}), seeds in this run: {seeds}; regret times 1000; gain: by being "
        "told of what stopped configurations are predicted to have:",
        markdown(head, rows),
        f"In words: the surrogate explains {explained:.0%} of the held-out variance. {_gains(found)}",
    ]


def _gains(found: dict[str, Any]) -> str:
    """What the samplers' figures show, and what they do not."""
    alone = {name: by_source["complete ones alone"] for name, by_source in found["regret"].items()}
    as_random = [name for name in alone if name != "random" and alone[name] == alone["random"]]
    open_ones = [
        each["low"] <= 0 <= each["high"] for kind in ("gain", "less than random") for each in found[kind].values()
    ]
    same = f"Told of complete configurations alone, {', '.join(as_random)} does exactly as random does. "
    noise = "Every interval of a gain, and of a lead over random, includes 0."
    return (same if as_random else "") + (noise if all(open_ones) else "")


def peers(found: dict[str, Any]) -> list[str]:
    """Syne Tune, SMAC and the ladder on the same tables and orders."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    parts = [
        f"`python benchmarks/peers.py` ({versions}): {found['repetitions']} orders of each table, one worker but where "
        "said; and the ladder's less the peer's, paired by order. As a share of no stopping's regret, whose mean is "
        "taken as exact, mean over the tables:",
        _peers(found["mean share"], factor=1),
    ]
    for table, own in found["tables"].items():
        parts += [f"{table}, regret times 1000:", _peers(own, factor=1000)]
    return parts


def _peers(own: dict[str, Any], *, factor: float) -> str:
    budgets = list(next(iter(own.values()))["regret"])
    yardstick = own["no stopping"]["regret"]
    rows = [
        [f"{name}, which stops nothing" if each["regret"] == yardstick and each is not own["no stopping"] else name,
         *(interval(each["regret"][budget], factor=factor, digits=2) for budget in budgets),
         *(interval(each["ladder less"][budget], sign="+", factor=factor, digits=2) for budget in budgets[:2])]
        for name, each in own.items()
    ]  # fmt: skip
    at = [f"at 1/{1 / float(budget):.0f}" for budget in budgets]
    return markdown(["peer", *at, *(f"ladder less, {each}" for each in at[:2])], rows)


def baselines(found: dict[str, Any]) -> list[str]:
    """Every system of the reports and papers beside what it reports."""
    plan, rows = found["plan"], found["rows"]
    command = f"python sweeps/baselines.py --scale {plan['scale']}"
    head = ["system", "protocol", "reported", "ours", "difference", "AUROC of decisions", "minutes", "reported by"]
    by_class = [
        [each["name"], *(f"{fmean(values):.3f}" for values in each["by_class"].values())]
        for each in rows
        if len(each["by_class"]) == 10
    ]
    differs = [f"- `{each['name']}`: {each['differs']}." for each in rows if each["differs"]]
    runs = [
        f"- `{' '.join([command, *run['flags']])}`: {', '.join(run['rows'])}."
        for run in found.get("runs") or [{"flags": [], "rows": ["all rows"]}]
    ]
    return [
        f"`{command}`; n: seeds of which every experiment was trained. Test AUROC, ± over seeds, or accuracy, ± over "
        "folds, for the cross-validation. Decisions are those at the threshold of most correct ones on validation, of "
        "autoencoder-kde by its report's rule of two scores. "
        "Minutes: of one core, for all experiments of a seed; the runs below were not on equally fast machines.",
        markdown(head, [[*each["cells"], each["source"]] for each in rows]),
        "In what a row is not what its source measured, or why it falls short of it:",
        "\n".join(differs),
        "The runs that made the table, ended before their last seed where n is smaller:",
        "\n".join(runs),
        "By normal class, mean over the seeds:",
        markdown(["system", *range(10)], by_class),
    ]


def gpu(found: dict[str, Any]) -> list[str]:
    """Training and scoring on a GPU, with targets."""
    rows = [
        [each["name"], _amount(each["median"]), f"{_amount(min(each['values']))} to {_amount(max(each['values']))}",
         each["n"], each["unit"], _target(each), each.get("commit") or "-"]
        for each in found["rows"]
    ]  # fmt: skip
    head = ["width 64, batch 256 unless said", "median", "range", "n", "unit", "target", "commit"]
    weight = found.get("config", {}).get("score_latent", 0.0)
    missed = sum("missed" in _target(each) for each in found["rows"])
    commits = {each.get("commit") for each in found["rows"]}
    return [
        f"`python benchmarks/gpu.py --json FILE` on {found['device']}, torch {found['torch']}, bf16-mixed. Validation "
        f"scores {f'with {weight:g} x' if weight else 'without'} the latent distance. Images/s are of the training "
        "steps alone; drawing, validation and reports are the epoch's rest. The time of `--scale gpu` is for the whole "
        "budget of its search, and is then a lower bound: every pack is taken to be as fast as one of ten, and all "
        "that is not training to take 2 minutes.",
        markdown(head, rows),
        (f"{missed} of {len(rows)} targets are missed." if missed else "All targets are met.")
        + (" The rows are of several runs, put together by hand: see their commits." if len(commits) > 1 else ""),
    ]


def _amount(value: float) -> str:
    """To four digits: 0.5386, 25.47, 123,400."""
    return f"{float(f'{value:.4g}'):,.10g}"


def _target(each: dict[str, Any]) -> str:
    """A row's target, and whether its median misses it."""
    median, target = each["median"], each["target"]
    is_met = median >= target if each["at_least"] else median <= target
    return f"{'>=' if each['at_least'] else '<='} {target:,g}{'' if is_met else ', **missed**'}"


def wide(found: dict[str, Any]) -> list[str]:
    """The GAN at full size: what was tried, and the confirmed one by class."""
    config, names = found["config"], DATASETS[found["config"]["dataset"]].class_names
    weights = list(next(iter(found["search"].values())))
    tried = [[name, *(f"{value:.4f}" for value in values.values())] for name, values in found["search"].items()]
    parts = {part: list(zip(*found[part]["auroc"], strict=True)) for part in ("validation", "test")}  # [classes][seeds]
    rows = [
        [f"{index} {names[index]}", *(spread(by_class[index]) for by_class in parts.values())]
        for index in config["classes"]
    ]
    means = [f"{found[part]['mean']:.4f} ({found[part]['low']:.4f} to {found[part]['high']:.4f})" for part in parts]
    return [
        f"`python benchmarks/wide_gan.py --json FILE`: {found['seconds']} s on {found['device']}. Mean validation "
        "AUROC over the four hardest classes, one seed, scores over an image and its mirror image, by the weight of "
        "the latent distance in the score:",
        markdown(["variant", *weights], tried),
        f"The best of them that is a GAN, with {len(found['seeds'])} fresh seeds: width {config['width']}, batch "
        f"{config['batch_size']}, {config['epochs']} epochs, learning rate {config['learning_rate']:g}, weights "
        + ", ".join(f"{name} {config[f'weight_{name}']:g}" for name in LOSS_WEIGHTS)
        + f"; score: reconstruction error + {config['score_latent']:g} x latent distance.",
        markdown(["normal class", *parts], [*rows, ["mean (95 % interval)", *means]]),
    ]


#: Title, file and writer of each section.
SECTIONS: list[tuple[str, str, Callable[[dict[str, Any]], list[str]]]] = [
    ("Fashion-MNIST", "fashion_mnist", partial(sweep, name="fashion")),
    ("The control: a supervised CNN", "control", control),
    ("The GAN at full size", "wide", wide),
    ("MNIST, the same winner", "mnist", sweep),
    ("Laptop scale", "laptop", sweep),
    ("One known anomaly class, eight unseen", "unseen_1", unseen),
    ("Three known anomaly classes, six unseen", "unseen_3", unseen),
    ("Which losses earn their place", "ablation", ablation),
    ("Baselines", "baselines", baselines),
    ("Does the ladder find good configurations for less?", "search", replay),
    ("Peers on the same tables", "peers", peers),
    ("On a GPU", "gpu", gpu),
]


def main() -> None:
    """Write the page."""
    parts = [
        "# Results",
        "Written by `python benchmarks/results.py` from the files in [results](results); this page is not edited by "
        "hand. Intervals are 95 %; ± is one standard deviation over seeds. Of a sweep they hold for fresh seeds and "
        "fresh images. A sweep's command is made from its plan: it gives today's code the same settings.",
    ]
    for title, name, write in SECTIONS:
        path = FOLDER / f"{name}.json"
        if path.exists():
            parts += [f"## {title}", *write(json.loads(path.read_text()))]
    PAGE.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
