"""MLflow's database and the places of its files: made once, found again after a move, never brought back or removed."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from adcore.errors import UserError
from sweeps.engine.machine.locations import database_uri
from sweeps.engine.tracking import store as mlflow_store
from sweeps.engine.tracking.artifacts import check_artifacts
from sweeps.engine.tracking.outbox import Outbox, RunUpdate
from sweeps.engine.tracking.store import check_tracking_uri, connect, make_database
from sweeps.engine.tracking.writer import MlflowWriter

TAGS = {"level": "sweep", "stage": "search", "state": "complete"}


@pytest.fixture
def project(tmp_path: Path, database: bytes) -> Path:
    """A folder with a database of its own."""
    folder = tmp_path / "w0"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(database)
    return folder


def _sweep(folder: Path, name: str) -> bool:
    """Tell the MLflow of a folder of one sweep with a file; whether all was taken."""
    table = folder / f"{name}.csv"
    table.write_text("a,b\n1,2\n")
    outbox = Outbox(folder / f"{name}.db")
    outbox.put(RunUpdate(name, name=name, tags=TAGS, metrics=[("m", 0.5, 1, 1)], status="FINISHED"))
    outbox.put(RunUpdate(name, artifacts=[str(table)]))
    return MlflowWriter(database_uri(folder / "mlflow.db"), "test", name, outbox, period=0.05).close(patience=5)


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("mlartifacts/**/*.csv"))


def _listed(folder: Path) -> list[str]:
    """The files that MLflow itself finds, through the runs."""
    client = MlflowClient(database_uri(folder / "mlflow.db"))
    experiment = client.get_experiment_by_name("test")
    runs = client.search_runs([experiment.experiment_id])
    return sorted(each.path for run in runs for each in client.list_artifacts(run.info.run_id))


def _moved(before: Path, now: Path) -> None:
    before.rename(now)


def _copied(before: Path, now: Path) -> None:
    shutil.copytree(before, now)


@pytest.mark.parametrize("move", [_moved, _copied])
def test_a_project_that_was_moved_or_copied_keeps_its_files_in_the_new_place(
    move: Callable[[Path, Path], None], project: Path
) -> None:
    assert _sweep(project, "s1")
    now = project.with_name("w1 #2")
    move(project, now)
    assert _sweep(now, "s2")
    assert _files(now) == _listed(now) == ["s1.csv", "s2.csv"]
    assert project.exists() == (move is _copied)
    if move is _copied:
        assert _files(project) == _listed(project) == ["s1.csv"]


def test_files_that_stayed_where_they_were_are_joined_there_and_it_is_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _sweep(project, "s1")
    now = project.with_name("w1")
    now.mkdir()
    (project / "mlflow.db").rename(now / "mlflow.db")
    assert _sweep(now, "s2")
    assert str(project / "mlartifacts" / "test") in capsys.readouterr().err
    assert _files(project) == _listed(now) == ["s1.csv", "s2.csv"]
    assert not (now / "mlartifacts").exists()


def test_a_place_for_files_that_cannot_be_written_is_refused(project: Path) -> None:
    (project / "mlartifacts").write_text("a file, no folder")
    with pytest.raises(UserError, match=r"the files of experiment 'test', in .*mlartifacts/test: cannot be written"):
        connect(database_uri(project / "mlflow.db"), "test")


def test_a_place_for_files_that_cannot_be_written_is_refused_before_a_database_is_made(tmp_path: Path) -> None:
    (tmp_path / "mlartifacts").write_text("a file, no folder")
    with pytest.raises(UserError, match="cannot be written"):
        connect(database_uri(tmp_path / "mlflow.db"), "test")
    assert [each.name for each in tmp_path.iterdir()] == ["mlartifacts"]


def test_files_that_lie_elsewhere_need_no_place_beside_the_database(project: Path) -> None:
    location = (project / "elsewhere").as_uri()
    MlflowClient(database_uri(project / "mlflow.db")).create_experiment("test", location)
    (project / "mlartifacts").write_text("a file, no folder")
    check_artifacts(project / "mlflow.db", "test")
    with pytest.raises(UserError, match="the files of experiment 'other'"):
        check_artifacts(project / "mlflow.db", "other")


def test_a_file_that_could_not_be_copied_is_said_and_delivered_by_the_next_session(project: Path) -> None:
    assert _sweep(project, "s1")
    client = MlflowClient(database_uri(project / "mlflow.db"))
    [run] = client.search_runs([client.get_experiment_by_name("test").experiment_id])
    place = project / "mlartifacts" / "test" / run.info.run_id
    place.rename(project / "away")
    place.write_text("in the way")
    outbox, later = Outbox(project / "s1.db"), project / "later.csv"
    later.write_text("a")
    outbox.put(RunUpdate("s1", metrics=[("m", 0.6, 2, 2)], artifacts=[str(later)]))
    writer = MlflowWriter(database_uri(project / "mlflow.db"), "test", "s1", outbox, period=0.05)
    assert not writer.close(patience=5)
    assert str(place) in writer.reason
    assert client.get_run(run.info.run_id).data.metrics["m"] == 0.6, "all else is told"
    assert len(outbox) == 1

    place.unlink()
    (project / "away").rename(place)
    assert MlflowWriter(database_uri(project / "mlflow.db"), "test", "s1", outbox, period=0.05).close()
    assert _listed(project) == ["later.csv", "s1.csv"]


def test_a_deleted_experiment_stays_deleted_with_its_runs(project: Path) -> None:
    assert _sweep(project, "s1")
    uri = database_uri(project / "mlflow.db")
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("test").experiment_id
    client.delete_experiment(experiment)
    with pytest.raises(UserError, match="'test' was deleted there") as refused:
        connect(uri, "test")
    for advice in (f"mlflow gc --backend-store-uri {uri} --experiment-ids {experiment}", f"restore -x {experiment}"):
        assert advice in str(refused.value)
    assert not _sweep(project, "s2"), "nor does a sweep under way bring it back"
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    assert not client.search_runs([experiment], run_view_type=ViewType.ACTIVE_ONLY)


def test_a_run_that_was_deleted_is_not_made_again(project: Path) -> None:
    assert _sweep(project, "s1")
    client = MlflowClient(database_uri(project / "mlflow.db"))
    [experiment] = [client.get_experiment_by_name("test").experiment_id]
    [run] = client.search_runs([experiment])
    client.delete_run(run.info.run_id)
    outbox = Outbox(project / "s1.db")
    outbox.put(RunUpdate("s1", metrics=[("m", 0.6, 2, 2)]))
    writer = MlflowWriter(database_uri(project / "mlflow.db"), "test", "s1", outbox, period=0.05)
    assert not writer.close(patience=3)
    assert "s1: " in writer.reason
    assert not client.search_runs([experiment])


def test_a_database_that_another_driver_makes_meanwhile_is_left_alone(
    tmp_path: Path, database: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mlflow.db"
    exists = Path.exists

    def made_right_after(self: Path, **rest: bool) -> bool:
        found = exists(self, **rest)
        if self == path and not found:
            path.write_bytes(database)
        return found

    monkeypatch.setattr(mlflow_store, "database_path", lambda uri: path)
    monkeypatch.setattr(Path, "exists", made_right_after)
    check_tracking_uri(f"sqlite:///{path}")
    assert path.read_bytes() == database, "the check of the address"
    path.unlink()
    make_database(path)
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("SELECT count(*) FROM experiments").fetchone() == (1,)


def test_two_drivers_make_one_database(tmp_path: Path, database: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Copies:
        """MLflow's client, but for the seconds that it takes to make its tables."""

        def __init__(self, uri: str) -> None:
            Path(uri.removeprefix("sqlite:///")).write_bytes(database)

        def search_experiments(self, max_results: int) -> None:
            barrier.wait(30)

    barrier, path = threading.Barrier(2), tmp_path / "mlflow.db"
    path.touch()  # as a driver leaves it that was killed
    monkeypatch.setattr("mlflow.tracking.MlflowClient", Copies)
    drivers = [threading.Thread(target=make_database, args=[path]) for _ in range(2)]
    for each in drivers:
        each.start()
    for each in drivers:
        each.join(60)
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("PRAGMA quick_check").fetchone() == ("ok",)
        assert found.execute("SELECT count(*) FROM experiments").fetchone() == (1,)
    assert [each.name for each in tmp_path.iterdir()] == ["mlflow.db"]


def test_two_drivers_make_one_experiment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = database_uri(project / "mlflow.db")
    _, made = connect(uri, "test")
    find, answers = MlflowClient.get_experiment_by_name, [None]

    def not_yet_there(self: MlflowClient, name: str) -> object:
        return answers.pop() if answers else find(self, name)

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", not_yet_there)
    assert connect(uri, "test")[1] == made


def test_files_of_another_database_in_the_new_place_are_no_reason_to_follow(project: Path) -> None:
    assert _sweep(project, "s1")
    now = project.with_name("w1")
    (now / "mlartifacts" / "test" / "of-another-run").mkdir(parents=True)
    shutil.copy(project / "mlflow.db", now)
    assert _sweep(now, "s2")
    assert _files(project) == _listed(now) == ["s1.csv", "s2.csv"]


def test_a_strange_folder_gets_a_database_and_no_folder_beside_it(tmp_path: Path, database: bytes) -> None:
    folder = tmp_path / "50% what?x=1 {a} #2"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(database)
    assert _sweep(folder, "s1")
    assert _files(folder) == _listed(folder) == ["s1.csv"]
    for stray in [each for each in tmp_path.iterdir() if each != folder]:  # made by MLflow's client of _listed
        stray.rmdir()
    client, experiment = connect(database_uri(folder / "mlflow.db"), "test")
    assert len(client.search_runs([experiment])) == 1
    assert list(tmp_path.iterdir()) == [folder]


def test_the_database_of_another_mlflow_is_named_with_both_schemas(project: Path) -> None:
    path = project / "old.db"
    shutil.copy(project / "mlflow.db", path)
    with closing(sqlite3.connect(path)) as old, old:
        [(current,)] = old.execute("SELECT version_num FROM alembic_version").fetchall()
        old.execute("UPDATE alembic_version SET version_num = '0123456789ab'")
    with pytest.raises(UserError) as refused:
        connect(database_uri(path), "test")
    assert f"its schema is 0123456789ab, expected {current}" in str(refused.value)
    assert f"mlflow db upgrade {database_uri(path)}" in str(refused.value)


def test_files_are_found_where_the_record_was_moved_to(project: Path) -> None:
    home, now = project / "runs" / "s", project / "elsewhere"
    home.mkdir(parents=True)
    outside = project / "table.csv"
    for path in (home / "results.csv", outside):
        path.write_text("a")
    outbox = Outbox(home / "outbox.db")
    outbox.put(RunUpdate("s", artifacts=[str(home / "results.csv"), str(outside)]))
    outbox.close()
    home.rename(now)
    [(_, update)] = Outbox(now / "outbox.db").oldest(1)
    assert update.artifacts == [str(now / "results.csv"), str(outside)]


def test_what_others_have_put_beside_a_database_stays(project: Path) -> None:
    others = ["notes.txt", "mlflow.db.part", "mlartifacts/test/of-another-run/table.csv", "mlartifacts/notes.txt"]
    for name in others:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(name)
    make_database(project / "mlflow.db")  # which is there
    make_database(project / "new.db")
    assert _sweep(project, "s1")
    connect(database_uri(project / "new.db"), "test")
    now = project.with_name("w1")
    project.rename(now)
    assert _sweep(now, "s2")
    assert {name: (now / name).read_text() for name in others} == {name: name for name in others}
    assert "s1.csv" in _files(now)
