"""`sweep` and `open_sweep`: what they refuse, raise and return, without training."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import sweeps
from sweeps import Integers, LogUniform, SweepFailed, Uniform, UserError, open_sweep, sweep
from sweeps.engine import api
from sweeps.engine.machine.commands import FROM_PYTHON, resume_command
from sweeps.engine.machine.environment import prepare_environment
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.record.progress import ENDED
from sweeps.gan_loss_weights import SPACE
from tests.own_images import stripes, write_images
from tests.shown_records import begun
from tests.sweep_parts import complete, small_plan

pytestmark = pytest.mark.usefixtures("elsewhere")
LAPTOP = Path(__file__).parents[1] / "docs" / "results" / "laptop.json"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"scael": "smoke"}, "did you mean 'scale'?"),
        ({"scale": "smok"}, "did you mean 'smoke'?"),
        ({"plan": True}, "sweeps/gan_loss_weights.py --plan"),
        ({"epochs": "3"}, "--epochs '3'"),
        ({"name": "a/b"}, "not a path"),
        ({"resume": "gone"}, "unknown sweep 'gone'"),
        ({"extend": "gone", "configs": 9}, "unknown sweep 'gone'"),
        ({"extend": "gone", "configs": 9, "name": "new"}, "cannot be combined"),
        ({"storage": "~nosuch-user/x"}, "--storage '~nosuch-user/x': not a usable folder"),
        ({"storage": ""}, "--storage ''"),
    ],
)
def test_bad_input_raises_before_anything_is_made(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError) as error:
        sweep(SPACE, **settings)
    assert named in str(error.value)
    assert [path.name for path in Path().iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("kind", "ends"), [(LogUniform, (0, 10)), (Uniform, (2, 1)), (Integers, (3, 2)), (Uniform, (math.nan, 1))]
)
def test_a_range_without_numbers_is_refused_where_it_is_written(kind: type[Any], ends: tuple[float, float]) -> None:
    with pytest.raises(UserError, match=r"expected (0 < )?low <= high"):
        kind(*ends)


def test_data_that_have_changed_since_the_last_call_are_listed_again() -> None:
    def refusal() -> str:
        with pytest.raises(UserError) as error:
            sweep(SPACE, scale="smoke", dataset="folder:mine", normal_class=("c",), tracking_uri="ftp://there")
        return str(error.value)

    for name in ("a", "b"):
        write_images(Path("mine", name), stripes(20, standing=False))
    assert "'c'" in refusal()
    write_images(Path("mine", "c"), stripes(20, standing=True))
    assert "ftp://there" in refusal(), "its class is known now"


def test_a_sweep_in_another_thread_is_refused() -> None:
    raised: list[BaseException] = []

    def body() -> None:
        try:
            sweep(SPACE, scale="smoke")
        except UserError as error:
            raised.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])


def _ending(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next sweep does nothing but write into its record that it ended with this code, and why."""

    def ends(_script: object, given: dict[str, Any], _interrupt: object) -> int:
        record = begun(Path("runs", given["name"]), small_plan(configs=2))
        record.write(ENDED, {"code": code, "reason": "2 of 2 configurations failed", "failures": ["trial 1: killed"]})
        return code

    monkeypatch.setattr(api.engine, "sweep", ends)


def test_an_incomplete_sweep_raises_with_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    _ending(1, monkeypatch)
    with pytest.raises(SweepFailed) as error:
        sweep(SPACE, scale="smoke", name="mine")
    assert str(error.value) == "sweep 'mine' is incomplete: 2 of 2 configurations failed\n  trial 1: killed"


def test_an_interrupted_sweep_raises_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    _ending(130, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        sweep(SPACE, scale="smoke", name="mine")


def test_an_extended_sweep_gives_the_result_of_the_sweep_that_it_extends(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("runs", "mine")
    begun(folder, small_plan(configs=2))
    (folder / "results.json").write_text(LAPTOP.read_text())
    given: list[dict[str, Any]] = []

    def ends(_script: object, flags: dict[str, Any], _interrupt: object) -> int:
        given.append(flags)
        return 0

    monkeypatch.setattr(api.engine, "sweep", ends)
    assert sweep(SPACE, extend="mine", configs=8).home == folder.resolve()
    assert given == [{"extend": "mine", "configs": 8}]


def test_a_sweep_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*_: object) -> int:
        prepare_environment(SweepSettings())
        assert os.environ["RAY_AUTH_TOKEN"]
        return 130

    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    before = dict(os.environ)
    monkeypatch.setattr(api.engine, "sweep", ends)
    with pytest.raises(KeyboardInterrupt):
        sweep(SPACE, scale="smoke")
    assert dict(os.environ) == before


def test_a_result_holds_what_the_file_of_results_does() -> None:
    found = json.loads(LAPTOP.read_text())
    folder = Path("runs", "laptop")
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(found))
    plain = json.loads((folder / "results.json").read_text())
    result = open_sweep("laptop")
    assert result.home == folder.resolve()
    assert result.winner == plain["winner"]
    assert result.test[""].value == plain["test"][""]["value"]
    assert (
        result.comparisons[plain["comparisons"][0]["configuration"]].low == plain["comparisons"][0]["difference"]["low"]
    )
    by_class = result.by_class
    assert list(by_class["name"])[:2] == ["T-shirt/top", "Trouser"]
    assert math.isclose(by_class["auroc"].mean(), plain["test"][""]["value"])
    assert result.figures() == {}
    with pytest.raises(UserError, match=r"results\.csv: cannot be read"):
        _ = result.table


def test_a_sweep_without_results_is_refused_with_its_state() -> None:
    complete(begun(Path("runs", "half"), small_plan(configs=2)), 0.5)
    with pytest.raises(UserError, match="'half' has no results: it is interrupted"):
        open_sweep("half")
    with pytest.raises(UserError, match="did you mean 'half'"):
        open_sweep("hal")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "[" * 100_000, '{"rows": []}', '{"winner": 1, "search": 2, "confirm": 3}']
)
def test_damaged_results_are_one_line(text: str) -> None:
    Path("runs/bad").mkdir(parents=True)
    Path("runs/bad/results.json").write_text(text)
    with pytest.raises(UserError, match=r"bad/results\.json: damaged") as error:
        open_sweep("bad")
    assert "\n" not in str(error.value)


def test_the_call_that_continues_names_what_is_not_the_default() -> None:
    settings = SweepSettings(storage="/a/b c", data_dir="/d")
    call = resume_command(FROM_PYTHON, settings, "mine")
    assert call == "sweep(space, resume='mine', data_dir='/d', storage='/a/b c')"
    assert resume_command(FROM_PYTHON, SweepSettings(), "mine", time_limit=240.0).endswith("time_limit=240.0)")


def test_every_public_name_can_be_imported() -> None:
    assert {name: getattr(sweeps, name).__name__ for name in sweeps.__all__} == {name: name for name in sweeps.__all__}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sweeps.nothing  # pyright: ignore[reportAttributeAccessIssue]
