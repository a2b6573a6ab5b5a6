"""One run's checkpoint file: written whole or not at all, read without running code from it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import time
import uuid
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io import TorchCheckpointIO

from adcore.config import TrainConfig
from adcore.errors import UserError
from adcore.files import put_in_place

__all__ = ["Checkpoints", "PlainCheckpointIO", "content", "read"]

#: Where a Lightning checkpoint holds what is ours.
KEY = "adcore"


class Checkpoints:
    """The newest checkpoint of a run, at `path`; saved at most every `every` seconds, and after the last epoch."""

    def __init__(self, path: Path, *, every: float = 30.0) -> None:
        self.path, self.every = path, every
        self.saved = time.monotonic()

    def save(self, trainer: pl.Trainer, *, last: bool) -> None:
        """Write model, optimisers, schedules and the callbacks' additions, under a temporary name first.

        Raises UserError if the file cannot be written.
        """
        if not last and time.monotonic() - self.saved < self.every:
            return
        temporary = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            trainer.save_checkpoint(temporary)
            put_in_place(temporary, self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)  # of a full disk it would hold the last room
            raise UserError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        self.saved = time.monotonic()


class PlainCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint where it is to be; Lightning's own takes a way through the system's temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        Path(path).write_bytes(buffer.getbuffer())


def content(config: TrainConfig, history: list[dict[str, float]]) -> dict[str, Any]:
    """What a checkpoint holds beside Lightning's own: plain values only, so that it loads with weights_only=True."""
    settings = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(config).items()}
    return {KEY: {"config": settings, "history": history}}


def read(path: Path) -> tuple[TrainConfig, list[dict[str, float]], dict[str, torch.Tensor]]:
    """Configuration, history and weights of a checkpoint, on the CPU. Raises UserError for a file that is not one."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(stored, dict):
            raise TypeError(f"it holds a {type(stored).__name__}")
        settings, history = stored[KEY]["config"], stored[KEY]["history"]
        config = TrainConfig(**{**settings, "classes": tuple(settings["classes"])})
        return config, history, stored["state_dict"]
    except Exception as error:  # on bytes that are not its own, torch's unpickler fails in any way there is
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{path}: not a whole checkpoint of this program ({reason}); move it away and run again"
        ) from error
