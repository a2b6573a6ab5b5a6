"""Large libraries are not imported before they are needed."""

from __future__ import annotations

from tests.fresh_python import fresh_imports


def test_a_sweep_trains_before_its_driver_has_loaded_what_only_its_end_needs() -> None:
    loaded = fresh_imports("sweeps.engine.driver", "sweeps.engine.stages")
    assert {"pytorch_lightning", "matplotlib", "mlflow"}.isdisjoint(loaded)


def test_lightning_is_not_loaded_where_models_are_scored_and_nothing_trains() -> None:
    modules = ["adcore.predict.models", "adcore.evaluation.assessment_figures", "sweeps.engine.results.winner_figures"]
    loaded = fresh_imports(*modules)
    assert "adcore.train.pack" in loaded
    assert "pytorch_lightning" not in loaded
