"""The scoring network of a model as an ONNX file."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from adcore.augment import Resampler
from adcore.errors import UserError
from adcore.files import put_in_place
from adcore.predict.models import Model

__all__ = ["EXPORTED", "check_exported", "export"]

#: Detectors whose score is computed by PyTorch alone: not by a density of scikit-learn, and not by chance.
EXPORTED = (
    "gan", "gan-small", "gan-two-heads", "gan-traditional", "autoencoder", "conv-autoencoder", "deep-autoencoder",
    "vae", "cnn", "cnn-alternative", "deep-svdd", "deep-sad", "ganomaly",
)  # fmt: skip
#: The names of the network's input and output.
INPUT, OUTPUT = "images", "scores"


class Scorer(nn.Module):
    """Pixels 0 to 255, [batch, channels, side, side], to anomaly scores, [batch], as Model.scores gives them."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.detector = model.detector
        self.mirrored = model.config.mirrored_scores
        self.resample = Resampler(model.info.size, model.detector.image_size, torch.device("cpu"), model.detector.dtype)

    def forward(self, pixels: Tensor) -> Tensor:
        images = self.resample.plain(pixels)
        scores = self.detector.score(images)
        if self.mirrored:
            scores = (scores + self.detector.score(images.flip(3))) / 2
        return scores.mean(1)


def check_exported(detector: str) -> None:
    """Raises UserError for a detector that cannot be exported, and if a package that the export needs is missing."""
    if detector not in EXPORTED:
        raise UserError(f"--onnx: {detector} cannot be exported; {', '.join(EXPORTED)} can")
    if missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise UserError(f"--onnx: it needs {' and '.join(missing)}; pip install 'adsweep[onnx]'")


def export(model: Model, path: Path) -> None:
    """Write the network that scores images, for any batch size, with the threshold in the file's metadata.

    Input `images`, float32 [batch, channels, side, side] with values 0 to 255, at the data set's size; output `scores`,
    [batch], higher is more anomalous. Raises UserError for a detector that cannot be exported, and if the file cannot
    be written. The model is moved to the CPU.
    """
    check_exported(model.config.detector)
    scorer = Scorer(model).cpu().eval()
    example = torch.zeros(2, model.info.channels, model.info.size, model.info.size)
    with _silent(), torch.no_grad():
        program = torch.onnx.export(
            scorer,
            (example,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    for key, value in _metadata(model).items():
        proto.metadata_props.add(key=key, value=value)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(proto.SerializeToString())
        put_in_place(part, path)
    except OSError as error:
        raise UserError(f"--onnx {str(path)!r}: cannot be written ({error.strerror})") from error


def _metadata(model: Model) -> dict[str, str]:
    metadata = {"model": model.title, "anomalous": "scores at or above the threshold"}
    if model.threshold is None:
        return metadata
    return metadata | {"threshold": repr(model.threshold), "rule": model.rule.name}


@contextlib.contextmanager
def _silent() -> Generator[None]:
    """Without the exporter's own progress lines and warnings, which are about torch's and onnxscript's insides."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
