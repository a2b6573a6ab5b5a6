"""Checkpoint files: written atomically, read without running code from them.

A file holds one or more members of a pack, each on its own: its configuration, history, networks and optimisers, as
it would have them alone and on the CPU. Members can therefore resume in another pack, on another device.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import pickle
import time
import uuid
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch.serialization import skip_data

from adcore.config import TrainConfig
from adcore.datasets import DatasetInfo, remember
from adcore.datasets.own import is_own
from adcore.errors import UserError
from adcore.files import put_in_place
from adcore.options import as_plain, from_plain
from adcore.train.member_state import WATCHED, MemberState

__all__ = ["Checkpoints", "read", "read_facts"]

#: The key of our content in a file.
KEY = "adcore"
#: What it holds of a member in addition to its configuration.
PARTS = ("history", "watched", "networks", "optimizers")
#: What files of earlier versions lack.
ADDED = ("decision", "content")
#: Seconds between two saves: at least, at most; between them, saving may take this share of the time.
SHORTEST, LONGEST, SHARE = 30.0, 600.0, 0.02


class Checkpoints:
    """The latest checkpoint of each member of a training, saved from time to time and when a member has ended.

    place: one file for all members, or one for each, in their order. every: seconds between two saves; None for as
    many as keep saving to 2 % of the time, from 30 to 600. strict: whether a file that is damaged, or of other settings
    or data, is an error; else its members start from the beginning. on_saved: called with each file that was written.
    is_busy: whether the last one is still being dealt with; nothing is saved meanwhile, except when a member has ended.
    """

    def __init__(
        self,
        place: Path | Sequence[Path],
        *,
        every: float | None = None,
        strict: bool = True,
        on_saved: Callable[[Path], object] = lambda _: None,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.place, self.strict, self.on_saved, self.is_busy = place, strict, on_saved, is_busy
        self.is_fixed, self.every = every is not None, SHORTEST if every is None else every
        self.saved = time.monotonic()
        self.epochs: dict[Path, list[int]] = {}

    def paths(self) -> list[Path]:
        """The files."""
        return [self.place] if isinstance(self.place, Path) else list(self.place)

    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self.saved >= self.every and not self.is_busy()

    def load(self, members: Sequence[TrainConfig], content: str = "") -> list[MemberState]:
        """Each member as it was saved; one without a file starts from the beginning.

        content: the hash of the train part. If strict, raises UserError for a file that is damaged, or of other
        settings or data.
        """
        states: list[MemberState] = []
        for path, own in self._files(members):
            saved = self._saved(path, own, content) if path.exists() else None
            states += saved or [MemberState(member, content=content) for member in own]
        return states

    def _saved(self, path: Path, members: Sequence[TrainConfig], content: str) -> list[MemberState] | None:
        try:
            return _as_saved(path, members, content)
        except UserError:
            if self.strict:
                raise
        return None

    def save(self, states: Sequence[MemberState]) -> None:
        """Write the files of members trained since the last save, under a temporary name first.

        Raises UserError if one cannot be written.
        """
        began = time.monotonic()
        for path, own in self._files(states):
            epochs = [state.epoch for state in own]
            if self.epochs.get(path) != epochs:
                _write(path, own)
                self.epochs[path] = epochs
                self.on_saved(path)
        self.saved = time.monotonic()
        if not self.is_fixed:
            self.every = min(max(SHORTEST, (self.saved - began) / SHARE), LONGEST)

    def _files(self, members: Sequence[Any]) -> list[tuple[Path, Sequence[Any]]]:
        if isinstance(self.place, Path):
            return [(self.place, members)]
        if len(self.place) != len(members):
            raise UserError(f"{len(self.place)} checkpoint files for {len(members)} experiments: expected one for each")
        return [(path, [member]) for path, member in zip(self.place, members, strict=True)]


def read(path: Path, *, mapped: bool = False, remedy: str = "move it away and run again") -> list[MemberState]:
    """The members in a checkpoint file, on the CPU. Raises UserError for a file that is not a checkpoint.

    mapped: tensors stay in the file until they are used; the file must not change meanwhile. remedy: what to do about
    such a file, for the message.
    """
    return _read(path, str(path), mapped=mapped, remedy=remedy)


def read_facts(file: IO[bytes], name: str) -> list[MemberState]:
    """The members in an open checkpoint file without networks and optimisers, most of whose bytes are not even read.

    name: of the file, for messages. Raises UserError for a file that is not a checkpoint.
    """
    with skip_data():
        states = _read(file, name)
    return [dataclasses.replace(state, networks={}, optimizers=[]) for state in states]


def _read(
    source: Path | IO[bytes], path: str, *, mapped: bool = False, remedy: str = "move it away and run again"
) -> list[MemberState]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch's, about the format of foreign files
            stored = torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
        if not isinstance(stored, dict):
            raise TypeError(f"it holds a {type(stored).__name__}")
        if "members" not in stored[KEY]:
            raise ValueError("an earlier version wrote it")
        return [_member(each) for each in stored[KEY]["members"]]
    except pickle.UnpicklingError as error:  # torch's own text advises to run what is in the file
        raise UserError(
            f"{path}: not a checkpoint of this program (it holds more than plain values); {remedy}"
        ) from error
    except Exception as error:  # on foreign bytes, torch's unpickler may raise anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path}: not a complete checkpoint of this program ({reason}); {remedy}") from error


def _as_saved(path: Path, members: Sequence[TrainConfig], content: str) -> list[MemberState]:
    """The members in a file. Raises UserError if they differ from `members`, or were trained on other content."""
    states = read(path)
    stored = [state.config for state in states]
    if stored != list(members):
        there, now = _difference(stored, members)
        changes = ", ".join(f"{name}: {value} there, {now[name]} now" for name, value in there.items())
        raise UserError(f"{path}: made with other settings ({changes}); use another file, or the same settings")
    before = next((state.content for state in states if state.content != content), content)
    if before and content and before != content:
        raise UserError(
            f"{path}: made with other data (content {before[:12]} there, {content[:12]} now); put the images back as "
            "they were, or use another file"
        )
    return states


def _difference(stored: Sequence[TrainConfig], members: Sequence[TrainConfig]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings in which a file's members differ from the current ones: values there and here."""
    classes = [tuple(own.classes[0] for own in each) for each in (stored, members)]
    if classes[0] != classes[1]:
        return {"classes": classes[0]}, {"classes": classes[1]}
    first, second = next(pair for pair in zip(stored, members, strict=True) if pair[0] != pair[1])
    names = [f.name for f in dataclasses.fields(TrainConfig) if getattr(first, f.name) != getattr(second, f.name)]
    return {name: getattr(first, name) for name in names}, {name: getattr(second, name) for name in names}


def _member(stored: dict[str, Any]) -> MemberState:
    info = DatasetInfo(**stored["data"]) if "data" in stored else None
    if info:  # data of one's own, which need not be there
        remember(info)
    config = TrainConfig(**from_plain(stored["config"]))
    if not all(WATCHED & set(epoch) for epoch in stored["history"]):
        raise ValueError("its history lacks metrics")
    found = {name: stored[name] for name in (*PARTS, *(name for name in ADDED if name in stored))}
    return MemberState(config, info=info, **found)


def _plain(state: MemberState) -> dict[str, Any]:
    """Plain values and tensors only, so that they load with weights_only=True."""
    facts = {"data": dataclasses.asdict(state.data_info)} if is_own(state.config.dataset) else {}
    return {"config": as_plain(state.config), **{part: getattr(state, part) for part in (*PARTS, *ADDED)}, **facts}


def _write(path: Path, states: Sequence[MemberState]) -> None:
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    buffer = io.BytesIO()
    torch.save({KEY: {"members": [_plain(state) for state in states]}}, buffer)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(buffer.getbuffer())
        put_in_place(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)  # on a full disk it would take the last space
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
