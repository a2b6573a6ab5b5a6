"""Commands of the sweep scripts that are refused: one line on stderr, exit code 2, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.engine.main import main
from sweeps.engine.planning.space import Space
from sweeps.gan_loss_weights import SPACE


def refused(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    left: tuple[str, ...] = ("notes.txt",),
    script: str = "gan_loss_weights",
    space: Space = SPACE,
) -> str:
    """The one line on stderr of a command that ends with 2 and leaves the folder as it was."""
    with pytest.raises(SystemExit) as ended:
        main(script, "help", space, arguments)
    out, error = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert len([line for line in error.split("\n") if line.strip()]) == 1, error
    assert error.startswith("error: ")
    assert sorted(path.name for path in Path().iterdir()) == sorted(left)
    return error
