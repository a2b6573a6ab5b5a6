"""`python -m adcore.train` as a user meets it: help, flags, one clear line for bad input, and a real run."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from adcore.command_line import dataclass_flags
from adcore.config import TrainConfig
from adcore.datasets.__main__ import main as datasets_main
from adcore.options import option
from adcore.train.__main__ import main
from tests.fresh_python import HEAVY, fresh_module
from tests.small_idx import idx_images, idx_labels, write_train

FIELDS = dataclasses.fields(TrainConfig)
QUICK = ["--dataset", "digits", "--classes", "0", "--epochs", "1", "--width", "2", "--sampling", "random"]

#: Arguments, and what the one line must name.
BAD = {
    "unknown flag": (["--wieght-abc", "1"], "--wieght-abc"),
    "flag without value": (["--epochs"], "--epochs"),
    "stray argument": (["digits"], "digits"),
    "not a number": (["--batch-size", "many"], "many"),
    "not whole": (["--width", "2.5"], "2.5"),
    "negative weight": (["--weight-abc", "-1"], "--weight-abc -1"),
    "nan weight": (["--weight-patch", "nan"], "--weight-patch nan"),
    "all weights zero": (
        [part for name in dataclasses.asdict(TrainConfig()) if name.startswith("weight_")
         for part in (f"--{name.replace('_', '-')}", "0")],
        "all loss weights in use are 0",
    ),
    "rate of zero": (["--learning-rate", "0"], "--learning-rate 0"),
    "infinite rate": (["--learning-rate", "inf"], "--learning-rate inf"),
    "no width": (["--width", "0"], "--width 0"),
    "odd batch": (["--batch-size", "7"], "--batch-size 7"),
    "class out of range": (["--classes", "10"], "--classes '10'"),
    "class twice": (["--classes", "3,3"], "class 3"),
    "classes no list": (["--classes", "0;1"], "0;1"),
    "classes empty": (["--classes", ""], "--classes"),
    "unknown data set": (["--dataset", "fashion-mnits"], "did you mean 'fashion-mnist'"),
    "unknown norm": (["--norm", "layer"], "batch, group, instance"),
    "unknown detector": (["--detector", "gam"], "did you mean 'gan'"),
    "supervised without labels": (["--detector", "cnn", "--protocol", "one-class"], "--detector cnn"),
    "negative seed": (["--train-seed", "-1"], "--train-seed -1"),
    "unknown protocol": (["--protocol", "seen"], "paper, seen-unseen, one-class, held-out, leave-one-out"),
    "known classes without a protocol that has them": (["--known-classes", "2"], "--known-classes"),
    "nothing left unseen": (["--protocol", "seen-unseen", "--known-classes", "9"], "--known-classes 9"),
    "several classes under a counted protocol": (["--protocol", "rare-504", "--classes", "0,3"], "--classes 0,3"),
    "a fold beyond the last": (["--fold", "5"], "--fold 5"),
    "labels without anomalies": (["--protocol", "one-class", "--labelled-share", "0.1"], "--labelled-share"),
    "more than half polluted": (["--pollution", "0.6"], "--pollution 0.6"),
    "no data folder": (["--dataset", "mnist", "--data-dir", "/no/such/folder"], "/no/such/folder"),
    "too few validation images": ([*QUICK, "--validation-images", "3"], "--validation-images 3"),
    "checkpoint is a folder": ([*QUICK, "--checkpoint", "/usr"], "/usr"),
    "figures without the test part": ([*QUICK, "--figures", "plots"], "--test"),
    "figures in a file": ([*QUICK, "--test", "--figures", "/dev/null"], "--figures '/dev/null'"),
    "figures cannot be written": ([*QUICK, "--test", "--figures", "/dev/null/plots"], "/dev/null/plots"),
    "checkpoint with too long a name": ([*QUICK, "--checkpoint", "a" * 300], "too long"),
    "checkpoint empty": ([*QUICK, "--checkpoint", ""], "--checkpoint ''"),
    "figures empty": ([*QUICK, "--test", "--figures", ""], "--figures ''"),
    "data folder empty": ([*QUICK, "--data-dir", ""], "--data-dir ''"),
    "data folder of bytes that are no text": (["--dataset", "mnist", "--data-dir", "a\udcff"], "text in UTF-8"),
    "checkpoint cannot be written": ([*QUICK, "--checkpoint", "/dev/null/run.ckpt"], "/dev/null/run.ckpt"),
}  # fmt: skip


def exit_code_of(argv: list[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_that_names_it_and_exit_code_2(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv, named = BAD[case]
    code = exit_code_of(argv)
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.strip()]
    assert code == 2
    assert line.startswith("error: ")
    assert named in line
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_bad_input_ends_the_process_with_one_line_and_code_2() -> None:
    ran = python("-m", "adcore.train", "--batch-size", "7")
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["show", "folder:\udcff"], "NAME"),
        (["show", ""], "NAME"),
        (["fetch", "mnist", "--mirror", "a\udcff"], "--mirror"),
    ],
)
def test_texts_for_the_data_sets_are_checked_as_those_of_a_training_are(
    argv: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        datasets_main(argv)
    error = capsys.readouterr().err
    assert (caught.value.code, len(error.splitlines())) == (2, 1)
    assert error.startswith(f"error: {named} ")


def test_a_current_folder_that_was_removed_is_one_line_and_code_2(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    for program in (
        "-m adcore.train --dataset digits",
        "-m adcore.datasets list",
        f"{Path(__file__).parents[1]}/sweeps/gan_loss_weights.py --storage / --plan",
    ):
        command = f"cd {tmp_path}/gone && rmdir {tmp_path}/gone && exec {sys.executable} {program}"
        ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=240, check=False)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr == "error: the current folder was removed; change to an existing one\n"
        (tmp_path / "gone").mkdir()


def test_test_images_that_are_missing_are_told_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_train(tmp_path / "small", idx_images(), idx_labels())
    argv = ["--dataset", "fashion-mnist", "--classes", "0", "--data-dir", str(tmp_path / "small"), "--test"]
    assert exit_code_of([*argv, "--allow-unverified-data"]) == 2
    captured = capsys.readouterr()
    assert "t10k" in captured.err
    assert "epoch" not in captured.out


def test_a_cut_checkpoint_is_one_line_that_names_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.ckpt"
    path.write_bytes(b"PK\x03\x04 half a file")
    assert exit_code_of([*QUICK, "--checkpoint", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path}: ")


def test_a_checkpoint_of_another_network_is_one_line_that_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.ckpt"
    assert exit_code_of([*QUICK, "--checkpoint", str(path)]) == 0
    stored = torch.load(path, weights_only=True)
    [member] = stored["adcore"]["members"]
    member["networks"] = {f"{name}.old": value for name, value in member["networks"].items()}
    torch.save(stored, path)
    capsys.readouterr()
    assert exit_code_of([*QUICK, "--checkpoint", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path}: weights of another network")


def test_a_refused_run_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--checkpoint", str(tmp_path / "deep" / "er" / "run.ckpt"), "--test", "--figures", str(tmp_path / "plots")]
    assert exit_code_of(["--dataset", "mnist", "--data-dir", str(tmp_path / "none"), *argv]) == 2
    assert "none" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_help_is_there_without_torch_or_another_large_library() -> None:
    ended = fresh_module("adcore.train", "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Usage: python -m adcore.train")
    assert {"adcore.config", "click"} <= ended.modules
    assert HEAVY & ended.modules == set()


def test_every_setting_has_a_flag_of_its_name_and_stands_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    flags = {parameter.name: parameter.opts[0] for parameter in dataclass_flags(TrainConfig)}
    assert flags == {field.name: f"--{field.name.replace('_', '-')}" for field in FIELDS}
    assert exit_code_of(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in FIELDS:
        assert re.search(rf"{flags[field.name]}\b", text), field.name
        assert field.metadata["help"] in text, field.name


def settings_of(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """The configuration that a command line makes; nothing is trained."""
    made: list[TrainConfig] = []

    def keep(config: TrainConfig, *_: object, **__: object) -> None:
        made.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("adcore.train.train", keep)
    assert exit_code_of(["--dataset", "digits", *argv]) == 130
    return made[0]


def test_no_flags_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of([], monkeypatch) == TrainConfig(dataset="digits")


def test_every_flag_sets_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = {"labelled_share": 0.25, "pollution": 0.125, "dropout": 0.75, "average_weights": 0.5, "pseudo_share": 0.75}
    numbers = {field.name: field.default + 2 for field in FIELDS if type(field.default) in (int, float)} | shares
    numbers |= {"known_classes": 3, "patience": 2, "fold": 4, "image_size": 64, "patch_size": 8}
    switches = {field.name: not field.default for field in FIELDS if type(field.default) is bool}
    names = {"sampling": "random", "norm": "group", "schedule": "constant", "precision": "64-true"}
    names |= {"protocol": "seen-unseen", "reconstruction": "bce", "vae_score": "elbo"}
    expected = TrainConfig(dataset="digits", detector="gan", classes=(6, 0, 3), **numbers, **switches, **names)
    apart = {"dataset", "classes", "detector", "draws", "pseudo_anomalies"}  # not with seen-unseen, and with --crop
    assert {*numbers, *switches, *names, *apart} == {field.name for field in FIELDS}
    argv = ["--classes", "6,0,3", "--detector", "gan"]
    for name, value in (numbers | names).items():
        argv += [f"--{name.replace('_', '-')}", str(value)]
    for name, on in switches.items():
        argv.append(f"--{'' if on else 'no-'}{name.replace('_', '-')}")
    assert settings_of(argv, monkeypatch) == expected


def test_all_stands_for_no_cap_and_for_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ["--images-per-class", "all", "--validation-images", "all", "--classes", "all"]
    config = settings_of(argv, monkeypatch)
    assert (config.images_per_class, config.validation_images) == (None, None)
    assert config.classes == tuple(range(10))


def test_a_field_of_a_type_without_a_flag_is_a_mistake_of_the_programs_that_shows() -> None:
    settings = dataclasses.make_dataclass("Settings", [("where", "bytes", option(b"", "a place"))])
    with pytest.raises((KeyError, TypeError)):
        dataclass_flags(settings)


def test_a_real_run_prints_a_line_per_epoch_and_the_test_score_when_asked(capfd: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(["--dataset", "digits", "--classes", "0,4", "--epochs", "2", "--width", "4", "--test"]) == 0
    captured = capfd.readouterr()
    number = r"[01]\.\d{4}"
    by_class = rf"0: {number}  4: {number}"
    first, second, test, *others = captured.out.splitlines()
    assert re.fullmatch(rf"epoch 1  val AUROC {number} \| {by_class} \| \d+ images/s", first)
    assert re.fullmatch(rf"epoch 2  val AUROC {number} \| {by_class} \| \d+ images/s", second)
    assert re.fullmatch(rf"test AUROC {number} \| {by_class}", test)
    assert len(others) == 4
    for name, line in zip(("ap", "ap_normal", "fpr95", "tpr5"), others, strict=True):
        assert re.fullmatch(rf"test {name} {number} \| {by_class}", line), line
    assert captured.err == ""


def test_the_module_runs_as_a_program() -> None:
    ran = python("-m", "adcore.train", *QUICK)
    assert ran.returncode == 0
    assert re.fullmatch(r"epoch 1  val AUROC [01]\.\d{4} \| 0: [01]\.\d{4} \| \d+ images/s\n", ran.stdout)
    assert ran.stderr == ""


def test_a_notebooks_backend_of_matplotlib_stops_no_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # is not installed
    ran = python("-m", "adcore.train", *QUICK, "--test", "--figures", str(tmp_path))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (tmp_path / "class-0" / "roc.png").is_file()


def test_a_run_continues_from_its_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*QUICK, "--checkpoint", str(tmp_path / "run.ckpt")]
    assert exit_code_of(argv) == 0
    first = capsys.readouterr().out
    assert exit_code_of(argv) == 0
    assert capsys.readouterr().out == first  # the speed too: nothing was trained again


def test_a_run_that_diverged_ends_with_code_1_and_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of([*QUICK, "--learning-rate", "1e30", "--schedule", "constant"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "diverged: a loss became NaN or infinite; try a lower --learning-rate\n"
    assert "val AUROC nan" in captured.out
