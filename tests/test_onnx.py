"""The exported scoring network gives the scores of torch, for every detector that can be exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from adcore.datasets import ImageDataset
from adcore.detector_catalog import ANOMALIES
from adcore.predict.__main__ import main
from adcore.predict.models import load_model, read_states
from adcore.predict.onnx_export import EXPORTED
from adcore.train import train
from adcore.train.checkpoints import Checkpoints
from tests.detector_runs import config, ignore


@pytest.mark.parametrize(("name", "size"), [*((name, 32) for name in ANOMALIES), ("gan", 64), ("deep-svdd", 64)])
def test_scores_of_onnxruntime_are_those_of_torch(
    name: str,
    size: int,
    digits_train: ImageDataset,
    digits_test: ImageDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [tmp_path / f"{seed}.ckpt" for seed in (0, 1)]
    for seed, file in enumerate(files):
        own = config(name, classes=(0,), epochs=1, train_seed=seed, mirrored_scores=name == "gan", image_size=size)
        train(own, ignore, data=digits_train, checkpoints=Checkpoints(file))
    given = [word for file in files for word in ("--model", str(file))]
    with pytest.raises(SystemExit) as ended:
        main([*given, "--onnx", str(tmp_path / "scorer.onnx")])
    if name not in EXPORTED:
        assert ended.value.code == 2
        assert f"error: --onnx: {name} cannot be exported" in capsys.readouterr().err
        return
    assert ended.value.code == 0
    model = load_model(read_states(files))
    session = onnxruntime.InferenceSession(tmp_path / "scorer.onnx", providers=["CPUExecutionProvider"])
    assert float(session.get_modelmeta().custom_metadata_map["threshold"]) == model.threshold
    for images in (digits_test.images[:7], digits_test.images[7:8]):
        [found] = session.run(None, {"images": images.to(torch.float32).numpy()})
        assert np.asarray(found) == pytest.approx(model.scores(images).numpy(), rel=1e-4, abs=1e-6)
