"""Work beside training on Ray's own workers: results, errors, and workers that die."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from adcore.errors import UserError
from sweeps.engine.machine.resources import Resources
from sweeps.engine.machine.workers import RETRIES, on_workers
from sweeps.engine.storage.errors import StorageError

pytestmark = pytest.mark.xdist_group("workers")
TWO = Resources(cpus=1, gpus=0, slots=2)


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def test_every_call_is_made_on_a_worker_and_its_result_comes_with_its_key() -> None:
    def square(number: int) -> tuple[int, int]:
        return number**2, os.getpid()

    found = dict(on_workers(square, {str(number): (number,) for number in range(5)}, TWO))
    assert {key: value for key, (value, _) in found.items()} == {str(number): number**2 for number in range(5)}
    assert os.getpid() not in {process for _, process in found.values()}


def test_no_more_calls_are_under_way_than_trials_fit(tmp_path: Path) -> None:
    def alone(folder: str) -> int:
        mark = Path(folder, "under-way")
        mark.touch(exist_ok=False)
        mark.unlink()
        return 0

    one = TWO.with_slots(1)
    assert [key for key, _ in on_workers(alone, {number: (str(tmp_path),) for number in range(6)}, one)] == [*range(6)]


@pytest.mark.parametrize("error", [UserError("--width 0"), StorageError("full"), FileNotFoundError(2, "gone")])
def test_a_workers_error_that_has_its_own_answer_is_passed_on(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        list(on_workers(fail, {0: ()}, TWO))
    assert str(raised.value) == str(error)


def test_any_other_error_of_a_worker_is_one_line_with_the_name_of_what_failed() -> None:
    def assess() -> None:
        raise ZeroDivisionError("by nothing\nat all")

    with pytest.raises(UserError, match=r"^a worker failed in assess: .*by nothing") as raised:
        list(on_workers(assess, {0: ()}, TWO))
    assert "\n" not in str(raised.value)


def _dying(folder: Path, times: int) -> int:
    """The number of the try that a worker does not die of; it dies of the first `times`."""

    def work() -> int:
        tries = len(list(folder.iterdir()))
        (folder / str(tries)).touch()
        if tries < times:
            os._exit(1)
        return tries

    [(_, tries)] = on_workers(work, {0: ()}, TWO)
    return tries


def test_a_call_whose_worker_has_died_is_made_again_a_few_times(tmp_path: Path) -> None:
    assert _dying(tmp_path, times=RETRIES) == RETRIES == 2


def test_a_call_whose_workers_all_die_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^a worker failed in work: ") as raised:
        _dying(tmp_path, times=RETRIES + 1)
    assert "\n" not in str(raised.value)
    assert len(list(tmp_path.iterdir())) == RETRIES + 1
