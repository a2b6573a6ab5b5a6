"""The record's copy in a store: of one moment, the same on another machine."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adcore.errors import UserError
from sweeps.engine.planning.run_settings import RunSettings
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.record import SweepRecord
from sweeps.engine.remote import copies as remote_record
from sweeps.engine.remote import one_driver as remote_driver
from sweeps.engine.remote.copies import COPY, DRIVERS, RecordCopies, fetch_record
from sweeps.engine.remote.flags import fetch_missing_record, shared_folder, split_address, store_of
from sweeps.engine.remote.one_driver import RemoteDriver, TakenOverError
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.storage.object_store import ObjectStore
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from tests.sweep_parts import Sweep, record_of, small_plan


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_driver, "MOMENT", 0.0)


@pytest.fixture(autouse=True)
def _no_sign_of_life_after_a_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While a request is tried again at a store that has ended, pyarrow opens no other one."""
    begun: list[RecordCopies] = []
    begin = RecordCopies.begin

    def begin_noted(copies: RecordCopies) -> None:
        begun.append(copies)
        begin(copies)

    monkeypatch.setattr(RecordCopies, "begin", begin_noted)
    yield
    for copies in begun:
        copies.stop()


@pytest.fixture
def home(store: ObjectStore, tmp_path: Path) -> SweepHome:
    """The folder of a sweep that is named as its store is."""
    folder = tmp_path / "here" / tmp_path.name
    folder.mkdir(parents=True)
    return SweepHome(folder, store)


def _copies(home: SweepHome) -> tuple[SweepRecord, Outbox, RecordCopies]:
    assert home.store
    record, outbox = record_of(small_plan(), path=home.record), Outbox(home.outbox("0123456789"))
    copies = RecordCopies(home, record, home.store)
    copies.begin()
    return record, outbox, copies


def test_another_machine_gets_the_record_and_the_results_without_the_checkpoints(
    home: SweepHome, store: ObjectStore, tmp_path: Path
) -> None:
    record, outbox, copies = _copies(home)
    Sweep(record, lambda number, index, epoch: 0.1 * number + 0.01 * epoch).run()
    outbox.put(RunUpdate("sweep", tags={"state": "complete"}))
    home.results.write_text("{}")
    (home.figures / "class-0").mkdir(parents=True)
    (home.figures / "class-0" / "roc.png").write_bytes(b"png")
    home.seed_folder(0, 1).mkdir(parents=True)
    home.checkpoint(0, 0, 1).write_bytes(b"model")
    copies.end()

    there = SweepHome(tmp_path / "there" / home.name)
    fetch_record(there, store)
    names = sorted(path.relative_to(there.folder).as_posix() for path in there.folder.rglob("*") if path.is_file())
    assert names == ["figures/class-0/roc.png", "mlflow-outbox-01234567.db", "results.json", "study.db"]
    copy = record_of(small_plan(), path=there.record)
    assert copy.all() == record.all()
    assert copy.ledger.counts() == record.ledger.counts()
    assert len(Outbox(there.outbox("0123456789"))) == 1
    assert [path.name for path in there.folder.parent.iterdir()] == [there.name], "and nothing beside it"


def test_mlflow_learns_only_of_what_is_in_a_copy(home: SweepHome) -> None:
    _, outbox, copies = _copies(home)
    assert copies.copied_update == 0
    for number in range(3):
        outbox.put(RunUpdate(f"run {number}"))
    assert outbox.oldest(10, until=copies.copied_update) == []
    copies.copy_now()
    assert [update.key for _, update in outbox.oldest(10, until=copies.copied_update)] == ["run 0", "run 1", "run 2"]
    outbox.drop([1, 2, 3])
    outbox.put(RunUpdate("run 3"))
    assert outbox.oldest(10, until=copies.copied_update) == [], "numbers of delivered updates are not given again"
    copies.copy_now()
    assert [number for number, _ in outbox.oldest(10, until=copies.copied_update)] == [4]


def test_a_copy_is_made_from_time_to_time_and_one_that_fails_is_said_once(
    home: SweepHome, store: ObjectStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record, _, copies = _copies(home)
    first = store.get_bytes(COPY)
    record.write("stage", "later")
    copies.step()
    assert copies.snapshot_time
    assert store.get_bytes(COPY) == first, "it is not time yet"

    def refuse(*_: object) -> None:
        raise StorageError("s3://bucket/x: no access to the store (away)")

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "put", refuse)
        for _ in range(2):
            copies.snapshot_time = -1e9
            copies.step()
            assert copies._upload
            copies._upload.join()
    assert capsys.readouterr().err.count("the record has no new copy: s3://bucket/x: no access") == 1
    assert not list(Path(tempfile.gettempdir()).glob(f"adsweep-*-{os.getpid()}-*"))
    copies.snapshot_time = -1e9
    copies.step()
    copies._upload.join()
    assert store.get_bytes(COPY) != first


def test_a_full_temporary_folder_is_named_and_the_copy_made_later(
    home: SweepHome, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    record, _, copies = _copies(home)
    first = store.get_bytes(COPY)
    record.write("stage", "later")

    def fill(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr("zipfile.ZipFile.write", fill)
        for _ in range(2):
            copies.snapshot_time = -1e9
            copies.step()
        with pytest.raises(StorageError, match=r"/t \(TMPDIR\): .*No space left on device"):
            copies.copy_now()
    error = capsys.readouterr().err
    assert error.count(f"the record has no new copy: {tmp_path / 't'} (TMPDIR): [Errno 28] No space left") == 1
    copies.snapshot_time = -1e9
    copies.step()
    assert copies._upload
    copies._upload.join()
    assert store.get_bytes(COPY) != first
    assert list((tmp_path / "t").iterdir()) == []


def test_a_record_that_cannot_be_read_is_not_put_down_to_the_temporary_folder(home: SweepHome) -> None:
    _, _, copies = _copies(home)
    home.record.write_bytes(b"no database, " * 1000)
    copies.snapshot_time = -1e9
    with pytest.raises(StorageError, match=r"study\.db: "):
        copies.step()


def test_a_driver_that_was_replaced_stops_and_overwrites_nothing(home: SweepHome, store: ObjectStore) -> None:
    record, _, copies = _copies(home)
    RemoteDriver(store).take()
    before = store.get_bytes(COPY)
    record.write("stage", "later")
    copies.snapshot_time = -1e9
    copies.step()
    assert copies._upload
    copies._upload.join()
    with pytest.raises(TakenOverError, match="has taken over this sweep"):
        copies.step()
    with pytest.raises(TakenOverError):
        copies.copy_now()
    assert store.get_bytes(COPY) == before


def test_signs_of_life_do_not_wait_for_copies(
    home: SweepHome, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_record, "EVERY", 0.05)
    _, _, copies = _copies(home)
    RemoteDriver(store).take()
    deadline = time.monotonic() + 60
    while not copies.takeover_error and time.monotonic() < deadline:
        time.sleep(0.05)
    assert copies.takeover_error, "it has seen the other driver without a copy"
    copies.stop()
    assert not copies._heartbeat.is_alive()


def test_each_session_is_named_in_the_record_and_in_its_copy(
    home: SweepHome, store: ObjectStore, tmp_path: Path
) -> None:
    record, _, copies = _copies(home)
    copies.end()
    again = RecordCopies(home, record, store)
    again.begin()
    assert record.read(DRIVERS) == [copies.driver.token, again.driver.token]
    there = SweepHome(tmp_path / "there" / home.name)
    fetch_record(there, store)
    assert record_of(small_plan(), path=there.record).read(DRIVERS) == record.read(DRIVERS)


def test_an_address_of_a_sweep_is_its_store_and_its_name() -> None:
    given = split_address({"resume": "s3://bucket/a/n?scheme=http", "storage": "x"})
    assert given == {"resume": "n", "checkpoints": "s3://bucket/a?scheme=http", "storage": "x"}
    assert split_address({"extend": "gs://b/n"}) == {"extend": "n", "checkpoints": "gs://b"}
    assert split_address({"resume": "n"}) == {"resume": "n"}
    with pytest.raises(UserError, match="give one address"):
        split_address({"resume": "s3://bucket/a/n", "checkpoints": "s3://bucket/b"})


def test_a_record_is_brought_only_if_it_is_away(home: SweepHome, sweeps: str, tmp_path: Path) -> None:
    _, _, copies = _copies(home)
    copies.end()
    settings = RunSettings(storage=str(tmp_path / "there"), checkpoints=sweeps, resume=home.name)
    fetch_missing_record(settings)
    there = SweepHome(tmp_path / "there" / home.name)
    assert there.has_record
    before = there.record.stat().st_mtime_ns
    fetch_missing_record(settings)
    assert there.record.stat().st_mtime_ns == before
    assert store_of(settings, there)


def test_a_name_that_the_store_knows_and_one_that_it_does_not_are_refused(
    home: SweepHome, sweeps: str, tmp_path: Path
) -> None:
    _, _, copies = _copies(home)
    copies.end()
    new = RunSettings(storage=str(tmp_path / "there"), checkpoints=sweeps, name=home.name)
    with pytest.raises(UserError, match=rf"sweep '{home.name}' exists in s3://.*--resume s3://bucket/.*{home.name}"):
        store_of(new, SweepHome(tmp_path / "there" / home.name))
    with pytest.raises(UserError, match=rf"--resume s3://bucket/sweeps/absent: there is no copy .*{COPY}"):
        fetch_missing_record(RunSettings(storage=str(tmp_path / "there"), checkpoints=sweeps, resume="absent"))
    assert not (tmp_path / "there" / "absent").exists()


def test_nodes_share_the_folder_of_the_checkpoints_or_that_of_the_sweep_or_none(
    home: SweepHome, tmp_path: Path
) -> None:
    assert shared_folder(home) is None
    assert shared_folder(SweepHome(home.folder)) == home.folder
    place = tmp_path / "shared"
    settings = RunSettings(storage=str(tmp_path / "there"), checkpoints=str(place), name="n")
    there = SweepHome(tmp_path / "there" / "n")
    there.store = store_of(settings, there)
    assert shared_folder(there) == place
    assert place.is_dir(), "a token can be written there"


def test_a_damaged_copy_is_refused_and_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    store.put_bytes(b"no archive", COPY)
    with pytest.raises(UserError, match=f"{COPY} is damaged"):
        fetch_record(SweepHome(tmp_path / "there" / "n"), store)
    assert list((tmp_path / "there").iterdir()) == []
