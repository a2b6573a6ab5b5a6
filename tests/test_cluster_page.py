"""The sweeps that docs/cluster.md and deploy/rayjob.yaml begin: each can be planned as it is written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from sweeps.engine.main import main
from sweeps.gan_loss_weights import SPACE

ROOT = Path(__file__).parents[1]
BEGINNING = re.compile(r"(?:adsweep|sweeps/gan_loss_weights\.py|deploy/slurm\.sh) (--.*)")


def written() -> list[str]:
    """The flags of every sweep in a block of the page, and of the RayJob."""
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"```\n(.*?)```", page, re.DOTALL)).replace("\\\n", " ")
    job = yaml.safe_load((ROOT / "deploy" / "rayjob.yaml").read_text(encoding="utf-8"))["spec"]["entrypoint"]
    found = [match[1].partition("  #")[0] for match in map(BEGINNING.search, [*blocks.splitlines(), job]) if match]
    assert len(found) >= 6, "found no sweeps on the page"
    return [flags for flags in found if " ..." not in flags]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("flags", written())
def test_a_sweep_of_the_page_can_be_planned(flags: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main("gan_loss_weights", "help", SPACE, [*shlex.split(flags), "--plan"])
    out, error = capsys.readouterr()
    assert (ended.value.code or 0, error) == (0, "")
    assert "scale gpu" in out
