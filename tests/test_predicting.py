"""sweeps/predict.py: which models it takes, and that its scores are those of adcore.predict with the same files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from adcore.datasets import ImageDataset
from adcore.predict.__main__ import main as predict_models
from sweeps.engine.predicting import main
from tests.final_parts import tiny_plan, trained_home
from tests.shown_records import begun

pytestmark = pytest.mark.usefixtures("elsewhere")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that ends with 2."""
    with pytest.raises(SystemExit) as ended:
        main("predict", "help", arguments)
    out, error = capsys.readouterr()
    assert (ended.value.code, out, error.count("\n")) == (2, "", 1)
    return error


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "error: expected either --sweep NAME or --model, the files of models\n"),
        (["--sweep", "s", "--model", "run.ckpt"], "error: --sweep s and --model: expected either --sweep NAME or"),
        (
            ["--model", "run.ckpt", "--storage", "runs"],
            "error: --storage 'runs': where sweeps are; use it with --sweep",
        ),
        (["--sweep", "s"], "error: unknown sweep 's'"),
    ],
)
def test_either_a_sweep_or_models_are_named(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, *arguments, "notes.txt").startswith(line)


@pytest.mark.parametrize("results", ["{", "{}", '{"rows": []}'])
def test_a_sweep_without_a_winner_is_refused(results: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("runs", "half").absolute()
    begun(folder, tiny_plan())
    (folder / "results.json").write_text(results)
    line = refused(capsys, "--sweep", "half", "notes.txt")
    assert line.startswith(f"error: --sweep half: expected a search that has ended; {folder / 'results.json'} names no")


def test_a_sweep_that_has_no_winner_yet_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    begun(Path("runs", "half").absolute(), tiny_plan())
    line = refused(capsys, "--sweep", "half", "notes.txt")
    show = f"python -m sweeps.show half --storage {Path('runs').absolute()}"
    assert line == f"error: --sweep half: it has no winner yet; `{show}` tells how far it is\n"


def test_images_are_scored_with_the_winners_models_of_every_fresh_seed(
    digits_train: ImageDataset, digits_test: ImageDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path("elsewhere", "s").absolute()
    begun(folder, tiny_plan())
    home = trained_home(folder, digits_train)
    winner = {"winner": {"configuration": 1}, "seeds": [1, 2], "plan": {"base": {"classes": [0, 3]}}}
    home.results.write_text(json.dumps(winner))
    np.save("images.npy", digits_test.images[:9, 0].numpy())

    def table() -> list[str]:
        return capsys.readouterr().out.splitlines()

    with pytest.raises(SystemExit) as ended:
        main("predict", "help", ["--sweep", "s", "--storage", "elsewhere", "--class", "3", "images.npy"])
    assert ended.value.code == 0
    found = table()
    assert len(found) == 1 + 9
    models = [f"--model={home.checkpoint(1, index, seed)}" for index in (0, 3) for seed in (1, 2)]
    with pytest.raises(SystemExit) as ended:
        predict_models([*models, "--class", "3", "images.npy"])
    assert ended.value.code == 0
    assert table() == found
