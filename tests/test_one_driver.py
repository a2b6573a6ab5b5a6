"""One driver at a time on a sweep in a store: who counts as running, and whose record is the latest."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adcore.errors import UserError
from sweeps.engine.remote import one_driver
from sweeps.engine.remote.one_driver import DRIVER, DriverState, RemoteDriver, check_no_other_driver
from sweeps.engine.remote.processes import id_space, process_runs
from sweeps.engine.storage.address import parse_address
from sweeps.engine.storage.object_store import ObjectStore

#: Beyond the highest process id.
NO_PROCESS = 2**22 + 1


def _put(store: ObjectStore, without: str = "", **changes: object) -> None:
    """As a driver on another host would, whose token is t."""
    state = dataclasses.asdict(DriverState("t", "other", "other-1", NO_PROCESS, ended=False)) | changes
    state.pop(without, None)
    store.put_bytes(json.dumps(state).encode(), DRIVER)


def test_a_driver_elsewhere_that_gives_signs_of_life_is_left_alone(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_no_other_driver(store, "n", [])
    _put(store)
    with pytest.raises(UserError, match=r"sweep 'n' is run by a driver on other, which gave a sign of life \d+ s ago"):
        check_no_other_driver(store, "n", ["t"])
    assert store.names() == [DRIVER], "what was written to learn the time is gone"
    monkeypatch.setattr(one_driver, "SILENCE", -1.0)
    check_no_other_driver(store, "n", ["t"])


def test_a_driver_that_has_ended_or_died_on_this_machine_is_not_waited_for(store: ObjectStore) -> None:
    _put(store, ended=True)
    check_no_other_driver(store, "n", ["t"])
    _put(store, id_space=id_space())
    check_no_other_driver(store, "n", ["t"])
    _put(store, id_space=id_space(), process=os.getpid())
    with pytest.raises(UserError, match="is run by a driver"):
        check_no_other_driver(store, "n", ["t"])


def test_of_a_driver_in_a_container_with_this_machines_name_only_signs_of_life_tell(store: ObjectStore) -> None:
    kernel, _, _ = id_space().rpartition("-")
    _put(store, host=socket.gethostname(), id_space=f"{kernel}-1")
    with pytest.raises(UserError, match="is run by a driver"):
        check_no_other_driver(store, "n", ["t"])


def test_so_it_is_of_one_that_an_earlier_version_wrote(store: ObjectStore) -> None:
    _put(store, without="id_space", host=socket.gethostname())
    with pytest.raises(UserError, match="is run by a driver"):
        check_no_other_driver(store, "n", ["t"])


def test_a_record_that_another_machine_has_continued_is_not_the_latest(store: ObjectStore) -> None:
    _put(store, ended=True, token="second")
    check_no_other_driver(store, "n", ["first", "second", "third"])
    check_no_other_driver(store, "n", None)
    with pytest.raises(UserError, match=r"was continued on other since.*move its folder away, then --resume s3://"):
        check_no_other_driver(store, "n", ["first"])


def test_a_state_that_nothing_can_be_read_from_is_named(store: ObjectStore) -> None:
    store.put_bytes(b"{}", DRIVER)
    with pytest.raises(UserError, match=rf"{DRIVER}: damaged; delete it if no driver runs this sweep"):
        check_no_other_driver(store, "n", ["t"])


def test_a_process_runs_until_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        assert process_runs(child.pid)
        child.kill()
    assert not process_runs(child.pid)
    assert not process_runs(NO_PROCESS)

    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert process_runs(NO_PROCESS), "another user's"


def test_signs_of_life_from_several_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    driver = RemoteDriver(ObjectStore(parse_address(str(tmp_path))))
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: driver.renew(), range(200))) == [None] * 200
