"""Write docs/results.md from the figures in docs/results/*.json. Nothing else writes that page.

    python benchmarks/results.py

A sweep leaves its figures in STORAGE/NAME/results.json, the benchmarks in the file of their --json flag; copied to
docs/results under the names below, they make the page. A section whose file is not there is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from adcore.config import LOSS_WEIGHTS
from adcore.datasets import DATASETS

FOLDER = Path(__file__).parents[1] / "docs" / "results"
PAGE = FOLDER.parent / "results.md"
SWEEP = "python sweeps/gan_loss_weights.py"
UNSEEN = "--scale laptop --epochs 8 --configs 1 --normal-class 0,3,6 --protocol seen-unseen --labelled-share 0.05"
MNIST = "--scale workstation --epochs 4 --dataset mnist --start-from fashion --configs 1"
ABLATION = "python sweeps/loss_ablation.py --scale laptop"


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


def sweep(found: dict[str, Any], command: str) -> list[str]:
    """A sweep: the stages side by side, what was confirmed, and the winner by class."""
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
        f"`{command}`: {found['seconds'] / 60:.0f} minutes on 2 CPU cores. Configurations: {states}. "
        f"Confirmed at {training}.",
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


def unseen(found: dict[str, Any], command: str) -> list[str]:
    """Known and unknown anomalies apart."""
    names = DATASETS[found["plan"]["base"]["dataset"]].class_names
    figures = found["test_by_class"]
    comparisons = ["auroc_seen", "auroc_unseen", "auroc"]
    rows = [
        [f"{index} {names[int(index)]}", *(spread(figures[name][index]) for name in comparisons)]
        for index in figures["auroc"]
    ]
    means = [interval(found["test"][name]) for name in ("seen", "unseen", "")]
    return [
        f"`{command}`: {len(found['seeds'])} seeds. Over all ten classes and all anomalies, with one known class "
        "and 5 % labelled, Deep SAD reports .905 and ESAD .956.",
        markdown(["normal class", "seen", "unseen", "all anomalies"], [*rows, ["mean (95 % interval)", *means]]),
    ]


def ablation(found: dict[str, Any], command: str) -> list[str]:
    """Every variant against all six losses."""
    differences = {each["configuration"]: each["difference"] for each in found["comparisons"]}
    rows = [
        [each["name"], spread(each["confirm"]), spread(each["test"]),
         interval(differences.get(each["configuration"]), sign="+")]
        for each in found["confirmed"]
    ]  # fmt: skip
    return [
        f"`{command}`: {found['seconds'] / 60:.0f} minutes on 2 CPU cores, {len(found['seeds'])} seeds, "
        f"{len(found['plan']['base']['classes'])} classes.",
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
    return [*parts, f"Ladders chosen on the other tables: {'; '.join(told)}.", *proposals(found["proposals"])]


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
    return [
        f"Ladder searches of {found['configurations']} configurations on a surrogate of the first table "
        f"({found['surrogate']}; held out: {quality}), seeds: {seeds}; regret times 1000; gain: by being told of what "
        "stopped configurations are predicted to have:",
        markdown(head, rows),
    ]


def peers(found: dict[str, Any]) -> list[str]:
    """Syne Tune, SMAC and the ladder on the same tables and orders."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    parts = [
        f"`python benchmarks/peers.py` ({versions}): {found['repetitions']} orders of each table, one worker but where "
        "said; and the ladder's less the peer's, paired by order. As a share of no stopping's regret, mean over the "
        "tables:",
        _peers(found["mean share"], factor=1),
    ]
    for table, own in found["tables"].items():
        parts += [f"{table}, regret times 1000:", _peers(own, factor=1000)]
    return parts


def _peers(own: dict[str, Any], *, factor: float) -> str:
    budgets = list(next(iter(own.values()))["regret"])
    rows = [
        [name, *(interval(each["regret"][budget], factor=factor, digits=2) for budget in budgets),
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
        [each["name"], f"{each['median']:,.4g}", f"{min(each['values']):,.4g} to {max(each['values']):,.4g}", each["n"],
         each["unit"], f"{'>=' if each['at_least'] else '<='} {each['target']:,g}"]
        for each in found["rows"]
    ]  # fmt: skip
    head = ["width 64, batch 256 unless said", "median", "range", "n", "unit", "target"]
    return [
        f"`python benchmarks/gpu.py --json FILE` on {found['device']}, torch {found['torch']}, bf16-mixed.",
        markdown(head, rows),
    ]


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
    ("Fashion-MNIST", "fashion_mnist", lambda found: sweep(found, f"{SWEEP} --scale workstation --name fashion")),
    ("The control: a supervised CNN", "control", control),
    ("The GAN at full size", "wide", wide),
    ("MNIST, the same winner", "mnist", lambda found: sweep(found, f"{SWEEP} {MNIST}")),
    ("Laptop scale", "laptop", lambda found: sweep(found, "make sweep")),
    ("One known anomaly class, eight unseen", "unseen_1", lambda f: unseen(f, f"{SWEEP} {UNSEEN} --known-classes 1")),
    ("Three known anomaly classes, six unseen", "unseen_3", lambda f: unseen(f, f"{SWEEP} {UNSEEN} --known-classes 3")),
    ("Which losses earn their place", "ablation", lambda f: ablation(f, ABLATION)),
    ("Baselines", "baselines", baselines),
    ("Does the ladder find good configurations for less?", "search", replay),
    ("Peers on the same table", "peers", peers),
    ("On a GPU", "gpu", gpu),
]


def main() -> None:
    """Write the page."""
    parts = [
        "# Results",
        "Written by `python benchmarks/results.py` from the files in [results](results); not edited by hand. Intervals "
        "are 95 %; ± is one standard deviation over seeds. Of a sweep they hold for fresh seeds and fresh images.",
    ]
    for title, name, write in SECTIONS:
        path = FOLDER / f"{name}.json"
        if path.exists():
            parts += [f"## {title}", *write(json.loads(path.read_text()))]
    PAGE.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
