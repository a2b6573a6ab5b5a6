"""The speed of a device: measured in seconds, kept, and read again without torch."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from adcore import device, probe
from adcore.config import TrainConfig
from adcore.detector_catalog import ANOMALIES
from adcore.device import cuda_devices, device_name
from adcore.errors import UserError
from adcore.probe import Probe
from sweeps.engine import speed
from sweeps.engine.cluster import Resources
from sweeps.engine.plan import describe, make_plan
from sweeps.engine.settings import SweepSettings
from sweeps.gan_loss_weights import SPACE

SMALL = TrainConfig(dataset="digits", width=2, batch_size=4)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def _store(found: Probe, *configs: TrainConfig) -> None:
    """Keep what a probe would have found of these configurations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "_measure", lambda config, threads: found)
        for config in configs:
            probe.probe(config, 1)


def test_a_probe_measures_packs_and_is_kept_for_the_same_step_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SIZES", (1, 3))
    assert probe.known_probe(SMALL, 1) is None
    found = probe.probe(SMALL, 1)
    assert sorted(found.speeds) == [1, 3]
    assert min(found.speeds.values()) > 0
    assert found.device == device_name()
    assert probe.known_probe(SMALL, 1) == found
    assert probe.known_probe(dataclasses.replace(SMALL, epochs=9, weight_abc=1.0, classes=(3,)), 1) == found
    for other in (dataclasses.replace(SMALL, width=4), dataclasses.replace(SMALL, batch_size=8)):
        assert probe.known_probe(other, 1) is None
    assert probe.known_probe(SMALL, 2) is None


@pytest.mark.parametrize("detector", ANOMALIES)
def test_every_detector_can_be_probed(detector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SIZES", (2,))
    assert probe.probe(dataclasses.replace(SMALL, detector=detector), 1).speed(2) > 0


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"speeds": {}}', '{"speeds": {"1": "x"}}', '{"speeds": {"1": 2}}']
)
def test_a_damaged_file_is_measured_again(content: str, tmp_path: Path) -> None:
    _store(Probe("here", {1: 5.0}), SMALL)
    [path] = tmp_path.glob("adcore/probes/*.json")
    path.write_text(content)
    assert probe.known_probe(SMALL, 1) is None
    _store(Probe("here", {1: 6.0}), SMALL)
    assert probe.known_probe(SMALL, 1) == Probe("here", {1: 6.0})


def test_the_speed_of_a_pack_is_that_of_the_largest_smaller_one_tried() -> None:
    found = Probe("here", {2: 10.0, 5: 20.0})
    assert [found.speed(members) for members in (1, 2, 4, 5, 99)] == [10.0, 10.0, 10.0, 20.0, 20.0]


def test_memory_says_how_many_fit() -> None:
    found = Probe("here", {1: 1.0}, member_bytes=3, total_bytes=10)
    assert [found.fits(share) for share in (1.0, 0.5, 0.01)] == [3, 1, 1]


def test_the_plan_takes_its_time_from_what_was_measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SweepSettings(scale="laptop", normal_class=(0, 3), cpus_per_trial=1, max_concurrent=2)
    plan = make_plan("gan_loss_weights", settings, SPACE)
    monkeypatch.setattr(speed, "allotted_cpus", lambda: 4)
    assert "--plan --probe measures it" in describe(plan, settings)
    _store(Probe("a card", {2: 1000.0}), plan.base)
    # (8 + 2 x 2) x 2 classes x 4 epochs x 3000 images, 1000 a second, two at a time: 2.4 minutes, and 1.5 beside it
    assert "at most about 4 minutes, 2 trials at a time, each 1,000 images/s (a card, measured)" in describe(
        plan, settings
    )


@pytest.mark.parametrize("address", ["local", "auto"])
def test_without_a_measurement_no_time_of_a_gpu_is_made_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "cuda_devices", lambda: 1)
    settings = SweepSettings(scale="gpu", address=address)
    assert "not known: --plan --probe measures" in describe(make_plan("x", settings, SPACE), settings)


def test_probe_is_refused_without_plan() -> None:
    with pytest.raises(UserError, match=r"--probe: .* give it with --plan"):
        SweepSettings(probe=True)


def test_trials_on_a_gpu_are_as_large_as_its_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = SweepSettings(scale="laptop")
    plan, room = make_plan("x", settings, SPACE), Resources(cpus=1, gpus=1, slots=2)

    def probes(fits: int):
        return lambda configs, room: {own: Probe("a card", {1: 1.0}, 10, 10 * fits) for own in configs}

    def fail(configs: object, room: object) -> None:
        raise UserError("no driver")

    for fits, members in ((1, 1), (4, 2), (9, 5), (10, 10), (50, 10)):
        monkeypatch.setattr(speed, "_probes_of_workers", probes(fits))
        assert speed.members_per_trial(plan, settings, room) == members
    monkeypatch.setattr(speed, "_probes_of_workers", fail)
    assert speed.members_per_trial(plan, settings, room) == 10
    assert "the GPU could not be probed (no driver); each trial trains all classes" in capsys.readouterr().err


def test_devices_are_named_and_counted_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: A Processor\n")
    monkeypatch.setattr(device, "has_cuda_device", lambda: False)
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


def test_what_is_known_is_read_without_torch() -> None:
    program = "import sys, adcore.probe as p; from adcore.config import TrainConfig; p.known_probe(TrainConfig(), 1); "
    subprocess.run([sys.executable, "-c", program + "sys.exit('torch' in sys.modules)"], check=True)
