"""Files that were cut, overwritten or are somebody else's: each is named in a line, and stays as it is."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import torch

from adcore.errors import UserError
from sweeps.engine.record.checkpoint_files import check_checkpoints
from sweeps.engine.record.home import SweepHome
from sweeps.engine.record.study import open_study
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.store import check_tracking_uri, make_database
from tests.sweep_parts import Sweep, record_of, small_plan


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _overwritten(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + b"\xff" * 4096 + content[middle + 4096 :]


DAMAGES = {
    "cut": _cut,
    "overwritten": _overwritten,
    "emptied": lambda _: b"",
    "another file": lambda _: b"a list\n" * 99,
}


def _line_of(error: pytest.ExceptionInfo[UserError], path: Path) -> None:
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The record of a search in full swing."""
    path = tmp_path_factory.mktemp("study") / "study.db"
    Sweep(record_of(small_plan((0, 3), configs=6), path=path), limit=2).run(3)
    return path.read_bytes()


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_record_is_named_and_left_alone(study: bytes, tmp_path: Path, name: str) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(damaged := DAMAGES[name](study))
    with pytest.raises(UserError, match=r"not the record of a sweep, or damaged") as error:
        open_study(path, create=False)
    _line_of(error, path)
    assert path.read_bytes() == damaged


def _killed_while_writing(path: Path) -> None:
    """What a process leaves that is killed in the middle of a commit: changed pages, and the journal to undo them."""
    program = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA cache_size = 1')\n"  # pages go to the file before the commit
        "database.execute('BEGIN')\n"
        "database.execute('CREATE TABLE filler (text TEXT)')\n"
        "database.executemany('INSERT INTO filler VALUES (?)', [('x' * 3000,) for _ in range(200)])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert Path(f"{path}-journal").stat().st_size > 0


def test_a_record_whose_writer_was_killed_in_mid_commit_is_whole(study: bytes, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(study)
    before = [trial.user_attrs for trial in open_study(path, create=False).trials]
    _killed_while_writing(path)
    assert [trial.user_attrs for trial in open_study(path, create=False).trials] == before


def test_an_mlflow_database_whose_writer_was_killed_in_mid_commit_is_taken(database: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(database)
    _killed_while_writing(path)
    check_tracking_uri(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("SELECT count(*) FROM sqlite_master WHERE name = 'filler'").fetchone() == (0,)


@pytest.mark.parametrize("name", ["cut", "overwritten", "another file"])
def test_a_damaged_mlflow_database_is_named_and_left_alone(database: bytes, tmp_path: Path, name: str) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(damaged := DAMAGES[name](database))
    with pytest.raises(UserError, match=r"damaged|not a SQLite database") as error:
        check_tracking_uri(f"sqlite:///{path}")
    _line_of(error, path)
    assert path.read_bytes() == damaged


def test_a_whole_mlflow_database_is_taken_and_not_made_again(database: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(database)
    check_tracking_uri(f"sqlite:///{path}")
    make_database(path)
    assert path.read_bytes() == database


def test_the_database_of_another_program_gets_no_tables_of_mlflows(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as shop:
        shop.execute("CREATE TABLE orders (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(UserError, match="the database of another program"):
        check_tracking_uri(f"sqlite:///{path}")
    assert path.read_bytes() == before


def _damaged_checkpoint(home: SweepHome, name: str) -> Path:
    """One of two checkpoints, damaged; the other is whole."""
    whole, damaged = home.checkpoint(0, 3, 1), home.checkpoint(1, 3, 1)
    for path in (whole, damaged):
        path.parent.mkdir(parents=True)
    torch.save({"weights": torch.rand(5000)}, whole)
    check_checkpoints(home)
    damaged.write_bytes(DAMAGES[name](whole.read_bytes()))
    return damaged


@pytest.mark.parametrize("name", ["cut", "emptied", "another file"])
def test_a_checkpoint_that_lacks_its_end_is_named_before_anything_starts(tmp_path: Path, name: str) -> None:
    path = _damaged_checkpoint(SweepHome(tmp_path), name)
    before = path.read_bytes()
    with pytest.raises(UserError, match="an incomplete checkpoint; move it away") as error:
        check_checkpoints(SweepHome(tmp_path))
    _line_of(error, path)
    assert path.read_bytes() == before


def test_what_a_checkpoint_holds_before_its_end_is_not_looked_at_before_the_start(tmp_path: Path) -> None:
    _damaged_checkpoint(SweepHome(tmp_path), "overwritten")
    check_checkpoints(SweepHome(tmp_path))


def test_an_outbox_that_cannot_be_written_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    outbox.put(RunUpdate("first"))
    outbox.database.execute(f"PRAGMA max_page_count = {outbox.database.execute('PRAGMA page_count').fetchone()[0]}")

    def fill() -> None:
        for _ in range(500):
            with outbox.transaction():
                outbox.put(RunUpdate("second", params={"field": "x" * 100}))
                outbox.put(RunUpdate("third", params={"field": "x" * 100}))

    with pytest.raises(StorageError, match=f"{outbox.path}: database or disk is full"):
        fill()
    assert isinstance(outbox.storage_error, StorageError)
    keys = [update.key for _, update in Outbox(outbox.path).oldest(10_000)]
    assert keys[0] == "first"
    assert keys.count("second") == keys.count("third"), "a transaction is there whole or not at all"
