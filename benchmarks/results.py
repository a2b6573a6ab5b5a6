"""Write docs/results.md from the figures in docs/results/*.json. Nothing else writes that page.

    python benchmarks/results.py

A sweep leaves its figures in STORAGE/NAME/results.json, the benchmarks in the file of their --json flag; copied to
docs/results under the names below, they make the page. A section whose file is not there is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from page.device import gpu
from page.search import peers, replay
from page.sweeps import ablation, sweep, unseen
from page.trainings import baselines, control, few, wide

FOLDER = Path(__file__).parents[1] / "docs" / "results"
PAGE = FOLDER.parent / "results.md"
#: Title, file and writer of each section.
SECTIONS: list[tuple[str, str, Callable[[Any], list[str]]]] = [
    ("Fashion-MNIST", "fashion_mnist", partial(sweep, name="fashion")),
    ("The control: a supervised CNN", "control", control),
    ("The GAN at full size", "wide", wide),
    ("MNIST, the same winner", "mnist", sweep),
    ("Laptop scale", "laptop", sweep),
    ("One known anomaly class, eight unseen", "unseen_1", unseen),
    ("Three known anomaly classes, six unseen", "unseen_3", unseen),
    ("Few kinds of anomalies, or none", "few", few),
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
