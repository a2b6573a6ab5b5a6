"""Speed on a GPU."""

from __future__ import annotations

from typing import Any

from .tables import markdown

__all__ = ["gpu"]


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
