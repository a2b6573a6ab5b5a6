"""`python -m adcore.predict`: score images with trained detectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adcore.command_line import run
from adcore.errors import UserError
from adcore.predict.command import CLASS, MODEL, SHARED, Request, predict

__all__ = ["main"]

_HELP = """Score images with a trained detector, and decide which are anomalous.

Files and folders of PNG, JPEG, BMP and TIFF images, and .npy or .npz files of uint8 arrays (N, H, W) or (N, H, W, C).
The decisions are those at the threshold that the model found best on its validation images (F1).

    python -m adcore.predict --model run.ckpt photos/ --csv scores.csv --heatmaps maps/"""


def main(argv: Sequence[str] | None = None) -> None:
    """Parse argv, score, write. Exits with 0, with 1 if an image cannot be read, with 2 for bad input."""
    run("python -m adcore.predict", _HELP, [MODEL, CLASS, *SHARED], _predict, argv)


def _predict(model: tuple[str, ...] = (), **flags: Any) -> int:
    if not model:
        raise UserError("--model: expected a checkpoint of adcore.train or of a sweep, or a folder of them")
    return predict([Path(place) for place in model], Request(**flags))


if __name__ == "__main__":
    main()
