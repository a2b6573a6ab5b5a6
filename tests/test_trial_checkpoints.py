"""A trial whose checkpoints go to a store: nothing waits, the last ones arrive, and any trial goes on from them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from adcore.datasets import ImageDataset
from adcore.errors import UserError
from adcore.train import train
from sweeps.engine.record.checkpoint_files import (
    delete_checkpoint,
    differences_to_record,
    drop_checkpoints,
    read_model,
)
from sweeps.engine.record.home import SweepHome
from sweeps.engine.remote.local_files import local_home
from sweeps.engine.remote.processes import id_space
from sweeps.engine.search import trial_checkpoints as module
from sweeps.engine.search.trial_checkpoints import Uploads, trial_checkpoints
from sweeps.engine.storage.check import open_store
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.storage.object_store import ObjectStore
from tests.s3_server import running_s3
from tests.train_runs import config, ignore

#: Configuration 7, both classes of config(), seed 1.
WORK = (7, (0, 3), 1)


@pytest.fixture(scope="module")
def s3_store() -> Iterator[ObjectStore]:
    with running_s3() as server:
        yield open_store(server.address())


@pytest.fixture
def home(s3_store: ObjectStore, tmp_path: Path) -> SweepHome:
    """A sweep whose folder does not exist on this machine."""
    return SweepHome(tmp_path / "absent" / "n", s3_store.below(tmp_path.name))


def _train(home: SweepHome, data: ImageDataset, *, until: int | None = None, **settings: Any) -> list[float]:
    """Train as a trial does; the AUROC of each epoch that was reported."""
    heard: list[dict[str, float]] = []
    with trial_checkpoints(home, [WORK]) as checkpoints:
        train(config(epochs=3, **settings), heard.append, data=data, checkpoints=checkpoints, until=until)
    return [epoch["val_auroc_mean"] for epoch in heard]


def test_a_trial_goes_on_from_the_store_and_leaves_nothing_on_the_worker(
    home: SweepHome, digits_train: ImageDataset
) -> None:
    assert home.store
    first = _train(home, digits_train, until=2)
    assert home.store.names() == [f"checkpoints/configuration-0007/seed-1/class-{index}.ckpt" for index in (0, 3)]
    assert not home.folder.parent.exists()
    whole: list[dict[str, float]] = []
    train(config(epochs=3), whole.append, data=digits_train)
    again = _train(home, digits_train)
    assert again == [epoch["val_auroc_mean"] for epoch in whole]
    assert again[:2] == first


def test_epochs_beyond_those_asked_for_are_not_reported_and_come_later_unchanged(
    home: SweepHome, digits_train: ImageDataset
) -> None:
    """The record that a resume starts from can be older than the checkpoints."""
    whole = _train(home, digits_train)
    assert _train(home, digits_train, until=1) == whole[:1]
    assert _train(home, digits_train, until=2) == whole[:2]
    assert _train(home, digits_train) == whole


def test_a_checkpoint_of_another_configuration_with_this_number_is_replaced(
    home: SweepHome, digits_train: ImageDataset
) -> None:
    other = _train(home, digits_train, weight_abc=9.0)
    own = _train(home, digits_train)
    assert own != other
    assert _train(home, digits_train) == own
    [path, _] = home.checkpoints_of(*WORK)
    assert read_model(home, path).config.weight_abc == config().weight_abc


def test_what_is_in_the_store_is_held_against_the_record_by_its_facts(
    home: SweepHome, digits_train: ImageDataset, tmp_path: Path
) -> None:
    _train(home, digits_train, until=2)
    first, second = home.checkpoints_of(*WORK)
    reasons = differences_to_record(home, {first: 0.5, second: 0.5, home.checkpoint(8, 0, 1): 0.5})
    assert [*reasons.values()] == ["trained for 2 of 3 epochs"] * 2 + ["no such file"]
    _train(home, digits_train)
    state = read_model(home, first)
    assert (state.epoch, state.networks, state.optimizers) == (3, {}, [])
    assert differences_to_record(home, {first: state.history[-1]["val_auroc"]}) == {}
    assert home.store
    home.store.put_bytes(b"no checkpoint", home.key(second))
    [reason] = differences_to_record(home, {second: 0.5}).values()
    assert reason.startswith(f"not a checkpoint ({home.place(second)}: ")
    delete_checkpoint(home, second)
    assert differences_to_record(home, {second: 0.5}) == {second: "no such file"}
    with pytest.raises(UserError, match=r"s3://bucket/.*/class-3.ckpt: no such file"):
        read_model(home, second)


def test_dropped_checkpoints_are_gone_from_the_store(home: SweepHome, digits_train: ImageDataset) -> None:
    assert home.store
    _train(home, digits_train, until=1)
    home.store.put_bytes(b"other", "checkpoints/configuration-0007/seed-2/class-0.ckpt")
    with ThreadPoolExecutor(1) as thread:
        drop_checkpoints(home, 7, 1, unfinished=False, thread=thread)
    assert home.store.names() == ["checkpoints/configuration-0007/seed-2/class-0.ckpt"]


def test_copies_are_made_beside_training_and_the_newest_state_arrives(tmp_path: Path) -> None:
    release, sent = threading.Event(), list[bytes]()

    def slow(here: SweepHome, paths: list[Path]) -> list[str]:
        release.wait(60)
        sent.extend(path.read_bytes() for path in paths)
        return []

    file = tmp_path / "n.ckpt"
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
        patch.setattr(module, "upload_files", slow)
        uploads = Uploads(SweepHome(tmp_path), thread)
        started = time.monotonic()
        for state in (b"1", b"2", b"3"):
            file.write_bytes(state)
            uploads.add(file)
        assert time.monotonic() - started < 30, "add() waits for no copy"
        assert uploads.is_busy()
        release.set()
        uploads.finish()
        assert not uploads.is_busy()
    assert sent[-1] == b"3"
    assert len(sent) <= 2, "a state that is replaced before its copy begins is not copied"


@pytest.mark.parametrize("failures", [1, 2])
def test_a_copy_that_failed_is_tried_again_and_then_said(failures: int, tmp_path: Path) -> None:
    left = [failures]

    def failing(here: SweepHome, paths: list[Path]) -> list[str]:
        left[0] -= 1
        if left[0] >= 0:
            raise StorageError("s3://bucket/x: no access to the store (away)")
        return []

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
        patch.setattr(module, "upload_files", failing)
        uploads = Uploads(SweepHome(tmp_path), thread)
        uploads.add(tmp_path / "n.ckpt")
        if failures == 1:
            uploads.finish()
        else:
            with pytest.raises(StorageError, match="no access to the store"):
                uploads.finish()


def test_a_worker_that_was_killed_leaves_its_files_only_until_the_next_one(
    home: SweepHome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    no_process = 2**22 + 1  # beyond the highest process id
    left, elsewhere = (tmp_path / f"adsweep-{space}-{no_process}-abc" for space in (id_space(), f"{id_space()}1"))
    with local_home(home) as here:
        own = here.folder.parent
        assert own.parent == tmp_path
        left.mkdir()
        elsewhere.mkdir()
        with local_home(home):
            assert not left.exists()
            assert own.exists()
            assert elsewhere.exists(), "a container that shares this folder numbers its processes from 1, too"
    assert not own.exists()


def test_without_a_store_the_sweeps_folder_is_worked_in(tmp_path: Path) -> None:
    home = SweepHome(tmp_path / "n")
    with local_home(home) as here, trial_checkpoints(home, [WORK]) as checkpoints:
        assert here is home
        assert checkpoints.paths() == home.checkpoints_of(*WORK)
        assert checkpoints.strict


def test_a_training_that_fails_leaves_what_it_had_saved(home: SweepHome, digits_train: ImageDataset) -> None:
    def fail() -> None:
        with trial_checkpoints(home, [WORK]) as checkpoints:
            train(config(epochs=3), ignore, data=digits_train, checkpoints=checkpoints, until=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert home.store
    assert len(home.store.names()) == 2
