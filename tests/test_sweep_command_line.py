"""Flags of the sweep scripts: bad input is one line on stderr and exit code 2, before any work."""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adcore.datasets import ImageDataset, load
from sweeps.engine.main import main
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.gan_loss_weights import SPACE
from sweeps.loss_ablation import SPACE as GRID
from tests.http_server import HttpServer
from tests.refusals import refused
from tests.small_idx import idx_images, idx_labels, write_train

pytestmark = pytest.mark.usefixtures("elsewhere")

ROOT = Path(__file__).parents[1]
NO_SWEEPS = ("__init__.py", "console.py", "show.py", "ui.py")
SCRIPTS = sorted(path for path in (ROOT / "sweeps").glob("*.py") if path.name not in NO_SWEEPS)
#: Not needed to answer a mistake on the command line, and slow to import.
HEAVY = ("torch", "ray", "mlflow", "optuna", "pytorch_lightning", "sklearn", "matplotlib", "torchvision")

#: Wrong by themselves: no file is opened and no connection made. Arguments, and what the line must name.
PURE = {
    "unknown data set": (["--dataset", "fasion-mnist"], ["'fasion-mnist'", "did you mean 'fashion-mnist'"]),
    "unknown scale": (["--scale", "smok"], ["'smok'", "did you mean 'smoke'", "laptop, workstation, gpu, paper"]),
    "unknown flag": (["--epoch", "3"], ["--epoch", "--epochs"]),
    "unknown argument": (["smoke"], ["smoke"]),
    "class out of range": (["--normal-class", "10"], ["--normal-class 10", "0 to 9"]),
    "class below range": (["--normal-class", "-1"], ["--normal-class -1", "0 to 9"]),
    "class repeated": (["--normal-class", "1,2,1"], ["--normal-class", "class 1 is given twice"]),
    "class no number": (["--normal-class", "shirt"], ["--normal-class", "'shirt'"]),
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
    "name leads out": (["--name", ".."], ["'..'", "not a path"]),
    "name empty": (["--name", ""], ["--name ''", "expected a value"]),
    "data folder empty": (["--data-dir", ""], ["--data-dir ''", "expected a value"]),
    "storage of bytes that are no text": (["--storage", "a\udcff"], ["--storage 'a\\udcff'", "text in UTF-8"]),
    "resume is a path": (["--resume", "/etc/passwd"], ["'/etc/passwd'", "not a path"]),
    "name and resume": (["--name", "a", "--resume", "b"], ["--name", "--resume"]),
    "unknown name to resume, none there": (["--resume", "nothing"], ["unknown sweep 'nothing'", "none in"]),
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
    "name beyond ASCII": (["--name", "a" + "\N{MATHEMATICAL DOUBLE-STRUCK CAPITAL A}" * 99], ["a-z", "not a path"]),
    "storage below a file": (["--storage", "notes.txt/deep/er"], ["--storage", "notes.txt/deep/er"]),
}  # fmt: skip


@pytest.mark.parametrize("name", PURE)
def test_bad_input_is_one_line_and_leaves_nothing_behind(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, parts = PURE[name]
    line = refused(arguments, capsys)
    for part in parts:
        assert part in line, line


def test_all_bad_input_of_the_command_line_is_here() -> None:
    assert len(PURE) == 75
    kinds = ("data set", "scale", "flag", "class out", "class repeated", "class no number", "configs 0", "epochs 0",
             "concurrency", "sampler", "CPUs", "GPUs", "storage", "database", "name is a path", "to resume",
             "protocol", "polluted", "opened again")  # fmt: skip
    for kind in kinds:
        assert any(kind in name for name in PURE), kind


def test_a_pipe_is_no_database(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    line = refused(["--tracking-uri", "sqlite:///pipe"], capsys, left=("notes.txt", "pipe"))
    assert "ordinary file" in line
    assert Path("pipe").is_fifo()


def test_a_file_in_the_place_of_mlflows_files_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mlartifacts").touch()
    line = refused(["--scale", "smoke"], capsys, left=("notes.txt", "mlartifacts"))
    assert "mlartifacts/gan_loss_weights: cannot be written (Not a directory)" in line


def test_a_folder_of_something_else_is_no_place_for_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs", "mine").mkdir(parents=True)
    Path("runs", "mine", "results.json").write_text("{}")
    line = refused(["--name", "mine"], capsys, left=("notes.txt", "runs"))
    assert "--name mine" in line
    assert "other files (results.json" in line


def test_an_unknown_flag_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    nearest = {"--config": "--configs", "--normal-clas": "--normal-class", "--track": "--tracking-uri"}
    for wrong, right in nearest.items():
        assert right in refused([wrong, "1"], capsys)


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that is taken, so that nobody else gets it, and that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("flag", ["--tracking-uri", "--address"])
def test_a_dead_address_is_answered_within_seconds(
    flag: str, dead_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"127.0.0.1:{dead_port}"
    started = time.monotonic()
    line = refused([flag, f"http://{address}" if flag == "--tracking-uri" else address], capsys)
    assert time.monotonic() - started < 8
    assert flag in line
    assert f"nothing answers at {address}" in line


def test_a_cluster_that_the_environment_names_is_probed(
    dead_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{dead_port}")
    assert f"nothing answers at 127.0.0.1:{dead_port}" in refused(["--address", "auto"], capsys)


def test_an_address_in_the_environment_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "here")
    assert "RAY_ADDRESS here" in refused(["--address", "auto"], capsys)


@pytest.mark.parametrize("kind", ["truncated", "foreign", "not gzip", "missing", "no folder", "nobody's"])
def test_a_data_file_that_cannot_be_used_is_named(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("data/fashion-mnist")
    images = write_train(folder, idx_images(), idx_labels())
    part = str(images)
    if kind == "truncated":
        images.write_bytes(gzip.compress(os.urandom(5000))[:-1000])
    elif kind == "not gzip":
        images.write_bytes(b"<html>Not found</html>")
    elif kind == "missing":
        images.unlink()
        part = images.stem
    elif kind == "no folder":
        part = "elsewhere"
    elif kind == "nobody's":
        part = "~nosuchuser"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    place = {"no folder": "elsewhere", "nobody's": "~nosuchuser"}.get(kind, "data")
    arguments = ["--data-dir", place, "--dataset", "fashion-mnist"]
    line = refused(arguments, capsys, left=("notes.txt", "data"))
    assert part in line
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_pollution_that_leaves_no_anomaly_to_be_labelled_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dataset", "digits", "--scale", "smoke", "--protocol", "leave-one-out", "--pollution", "0.3"]
    line = refused(arguments, capsys)
    assert re.search(r"--pollution: \d+ of \d+ images", line)
    assert "take a smaller share" in line


#: What MLflow answers to the calls of the check.
MLFLOW = b'{"experiment": {"name": "gan_loss_weights"}, "experiments": []}'


def test_a_server_that_answers_passes_and_the_next_check_is_made(
    dead_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    server, address = HttpServer(200, MLFLOW), f"127.0.0.1:{dead_port}"
    assert "--address" in refused(["--tracking-uri", f"http://{server.address}", "--address", address], capsys)
    server.end()


def _in_a_process(*arguments: str) -> tuple[int, str, str, list[str]]:
    """Exit code, stdout, stderr and the heavy modules that the script had imported when it ended."""
    result = Path("../result.json").resolve()
    code = f"""
import json, pathlib, runpy, sys
sys.argv = {[str(ROOT / "sweeps" / "gan_loss_weights.py"), *arguments]!r}
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    imported = sorted(set({HEAVY!r}) & set(sys.modules))
    pathlib.Path({str(result)!r}).write_text(json.dumps([end.code, imported]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    exit_code, modules = json.loads(result.read_text())
    return exit_code, done.stdout, done.stderr, modules


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
    code, out, error, modules = _in_a_process(*arguments)
    assert modules == []
    if arguments[0] in ("--help", "--plan"):
        assert (code, error) == (0, "")
        assert out
    else:
        assert (code, out, error.count("\n")) == (2, "", 1)
        assert "Traceback" not in error
    assert sorted(path.name for path in Path().iterdir()) == ["notes.txt"]


def test_help_names_every_flag() -> None:
    _, out, _, _ = _in_a_process("--help")
    words = """dataset data-dir allow-unverified-data normal-class configs epochs scale seed name storage resume
        tracking-uri address gpus-per-trial cpus-per-trial max-concurrent members-per-trial sampler plan probe
        protocol known-classes labelled-share pollution open-test-again"""
    flags = [f"--{word}" for word in words.split()]
    assert len(flags) == 25
    assert [flag for flag in flags if flag not in out.split()] == []


def test_plan_tells_the_cost_and_runs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # nothing was measured
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    code, out, _, _ = _in_a_process(
        "--plan", "--scale", "smoke", "--normal-class", "6", "--tracking-uri", "sqlite:///x.db"
    )
    assert code == 0
    assert "4 configurations, each until stopped, at most 1 class x 2 epochs" in out
    assert "if a core trains 1300 images/s at width 8; --plan --probe measures it" in out
    assert "sqlite:///x.db" in out


def test_the_plan_of_a_protocol_tells_which(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--protocol", "seen-unseen", "--known-classes", "3", "--pollution", "0.1", "--scale", "smoke"]
    with pytest.raises(SystemExit) as ended:
        main("gan_loss_weights", "help", SPACE, [*flags, "--plan"])
    out, error = capsys.readouterr()
    assert (ended.value.code, error) == (0, "")
    assert "protocol seen-unseen" in out
    base = make_plan("gan_loss_weights", _settings_of(flags), SPACE).base
    assert (base.protocol, base.known_classes, base.pollution) == ("seen-unseen", 3, 0.1)


def _settings_of(flags: list[str]) -> SweepSettings:
    names = [flag.removeprefix("--").replace("-", "_") for flag in flags[::2]]
    kinds = {"known_classes": int, "pollution": float}
    return SweepSettings(**{name: kinds.get(name, str)(v) for name, v in zip(names, flags[1::2], strict=True)})


def test_a_grid_is_not_asked_for_a_number_of_configurations(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(["--configs", "5", "--plan"], capsys, script="loss_ablation", space=GRID)
    assert "--configs 5" in line
    assert "trains each of its 12" in line


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


@pytest.mark.parametrize("target", ["gone", "mine"])  # the latter is a circle
def test_a_link_to_nothing_in_a_records_place_is_named_with_its_target(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    link = Path("runs", "mine").absolute()
    link.parent.mkdir()
    link.symlink_to(target)
    line = refused(["--name", "mine"], capsys, left=("notes.txt", "runs"))
    assert f"{link} links to {target}, which does not exist" in line
    assert link.is_symlink()


def test_links_that_lead_in_a_circle_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("loop").symlink_to("loop")
    for name in ("loop", "loop/x"):
        line = refused(["--tracking-uri", f"sqlite:///{name}"], capsys, left=("loop", "notes.txt"))
        assert f"--tracking-uri {name}" in line
