"""Trainings outside of a sweep: the control, the GAN at full size, few anomalies, the baselines."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from adcore.config import LOSS_WEIGHTS
from adcore.datasets import DATASETS

from .tables import markdown, spread

__all__ = ["baselines", "control", "few", "wide"]


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


def few(found: list[dict[str, Any]]) -> list[str]:
    """Detectors whose training saw one kind of anomalies, or none, by data set."""
    parts = [
        "`python benchmarks/few_anomalies.py --dataset fashion-mnist --dataset mnist --precision bf16-mixed --json "
        f"FILE`, of whose trainings {len(found)} were run (--only, --splits): all ten classes, width 16, at most 2,500 "
        "images a class, on "
        f"{' and '.join(sorted({each['device'] for each in found}))}. AUROC on the test part, mean over the classes, ± "
        "over n splits, which draw another known class for each normal one. pseudo: with pseudo-anomalies (all). Their "
        "kinds and share were chosen on validation images of all classes of Fashion-MNIST, at width 8 in another "
        "split; MNIST had no part in that.",
        "Reported for Fashion-MNIST with one known class, 5 % labelled: Deep SAD .905, ESAD .956, a supervised CNN "
        ".768; without anomalies GEOM .935, ARNet .939, ESAD .940. For MNIST with one known class: .967, .994, .903.",
    ]
    for dataset in dict.fromkeys(each["dataset"] for each in found):
        of_dataset = [each for each in found if each["dataset"] == dataset]
        rows: list[list[object]] = []
        for variant in dict.fromkeys(each["variant"] for each in of_dataset):
            runs = [each for each in of_dataset if each["variant"] == variant]
            columns = [_means(runs, name) for name in ("auroc_seen", "auroc_unseen", "auroc")]
            minutes = f"{fmean(each['seconds'] for each in runs) / 60:.0f}"
            rows.append([variant, len(runs), *(spread(values) if values else "-" for values in columns), minutes])
        head = [
            dataset,
            "n",
            "seen anomalies",
            "unseen anomalies",
            "all anomalies",
            "minutes of one core, beside other work",
        ]
        parts.append(markdown(head, rows))
    return parts


def _means(runs: list[dict[str, Any]], name: str) -> list[float]:
    """The mean over the classes of each run that has this figure."""
    return [fmean(each["by_class"][name].values()) for each in runs if name in each["by_class"]]


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
