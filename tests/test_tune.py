"""sweeps/tune.py: every detector can be searched over what it declares."""

from __future__ import annotations

import pytest

from adcore.config import LOSS_WEIGHTS, TrainConfig
from adcore.detectors import DETECTORS
from adcore.errors import UserError
from sweeps.engine.detector_sweep import DetectorSettings, detector_space, main
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.space import LogUniform
from sweeps.gan_loss_weights import SPACE


def plan_of(**flags: str) -> Plan:
    settings = DetectorSettings(scale="smoke", **flags)  # type: ignore[arg-type]
    return make_plan("tune", settings, detector_space(settings.detector or ""))


@pytest.mark.parametrize("name", [name for name, kind in DETECTORS.items() if kind.search])
def test_a_detectors_space_holds_its_first_point_and_sets_what_it_reads(name: str) -> None:
    space = detector_space(name)
    point = space.points["default"]
    assert set(point) == set(space.ranges) == set(DETECTORS[name].search)
    assert all(space.ranges[field].low <= value <= space.ranges[field].high for field, value in point.items())
    TrainConfig(detector=name, **point)  # type: ignore[arg-type]
    losses = {f"weight_{loss}" for loss in LOSS_WEIGHTS}
    assert all(("weights" if field in losses else field) in DETECTORS[name].config_fields for field in space.ranges)


def test_the_plan_trains_that_detector() -> None:
    plan = plan_of(detector="vae", protocol="one-class")
    assert (plan.base.detector, plan.base.protocol, plan.search_config.detector) == ("vae", "one-class", "vae")
    assert set(plan.space.ranges) == {"learning_rate", "weight_decay"}
    assert plan.space.points["default"] == {"learning_rate": 1e-3, "weight_decay": 1e-7}


def test_a_detector_that_cannot_be_tuned_is_named_with_those_that_can() -> None:
    with pytest.raises(UserError, match="--detector random: it has nothing to tune; expected one of gan, "):
        plan_of(detector="random")
    with pytest.raises(UserError, match="--detector cnn: it learns from labelled anomalies"):
        plan_of(detector="cnn", protocol="one-class")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [([], "--detector: expected one of gan, "), (["--detector", "vea"], "did you mean 'vae'"),
     (["--detector", "vae", "--start-from", "../up"], "not a path")],
)  # fmt: skip
def test_a_mistake_is_one_line(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main("tune", "help", arguments)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert expected in err


def test_a_resumed_sweep_needs_no_detector() -> None:
    assert DetectorSettings(resume="mine").detector is None


def test_the_sweep_of_loss_weights_searches_what_its_detector_declares() -> None:
    ranges = {name: (own.low, own.high) for name, own in SPACE.ranges.items() if isinstance(own, LogUniform)}
    assert ranges == DETECTORS["gan"].search
    assert set(SPACE.ranges) == set(ranges)
