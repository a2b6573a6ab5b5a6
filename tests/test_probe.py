"""The speed of a device: measured in seconds, kept, read again without torch, and what a plan makes of it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adcore.config import TrainConfig
from adcore.detector_catalog import ANOMALIES
from adcore.errors import UserError
from adcore.system import device
from adcore.system.cpus import PATIENT_THREADS
from adcore.system.device import IN_WINDOWS, cuda_devices, device_name, has_cuda_device
from adcore.train import probe
from adcore.train.probe import Probe, known_probe
from sweeps.engine import plan_time
from sweeps.engine.plan_text import plan_in_words
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SweepSettings
from sweeps.gan_loss_weights import SPACE
from sweeps.loss_ablation import SPACE as GRID
from tests.own_images import stripes, write_images

SMALL = TrainConfig(dataset="digits", width=2, batch_size=4)


@pytest.fixture(autouse=True)
def _own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of four CPUs and no GPU on which nothing was measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for name, value in PATIENT_THREADS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(plan_time, "allotted_cpus", lambda: 4)


def _keep(speed: float, config: TrainConfig, members: int) -> None:
    """As if so many images/s had been measured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "_speed", lambda config, members: speed)
        probe.probe(config, members, 1)


def _time(space: Any = SPACE, **flags: Any) -> str:
    settings = SweepSettings(**flags)
    text = plan_in_words(make_plan("script", settings, space), settings)
    return next(line for line in text.splitlines() if line.startswith("  time")).removeprefix("  time").strip()


def test_a_probe_is_kept_for_the_same_step_of_as_many_experiments() -> None:
    assert known_probe(SMALL, 3, 1) is None
    found = probe.probe(SMALL, 3, 1)
    assert found.images_per_second > 0
    assert found.device == device_name()
    assert known_probe(SMALL, 3, 1) == found
    assert known_probe(dataclasses.replace(SMALL, epochs=9, weight_abc=1.0, classes=(3,)), 3, 1) == found
    for other in (
        {"width": 4}, {"batch_size": 8}, {"protocol": "one-class"}, {"precision": "64-true"}, {"patch_size": 8},
        {"average_weights": 0.99},
    ):  # fmt: skip
        assert known_probe(dataclasses.replace(SMALL, **other), 3, 1) is None
    assert known_probe(SMALL, 3, 2) is None
    assert known_probe(SMALL, 1, 1) is None


def test_a_probe_measures_anew() -> None:
    for speed in (5.0, 6.0):
        _keep(speed, SMALL, 1)
        found = known_probe(SMALL, 1, 1)
        assert found
        assert found.images_per_second == speed


@pytest.mark.parametrize("detector", ANOMALIES)
def test_every_detector_can_be_probed(detector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "STEPS", 2)
    for protocol in ("paper", *(["one-class"] if ANOMALIES[detector] != "needed" else [])):
        config = dataclasses.replace(SMALL, detector=detector, protocol=protocol)
        assert probe.probe(config, 2, 1).images_per_second > 0


def test_data_of_more_classes_than_a_probe_has_validation_images_can_be_probed(tmp_path: Path) -> None:
    for number in range(120):
        write_images(tmp_path / f"{number}", stripes(12, standing=True, side=8))
    config = TrainConfig(dataset=f"folder:{tmp_path}", width=2, batch_size=4)
    assert probe.probe(config, 1, 1).images_per_second > 0


@pytest.mark.parametrize("counted", ["balanced-9600", "rare-504"])
def test_a_protocol_with_numbers_can_be_probed(counted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "STEPS", 1)
    config = TrainConfig(protocol=counted, classes=(3,), width=2, batch_size=4)
    assert probe.probe(config, 1, 1).images_per_second > 0


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"device": "x"}', '{"device": "x", "images_per_second": "y"}',
     '{"device": "x", "images_per_second": 0}', '{"device": "x", "images_per_second": NaN}'],
)  # fmt: skip
def test_a_damaged_file_counts_as_none(content: str, tmp_path: Path) -> None:
    _keep(5.0, SMALL, 1)
    [path] = tmp_path.glob("adcore/probes/*.json")
    path.write_text(content)
    assert known_probe(SMALL, 1, 1) is None


def test_without_a_probe_a_cpu_takes_the_speed_of_one_like_it() -> None:
    # 80 class-epochs and 2 x 2 trainings, 4 at a time, of 3,000 images
    shown = _time(scale="laptop", normal_class=(0, 3))
    assert shown == (
        "training at most about 1 min, 4 at a time, if an idle core trains 1300 images/s at width 8; "
        "--plan --probe measures it"
    )


def test_the_time_is_that_of_the_rounds_at_the_speed_that_was_measured() -> None:
    flags: dict[str, Any] = {"scale": "laptop", "normal_class": (0, 3)}
    for members in (2, 3, 5, 7, 8, 10):
        _keep(100.0, make_plan("script", SweepSettings(**flags), SPACE).base, members)
    ending = "images/s of each: search 100, confirm 100"
    # an experiment: 12,000 images at 100 a second, 2 minutes; 80 class-epochs are 20 of them, and 8 are confirmed:
    # 5 and 2 in a pack, 7 and 3, two rounds of 10 and one of 8
    for most, minutes in ((4, 14), (3, 20), (1, 56)):
        shown = _time(**flags, max_concurrent=most)
        assert shown.startswith(f"training at most about {minutes} min, {most} at a time, {ending}"), shown
    assert "at most about 4 h," in _time(**flags, max_concurrent=1, configs=150)
    assert "if an idle core" in _time(**flags, members_per_trial="1"), "packs of one were not measured"


def test_each_kind_of_trial_counts_at_its_own_speed() -> None:
    flags: dict[str, Any] = {"scale": "laptop", "normal_class": (0, 3), "objective": "per-class", "max_concurrent": 1}
    base = make_plan("script", SweepSettings(**flags), SPACE).base
    _keep(1000.0, base, 10)
    _keep(1000.0, base, 8)
    assert "if an idle core" in _time(**flags)
    _keep(100.0, base, 4)
    # two rounds of ten and one of 8: 5.6 minutes; by class 2 x 67 class-epochs are four rounds of ten, 8 minutes; the
    # 4 experiments that confirm them take 8
    assert "at most about 22 min," in _time(**flags)
    assert "search 1,000, confirm 1,000, search by class 1,000, confirm by class 100" in _time(**flags)


def test_a_grid_has_no_search_to_measure() -> None:
    flags: dict[str, Any] = {"scale": "workstation"}
    plan = make_plan("script", SweepSettings(**flags), GRID)
    _keep(500.0, plan.base, 10)
    assert "images/s of each: confirm 500 (" in _time(GRID, **flags)


@pytest.mark.parametrize("address", ["local", "auto"])
def test_no_time_of_a_gpu_is_made_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_time, "cuda_devices", lambda: 1)
    assert _time(scale="gpu", address=address).startswith("not known: --plan --probe measures")


def test_trials_that_share_a_gpu_share_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_time, "cuda_devices", lambda: 2)
    flags: dict[str, Any] = {"scale": "laptop", "gpus_per_trial": 0.5}
    _keep(1000.0, make_plan("script", SweepSettings(**flags), SPACE).base, 10)
    assert "4 at a time, images/s of each: search 500, confirm 500" in _time(**flags)


def test_without_gpus_for_trials_the_cpu_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def note(config: TrainConfig, members: int, threads: int) -> Probe:
        seen.append(os.environ.get("CUDA_VISIBLE_DEVICES"))
        return Probe("here", 1000.0)

    monkeypatch.setattr(plan_time, "probe", note)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert "(here, measured)" in _time(scale="laptop", plan=True, probe=True, gpus_per_trial=0)
    assert seen == [""], "search and confirmation are alike"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


@pytest.mark.parametrize(
    ("flags", "named"),
    [({"gpus_per_trial": 3}, "--gpus-per-trial 3"), ({"cpus_per_trial": 99}, "--cpus-per-trial 99")],
)
def test_a_trial_that_this_machine_cannot_hold_has_no_time(flags: dict[str, Any], named: str) -> None:
    assert _time(scale="laptop", **flags).startswith(f"not known: {named}")
    with pytest.raises(UserError, match=named):
        _time(scale="laptop", plan=True, probe=True, **flags)


def test_probe_is_refused_without_plan() -> None:
    with pytest.raises(UserError, match=r"--probe: .* use it with --plan"):
        SweepSettings(probe=True)


def test_devices_are_named_and_counted_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: A Processor\n")
    assert device_name(tmp_path) == "A Processor"
    assert cuda_devices(tmp_path) == 0
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "proc/driver/nvidia/gpus" / bus).mkdir(parents=True)
        (tmp_path / "proc/driver/nvidia/gpus" / bus / "information").write_text("Model: \t\t A Card\nIRQ: 1\n")
    monkeypatch.setattr(device, "has_cuda_device", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert device_name(tmp_path) == "A Card"
    assert cuda_devices(tmp_path) == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert cuda_devices(tmp_path) == 1


def test_a_gpu_is_found_under_windows_by_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    for file in IN_WINDOWS:
        assert not has_cuda_device(tmp_path), "both are needed: other makers' devices have the first"
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert has_cuda_device(tmp_path)
    monkeypatch.setattr(device, "has_cuda_device", lambda: True)
    assert (cuda_devices(tmp_path), device_name(tmp_path)) == (1, "NVIDIA GPU")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not has_cuda_device(tmp_path)


def test_what_is_known_is_read_without_torch() -> None:
    program = "import sys; from adcore.train.probe import known_probe; from adcore.config import TrainConfig; "
    program += "known_probe(TrainConfig(), 1, 1); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
