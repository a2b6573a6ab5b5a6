"""Flags of the sweep scripts: what is wrong by itself is one line on stderr and exit code 2, before any work."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest

from adcore.options import flag_of
from sweeps.engine.planning.settings import SweepSettings
from sweeps.loss_ablation import SPACE as GRID
from tests.fresh_python import HEAVY, ROOT, fresh_script
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("elsewhere")

#: Wrong by themselves: no file is opened and no connection made. Arguments, and what the line must name.
PURE = {
    "unknown data set": (["--dataset", "fasion-mnist"], ["'fasion-mnist'", "did you mean 'fashion-mnist'"]),
    "unknown scale": (["--scale", "smok"], ["'smok'", "did you mean 'smoke'", "laptop, workstation, gpu, paper"]),
    "unknown flag": (["--epoch", "3"], ["--epoch", "--epochs"]),
    "unknown argument": (["smoke"], ["smoke"]),
    "class out of range": (["--normal-class", "10"], ["--normal-class '10'", "9 (Ankle boot)"]),
    "class below range": (["--normal-class", "-1"], ["--normal-class '-1'", "6 (Shirt)"]),
    "class repeated": (["--normal-class", "1,2,1"], ["--normal-class", "class 1 is given twice"]),
    "class unknown": (["--normal-class", "shirt"], ["--normal-class 'shirt'", "6 (Shirt)", "did you mean Shirt?"]),
    "class list with a hole": (["--normal-class", "0,,3"], ["--normal-class", "'0,,3'"]),
    "class empty": (["--normal-class", ""], ["--normal-class"]),
    "configs 0": (["--configs", "0"], ["--configs 0", "whole number >= 1"]),
    "configs negative": (["--configs", "-3"], ["--configs -3", ">= 1"]),
    "configs no number": (["--configs", "many"], ["--configs", "'many'"]),
    "configs not whole": (["--configs", "2.5"], ["--configs", "'2.5'"]),
    "epochs 0": (["--epochs", "0"], ["--epochs 0", ">= 1"]),
    "concurrency 0": (["--max-concurrent", "0"], ["--max-concurrent 0", ">= 1"]),
    "cpus 0": (["--cpus-per-trial", "0"], ["--cpus-per-trial 0", ">= 1"]),
    "gpus negative": (["--gpus-per-trial", "-0.5"], ["--gpus-per-trial -0.5", ">= 0"]),
    "gpus nan": (["--gpus-per-trial", "nan"], ["--gpus-per-trial nan", "finite"]),
    "seed negative": (["--seed", "-1"], ["--seed -1", ">= 0"]),
    "seed without room for fresh ones": (["--seed", str(2**53)], [f"--seed {2**53}", "<="]),
    "unknown sampler": (["--sampler", "tep"], ["--sampler 'tep'", "did you mean 'tpe'"]),
    "sampler without its package": (["--sampler", "cmaes"], ["--sampler cmaes", "pip install cmaes"]),
    "sampler of a hub that is not installed": (["--sampler", "hub:x"], ["--sampler hub:x", "pip install optunahub"]),
    "members per trial 0": (["--members-per-trial", "0"], ["--members-per-trial '0'"]),
    "members per trial no number": (["--members-per-trial", "most"], ["--members-per-trial 'most'", "auto"]),
    "name is a path": (["--name", "a/b"], ["'a/b'", "not a path"]),
    "name is like a flag": (["--name", "-x"], ["'-x'", "expected a letter or digit"]),
    "name leads out": (["--name", ".."], ["'..'", "not a path"]),
    "name empty": (["--name", ""], ["--name ''", "expected a value"]),
    "data folder empty": (["--data-dir", ""], ["--data-dir ''", "expected a value"]),
    "storage of bytes that are no text": (["--storage", "a\udcff"], ["--storage 'a\\udcff'", "text in UTF-8"]),
    "resume is a path": (["--resume", "/etc/passwd"], ["'/etc/passwd'", "not a path"]),
    "name and resume": (["--name", "a", "--resume", "b"], ["--name", "--resume"]),
    "unknown name to resume, none there": (["--resume", "nothing"], ["unknown sweep 'nothing'", "has no sweep"]),
    "database is a folder": (["--tracking-uri", "sqlite:///."], ["--tracking-uri", "a file"]),
    "database in no folder": (["--tracking-uri", "sqlite:///no/such/mlflow.db"], ["--tracking-uri", "no/such"]),
    "database is another file": (["--tracking-uri", "sqlite:///notes.txt"], ["notes.txt", "not a SQLite database"]),
    "database address misspelt": (["--tracking-uri", "sqlite:mlflow.db"], ["--tracking-uri", "sqlite:///FILE"]),
    "tracking scheme": (["--tracking-uri", "ftp://x"], ["--tracking-uri", "sqlite:///FILE or http"]),
    "tracking a bare path": (["--tracking-uri", "mlruns"], ["--tracking-uri", "'mlruns'"]),
    "tracking port": (["--tracking-uri", "http://127.0.0.1:99999"], ["--tracking-uri", "99999"]),
    "tracking port no number": (["--tracking-uri", "http://127.0.0.1:port"], ["--tracking-uri", "port"]),
    "address": (["--address", "here"], ["--address 'here'", "HOST:PORT"]),
    "address without a port": (["--address", "127.0.0.1:"], ["--address '127.0.0.1:'", "HOST:PORT"]),
    "more CPUs than there are": (["--cpus-per-trial", "4096"], ["--cpus-per-trial 4096", f"has {os.cpu_count()} CPUs"]),
    "more waited for than a machine can have": (["--wait-for", "2gpus"], ["--wait-for 2gpus", "does not grow"]),
    "waited for in no unit": (["--wait-for", "16"], ["--wait-for '16'", "such as 16gpus, 8cpus or 3nodes"]),
    "more GPUs than there are": (["--gpus-per-trial", "0.5"], ["--gpus-per-trial 0.5", "0 GPUs"]),
    "configs beyond counting": (["--configs", "9" * 400], ["--configs 9", "expected a whole number"]),
    "members per trial beyond counting": (["--members-per-trial", "9" * 5000], ["--members-per-trial '9"]),
    "tracking with a password": (["--tracking-uri", "http://me:pw@127.0.0.1:9"], ["MLFLOW_TRACKING_PASSWORD"]),
    "database in memory": (["--tracking-uri", "sqlite:///:memory:"], ["sqlite:///FILE"]),
    "host that cannot be": (["--address", "a..b:1"], ["--address a..b:1", "nothing answers"]),
    "storage in two lines": (["--storage", "a\nb"], ["--storage 'a\\nb'", "line breaks"]),
    "database with options": (["--tracking-uri", "sqlite:///m.db?mode=ro"], ["--tracking-uri", "without options"]),
    "storage in the cloud": (["--storage", "s3://bucket/x"], ["--storage 's3://bucket/x'", "address to --checkpoints"]),
    "checkpoints nowhere": (["--checkpoints", "nope://bucket"], ["--checkpoints nope://bucket", "unknown scheme"]),
    "a resume from nowhere": (["--resume", "s3://n"], ["--resume s3://n", "expected the sweep's name at the end"]),
    "storage empty": (["--storage", ""], ["--storage ''", "expected a value"]),
    "storage with too long a name": (["--storage", "a" * 300], ["--storage 'aaa"]),
    "storage of nobody": (["--storage", "~nosuchuser/x"], ["--storage '~nosuchuser/x'"]),
    "storage is a file": (["--storage", "notes.txt"], ["--storage", "notes.txt"]),
    "unknown protocol": (["--protocol", "seen"], ["'seen'", "paper, seen-unseen, one-class"]),
    "known classes without a protocol that has them": (["--known-classes", "2"], ["--known-classes", "seen-unseen"]),
    "nothing left unseen": (["--protocol", "seen-unseen", "--known-classes", "9"], ["--known-classes 9", "at most 8"]),
    "several classes under a counted protocol": (["--protocol", "rare-504"], ["--normal-class 0,1", "give one"]),
    "labels without anomalies": (["--protocol", "one-class", "--labelled-share", "0.1"], ["--labelled-share"]),
    "share of labels 0": (["--labelled-share", "0"], ["--labelled-share 0", "> 0"]),
    "more than half polluted": (["--pollution", "0.6"], ["--pollution 0.6", "<= 0.5"]),
    "test opened again by a new sweep": (["--open-test-again"], ["--open-test-again", "--resume NAME"]),
    "starts from a sweep that is not there": (["--start-from", "none"], ["--start-from none", "no results"]),
    "starts from a path": (["--start-from", "../x"], ["'../x'", "not a path"]),
    "silent for no time": (["--report-timeout", "0"], ["--report-timeout 0", "> 0"]),
    "waits for no time": (["--wait-minutes", "0"], ["--wait-minutes 0", "> 0"]),
    "images too small": (["--image-size", "16"], ["--image-size 16", ">= 32"]),
    "unknown objective": (["--objective", "means"], ["'means'", "did you mean 'mean'", "per-class"]),
    "no number of images": (["--set", "images_per_class=lots"], ["'lots': expected a whole number, or all"]),
    "no range": (["--range", "abc=1-5"], ["--range abc=1-5", "expected LOW:HIGH, LOW:HIGH:log"]),
    "unknown metric": (["--metric", "f1"], ["'f1'", "auroc, ap, fpr95"]),
    "unknown precision": (["--precision", "bf16"], ["'bf16'", "32-true, bf16-mixed, 64-true"]),
    "unknown level": (["--mlflow-level", "clas"], ["'clas'", "did you mean 'class'", "sweep, config"]),
    "a limit of no time": (["--time-limit", "soon"], ["--time-limit", "soon"]),
    "a limit of no hours": (["--gpu-hours", "0"], ["--gpu-hours 0", "> 0"]),
    "an extension without a number": (["--extend", "none"], ["--extend none", "expected --configs"]),
    "name beyond ASCII": (["--name", "a" + "\N{MATHEMATICAL DOUBLE-STRUCK CAPITAL A}" * 99], ["a-z", "not a path"]),
    "storage below a file": (["--storage", "notes.txt/deep/er"], ["--storage", "notes.txt/deep/er"]),
}  # fmt: skip


@pytest.mark.parametrize("name", PURE)
def test_bad_input_is_one_line_and_leaves_nothing_behind(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, parts = PURE[name]
    line = refused(arguments, capsys)
    for part in parts:
        assert part in line, line


def test_every_flag_that_takes_a_value_is_given_a_bad_one() -> None:
    given = {argument for arguments, _ in PURE.values() for argument in arguments}
    given |= {"--set", "--range", "--point"}  # in test_overrides.py
    flags = [flag_of(field.name) for field in dataclasses.fields(SweepSettings) if field.type != "bool"]
    assert [flag for flag in flags if flag not in given] == []


def test_an_unknown_flag_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    nearest = {"--config": "--configs", "--normal-clas": "--normal-class", "--track": "--tracking-uri"}
    for wrong, right in nearest.items():
        assert right in refused([wrong, "1"], capsys)


def test_pollution_that_leaves_no_anomaly_to_be_labelled_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dataset", "digits", "--scale", "smoke", "--protocol", "leave-one-out", "--pollution", "0.3"]
    line = refused(arguments, capsys)
    assert re.search(r"--pollution: \d+ of \d+ images", line)
    assert "take a smaller share" in line


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--plan"], ["--plan", "--scale", "gpu"], *[PURE[name][0] for name in (
        "unknown data set", "unknown scale", "unknown flag", "class out of range", "configs 0",
        "unknown sampler", "name is a path", "unknown name to resume, none there",
        "tracking scheme", "address", "more CPUs than there are", "storage is a file",
    )]],
    ids=" ".join,
)  # fmt: skip
def test_what_needs_no_file_is_answered_with_nothing_heavy_imported(arguments: list[str]) -> None:
    ended = fresh_script(ROOT / "sweeps" / "gan_loss_weights.py", *arguments, folder=Path())
    assert HEAVY & ended.modules == set()
    if arguments[0] in ("--help", "--plan"):
        assert (ended.code, ended.err) == (0, "")
        assert ended.out
    else:
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert "Traceback" not in ended.err
    assert sorted(path.name for path in Path().iterdir()) == ["notes.txt"]


def test_a_grid_is_not_asked_for_a_number_of_configurations(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(["--configs", "5", "--plan"], capsys, script="loss_ablation", space=GRID)
    assert "--configs 5" in line
    assert "trains each of its 12" in line
