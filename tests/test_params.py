"""A run can be repeated from its parameters in MLflow alone."""

from __future__ import annotations

import dataclasses

import pytest

from adcore.config import TrainConfig
from adcore.detectors import DETECTORS
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.settings import SCALES, SweepSettings
from sweeps.engine.tracking.params import READERS, as_config, as_text, run_params
from sweeps.gan_loss_weights import SPACE


@pytest.mark.parametrize("scale", SCALES)
def test_every_scales_training_is_read_back_as_it_was(scale: str) -> None:
    plan = make_plan("gan_loss_weights", SweepSettings(scale=scale, normal_class=(3, 0, 6)), SPACE)
    for config in (plan.base, plan.search_config):
        assert as_config(as_text(dataclasses.asdict(config))) == config


@pytest.mark.parametrize("detector", DETECTORS)
def test_every_kind_of_value_is_read_back_to_the_last_digit(detector: str) -> None:
    config = TrainConfig(
        detector=detector, classes=(7,), learning_rate=0.1 + 0.2, weight_abc=1e-17, crop=True, horizontal_flip=False,
        images_per_class=None, patience=3, fold=4, train_seed=2**53,
    )  # fmt: skip
    assert as_config(as_text(dataclasses.asdict(config))) == config


@pytest.mark.parametrize("detector", DETECTORS)
def test_what_a_detector_does_not_use_is_left_out_and_its_settings_are_read_back(detector: str) -> None:
    config = TrainConfig(detector=detector, width=5, learning_rate=0.1 + 0.2, labelled_share=0.1, train_seed=3)
    params = run_params(config)
    again = as_config(as_text(params))
    assert {name: getattr(again, name) for name in params} == params
    assert ("weight_abc" in params) == ("weights" in DETECTORS[detector].config_fields)


def test_every_field_has_a_reader() -> None:
    assert {str(field.type) for field in dataclasses.fields(TrainConfig)} == set(READERS)
