"""The ladder on recorded curves, beside what Ray offers and other peers."""

from __future__ import annotations

from typing import Any

from .tables import interval, markdown

__all__ = ["peers", "replay"]


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
