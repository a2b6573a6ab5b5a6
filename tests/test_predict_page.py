"""docs/predict.md: its first commands work as printed and give what is printed."""

from __future__ import annotations

import csv
import re
import runpy
import shlex
from pathlib import Path

import pytest

from adcore.predict.__main__ import main as predict
from adcore.train.__main__ import main as train

PAGE = (Path(__file__).parents[1] / "docs" / "predict.md").read_text(encoding="utf-8")
MAINS = {"adcore.train": train, "adcore.predict": predict}


def blocks(language: str) -> list[str]:
    """What the page shows in this language; "" for what is typed and printed."""
    return [text for found, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
            if found == language]  # fmt: skip


def test_the_first_commands_score_the_images_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    typed, said, table, *_ = blocks("")
    script, *commands = [line.removeprefix("python ") for line in typed.splitlines()]
    Path(script).write_text(blocks("python")[0])
    runpy.run_path(script)
    assert len(commands) == 2
    for command in commands:
        module, *argv = shlex.split(command.removeprefix("-m "))
        with pytest.raises(SystemExit) as ended:
            MAINS[module](argv)
        assert ended.value.code == 0
    assert words(capsys.readouterr().err) == words(said)
    found, expected = (list(csv.DictReader(text.splitlines())) for text in (Path("scores.csv").read_text(), table))
    assert [row.keys() for row in found] == [row.keys() for row in expected]
    for ours, printed in zip(found, expected, strict=True):
        assert float(ours.pop("score")) == pytest.approx(float(printed.pop("score")), rel=1e-2)
        assert ours == printed
        assert Path(ours["heatmap"]).exists()


def test_the_example_for_onnxruntime_decides_on_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = "--dataset digits --classes 0 --width 2 --epochs 1 --sampling random --checkpoint run.ckpt"
    for main, typed in ((train, trained), (predict, "--model run.ckpt --class 0 --onnx scorer.onnx")):
        with pytest.raises(SystemExit) as ended:
            main(typed.split())
        assert ended.value.code == 0
    capsys.readouterr()
    [script] = [block for block in blocks("python") if block.startswith("# ask_onnx.py")]
    Path("ask_onnx.py").write_text(script)
    runpy.run_path("ask_onnx.py")
    assert re.fullmatch(r"\[( *(True|False)){4}\]\n", capsys.readouterr().out)


def words(text: str) -> list[str]:
    """Without numbers that rounding may change from one machine to the next."""
    return re.sub(r"0\.\d+", "0.x", text).split()
