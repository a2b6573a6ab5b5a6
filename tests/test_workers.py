"""Work beside training where there is no cluster: in this process, one call after another."""

from __future__ import annotations

import os

import pytest

from adcore.errors import UserError
from sweeps.engine.machine.resources import THIS_PROCESS
from sweeps.engine.machine.workers import on_workers
from sweeps.engine.storage.errors import StorageError


def test_calls_are_made_here_one_after_another_as_results_are_asked_for() -> None:
    made: list[int] = []

    def square(number: int) -> tuple[int, int]:
        made.append(number)
        return number**2, os.getpid()

    results = on_workers(square, {"a": (2,), "b": (3,)}, THIS_PROCESS)
    assert next(results) == ("a", (4, os.getpid()))
    assert made == [2]
    assert list(results) == [("b", (9, os.getpid()))]


@pytest.mark.parametrize("error", [UserError("--width 0"), StorageError("full"), FileNotFoundError("gone")])
def test_an_error_that_has_its_own_answer_is_passed_on(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        list(on_workers(fail, {0: ()}, THIS_PROCESS))
    assert raised.value is error


def test_any_other_error_is_one_line_with_the_name_of_what_failed() -> None:
    def assess() -> None:
        raise ZeroDivisionError("by nothing\nat all")

    with pytest.raises(UserError, match=r"^assess failed: .*by nothing") as raised:
        list(on_workers(assess, {0: ()}, THIS_PROCESS))
    assert "\n" not in str(raised.value)
