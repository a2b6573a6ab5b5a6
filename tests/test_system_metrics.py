"""--system-metrics: what is measured, how often, and that a sweep without it measures nothing."""

from __future__ import annotations

import pytest

from adcore.errors import UserError
from sweeps.engine.machine import system_metrics
from sweeps.engine.machine.system_metrics import SystemMetrics, without_missing_metrics
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.tracking.checks import check_tracking


def test_a_sample_has_mlflows_names_and_is_taken_only_so_often() -> None:
    now = [100.0]
    measured = SystemMetrics(clock=lambda: now[0])
    first = measured.sample()
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= set(first)
    assert {"system/disk_available_megabytes", "system/network_receive_megabytes"} <= set(first)
    now[0] += 9.9
    assert measured.sample() == {}
    now[0] += 0.2
    assert set(measured.sample()) == set(first)


def test_a_monitor_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = SystemMetrics()

    def fail() -> None:
        raise OSError("no such disk")

    monkeypatch.setattr(measured.monitors[1], "collect_metrics", fail)
    found = measured.sample()
    assert "system/cpu_utilization_percentage" in found
    assert not [name for name in found if "disk" in name]


def test_it_is_refused_without_the_package_that_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_metrics, "find_spec", lambda name: None)
    check_tracking(SweepSettings(), "gan_loss_weights", is_named=False)
    with pytest.raises(UserError, match="--system-metrics: expected the package psutil"):
        check_tracking(SweepSettings(system_metrics=True), "gan_loss_weights", is_named=False)


def test_a_resume_on_a_machine_without_the_package_goes_on_without_them_unless_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = SweepSettings(system_metrics=True, resume="mine")
    assert without_missing_metrics(settings, ["resume"]) == settings
    monkeypatch.setattr(system_metrics, "find_spec", lambda name: None)
    assert without_missing_metrics(settings, ["resume", "system_metrics"]).system_metrics
    assert capsys.readouterr().err == ""
    assert not without_missing_metrics(settings, ["resume"]).system_metrics
    assert "going on without, as psutil is missing" in capsys.readouterr().err
