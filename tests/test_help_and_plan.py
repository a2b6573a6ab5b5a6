"""The sweep scripts: --help and --plan, what a script consists of, and what a sweep is given."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from adcore.datasets import ImageDataset, load
from adcore.options import flag_of
from sweeps.engine.main import main
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.gan_loss_weights import SPACE
from tests.fresh_python import ROOT

pytestmark = pytest.mark.usefixtures("elsewhere")

NO_SWEEPS = ("__init__.py", "console.py", "show.py", "ui.py")
SCRIPTS = sorted(path for path in (ROOT / "sweeps").glob("*.py") if path.name not in NO_SWEEPS)


def _printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the script prints, and nothing to stderr; it ends with 0."""
    with pytest.raises(SystemExit) as ended:
        main("gan_loss_weights", "help", SPACE, list(arguments))
    out, error = capsys.readouterr()
    assert (ended.value.code, error) == (0, "")
    return out


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    words = _printed(capsys, "--help").split()
    flags = [flag_of(field.name) for field in dataclasses.fields(SweepSettings)]
    assert [flag for flag in flags if flag not in words] == []


def test_plan_tells_the_cost_and_runs_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # nothing was measured
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    out = _printed(capsys, "--plan", "--scale", "smoke", "--normal-class", "6", "--tracking-uri", "sqlite:///x.db")
    assert "4 configurations, each until stopped, at most 1 class x 2 epochs" in out
    assert "if an idle core trains 1300 images/s at width 8; --plan --probe measures it" in out
    assert "sqlite:///x.db" in out
    assert [path.name for path in Path().iterdir()] == ["notes.txt"]


def test_the_plan_of_a_protocol_tells_which(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--protocol", "seen-unseen", "--known-classes", "3", "--pollution", "0.1", "--scale", "smoke"]
    assert "protocol seen-unseen" in _printed(capsys, *flags, "--plan")
    base = make_plan("gan_loss_weights", _settings_of(flags), SPACE).base
    assert (base.protocol, base.known_classes, base.pollution) == ("seen-unseen", 3, 0.1)


def _settings_of(flags: list[str]) -> SweepSettings:
    names = [flag.removeprefix("--").replace("-", "_") for flag in flags[::2]]
    kinds = {"known_classes": int, "pollution": float}
    return SweepSettings(**{name: kinds.get(name, str)(v) for name, v in zip(names, flags[1::2], strict=True)})


def test_a_sweep_is_given_the_train_part_alone_and_the_hashes_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[ImageDataset] = []

    def drive(  # as the driver's
        _plan: object, _settings: object, _home: object, attributes: Any, _interrupt: object, make: Any, **_more: Any
    ) -> int:
        make(None)
        assert attributes["data"] == {"digits": {part: load("digits", part).content_hash for part in ("train", "test")}}
        return 0

    def make_stages(_plan: object, _settings: object, _session: object, data: Any) -> None:
        swept.extend(data.values())

    monkeypatch.setattr("sweeps.engine.driver.drive", drive)
    monkeypatch.setattr("sweeps.engine.main._make_stages", make_stages)
    monkeypatch.setattr("sweeps.engine.sweep.prepare_environment", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        main("gan_loss_weights", "help", SPACE, ["--scale", "smoke", "--name", "mine"])
    assert ended.value.code == 0
    assert [data.part for data in swept] == ["train"]


def test_every_sweep_script_is_a_docstring_what_it_trains_and_one_call() -> None:
    assert len(SCRIPTS) >= 4, "found no sweeps to check"
    for path in SCRIPTS:
        text = path.read_text()
        tree = ast.parse(text)
        assert f"python sweeps/{path.name}" in (ast.get_docstring(tree) or ""), path
        [last] = [node for node in tree.body if isinstance(node, ast.If)]
        assert ast.unparse(last.body[0]).startswith(f"main({path.stem!r}, __doc__"), path
        assert len(text.splitlines()) < 130, path
