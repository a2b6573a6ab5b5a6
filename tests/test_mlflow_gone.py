"""A database of MLflow's that breaks or goes while a sweep writes to it: tried now and then, said in a line."""

from __future__ import annotations

import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.engine.driver import close, print_how_to_continue
from sweeps.engine.machine.interrupt import Interrupt, interruptible
from sweeps.engine.machine.locations import database_uri
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.runs import require_known_runs
from sweeps.engine.tracking.writer import PAUSE, MlflowWriter
from tests.sweep_process import HANGS, poll

RUN = RunUpdate("sweep", name="s", tags={"level": "sweep", "stage": "search"})
#: A process that writes to MLflow's database while its tables go.
PROGRAM = """
import sqlite3, sys, time
from pathlib import Path
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.writer import MlflowWriter
from sweeps.engine.machine.locations import database_uri

folder = Path(sys.argv[1])
outbox = Outbox(folder / "outbox.db")
writer = MlflowWriter(database_uri(folder / "mlflow.db"), "test", "id", outbox, period=0.05)
outbox.put(RunUpdate("sweep", name="s"))
while len(outbox):
    time.sleep(0.05)
database = sqlite3.connect(folder / "mlflow.db", isolation_level=None)
database.execute("DROP TABLE latest_metrics")
outbox.put(RunUpdate("sweep", metrics=[("m", 0.5, 1, 1)]))
while writer.error is None:
    time.sleep(0.05)
assert not writer.close(patience=2)
print(writer.reason)
"""


class Counting(MlflowWriter):
    """Counts its tries from the moment that it is closed."""

    tries = 0

    def _deliver(self) -> bool:
        self.tries += self.patience is not None
        return super()._deliver()


@pytest.fixture
def writer(tmp_path: Path, database: bytes) -> Iterator[Counting]:
    """Of a sweep that has a run in mlflow.db, and something more to tell."""
    (tmp_path / "mlflow.db").write_bytes(database)
    outbox = Outbox(tmp_path / "mlflow-outbox-0.db")
    outbox.put(RUN)
    writer = Counting(database_uri(tmp_path / "mlflow.db"), "test", "id", outbox, period=0.05)
    poll(lambda: "sweep" in writer.run_writer.ends, "the run")
    yield writer
    writer.close(patience=0)


def _lose(writer: Counting, path: Path) -> None:
    path.unlink()
    writer.outbox.put(RunUpdate("sweep", metrics=[("m", 0.5, 1, 1)]))


def test_a_delivery_that_fails_at_closing_is_tried_again_after_a_second_until_it_succeeds(
    writer: Counting, tmp_path: Path
) -> None:
    away = (tmp_path / "mlflow.db").rename(tmp_path / "away.db")
    writer.outbox.put(RunUpdate("sweep", metrics=[("m", 0.5, 1, 1)]))
    started, closed = time.monotonic(), list[bool]()
    closing = threading.Thread(target=lambda: closed.append(writer.close(patience=HANGS)))
    closing.start()
    poll(lambda: writer.tries >= 3, "the third try")
    assert time.monotonic() - started >= 2 * PAUSE
    away.rename(tmp_path / "mlflow.db")
    closing.join()
    assert closed == [True]


def test_no_database_is_made_in_the_place_of_one_that_has_gone(writer: Counting, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    _lose(writer, path)
    poll(lambda: writer.error, "the first failure")
    assert not writer.close(patience=1)
    assert not path.exists()
    assert writer.reason == f"{path} is gone"
    path.touch()  # as SQLite leaves it if it goes in the midst of a delivery
    with pytest.raises(Exception, match="lacks 1 of this sweep's 1 run;"):
        require_known_runs(writer.uri, "test", "id", writer.outbox)
    assert path.stat().st_size == 0


def _stages(interrupt: Interrupt | None = None) -> tuple[Any, list[str]]:
    """What the end of a sweep asks of its stages, and what they print."""
    printed: list[str] = []
    display = SimpleNamespace(print=printed.append, end=lambda: None)
    own = {"command": "true", "storage_error": None, "is_gone": False}
    return SimpleNamespace(display=display, interrupt=interrupt, **own), printed


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_what_waits_is_said_when_a_signal_cuts_the_last_delivery_short(
    writer: Counting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _lose(writer, tmp_path / "mlflow.db")
    with interruptible() as interrupt:
        stages, _ = _stages(interrupt)
        killer = threading.Thread(target=lambda: poll(lambda: writer.tries, "it closes") and _terminate())
        killer.start()
        started = time.monotonic()
        close(writer, stages)
        killer.join()
    assert time.monotonic() - started < 30, "as long as it takes uncut"
    print_how_to_continue(stages, writer, 0)
    assert "1 update waits in" in capsys.readouterr().err


def test_the_command_that_is_printed_then_is_not_refused(
    writer: Counting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _lose(writer, tmp_path / "mlflow.db")
    writer.close(patience=0)
    capsys.readouterr()  # in this process MLflow may log what it met
    stages, printed = _stages()
    print_how_to_continue(stages, writer, 130)
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 2
    assert str(writer.outbox.path) in error
    command = printed[0].splitlines()[-1].strip()
    assert command in error
    assert shlex.split(command)[-1] == "true"
    subprocess.run(["sh", "-c", command], check=True)
    assert not writer.outbox.path.exists()
    require_known_runs(writer.uri, "test", "id", Outbox(writer.outbox.path))


def test_a_database_that_is_broken_is_one_short_line_without_a_traceback(tmp_path: Path, database: bytes) -> None:
    (tmp_path / "mlflow.db").write_bytes(database)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=240, check=False,
        env={name: value for name, value in os.environ.items() if name != "MLFLOW_LOGGING_LEVEL"},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", "no such table: latest_metrics\n")


def test_a_database_that_was_put_back_gets_everything(writer: Counting, tmp_path: Path) -> None:
    path, away = tmp_path / "mlflow.db", tmp_path / "away.db"
    path.rename(away)
    writer.outbox.put(RunUpdate("sweep", metrics=[("m", 0.5, 1, 1)]))
    poll(lambda: writer.error, "the first failure")
    away.rename(path)
    assert writer.close()
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("SELECT count(*) FROM metrics").fetchone() == (1,)
