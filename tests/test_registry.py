"""The winner in MLflow's registry: registered once, loaded by its alias, equal to adcore.predict."""

from __future__ import annotations

import re
import shutil
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import load_model as load_from_mlflow
from mlflow.tracking import MlflowClient

from adcore.datasets import ImageDataset
from adcore.predict.models import load_model, read_states
from adcore.train import train
from adcore.train.checkpoints import Checkpoints
from sweeps.engine.tracking.events import Tracking
from sweeps.engine.tracking.outbox import ModelFolder, Outbox
from sweeps.engine.tracking.registry import CHAMPION, deliver_model, model_name, save_model
from sweeps.engine.tracking.writer import MlflowWriter
from tests.detector_runs import config, ignore
from tests.sweep_parts import small_plan

NAME = model_name("gan_loss_weights", "digits")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, digits_train: ImageDataset) -> list[Path]:
    """Two seeds' checkpoints of the classes 0 and 3."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = [folder / f"seed-{seed}.ckpt" for seed in (1, 2)]
    for seed, path in enumerate(paths, 1):
        train(config("gan", train_seed=seed), ignore, data=digits_train, checkpoints=Checkpoints(path))
    return paths


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, files: list[Path], digits_train: ImageDataset) -> Path:
    return save_model(tmp_path_factory.mktemp("sweep") / "model", files, digits_train)


@pytest.mark.parametrize(
    "dataset",
    ["folder:/a/Müll und Bilder.v2", "csv:/it's 100 %/b:c.csv", f"npz:/{'x' * 250}.npz", "folder:/", "digits"],
)
def test_every_data_set_gives_a_name_that_the_registry_takes_and_finds_again(dataset: str, uri: str) -> None:
    client, name = MlflowClient(uri), model_name("loss_ablation", dataset)
    client.create_registered_model(name)
    assert [each.name for each in client.search_registered_models(f"name = '{name}'")] == [name]
    assert len(name) <= 100


def test_data_of_ones_own_have_a_name_that_tells_what_and_where_they_are() -> None:
    names = [model_name("tune", f"folder:/{place}/screws") for place in ("a", "b", "a")]
    assert names[0] == names[2] != names[1]
    assert all(re.fullmatch(r"tune-folder-screws-[0-9a-f]{8}", name) for name in names)
    assert model_name("tune", "fashion-mnist") == "tune-fashion-mnist"


def _deliver(uri: str, sweep_id: str, path: Path, saved: Path, winner: int = 2, opening: int = 1) -> None:
    """A session of a sweep that registers its winner; the writer delivers it."""
    outbox = Outbox(path)
    tracking = Tracking(outbox, small_plan(), "s")
    writer = MlflowWriter(uri, "test", sweep_id, outbox, period=0.05)
    tracking.open_sweep("final")
    model = ModelFolder(str(saved), NAME, {"sweep": "s", "configuration": str(winner)})
    tracking.register_model(winner, model, opening=opening)
    tracking.close_sweep("complete", {}, [])
    assert writer.close(), writer.reason
    outbox.close()


def test_a_winner_is_registered_once_however_often_it_is_told_and_delivered(
    uri: str, tmp_path: Path, saved: Path
) -> None:
    client, sweep_id = MlflowClient(uri), uuid.uuid4().hex
    before = len(client.search_model_versions(f"name = '{NAME}'"))
    _deliver(uri, sweep_id, tmp_path / "outbox.db", saved)
    _deliver(uri, sweep_id, tmp_path / "outbox.db", saved)  # resumed
    _deliver(uri, sweep_id, tmp_path / "another.db", saved)  # with its outbox gone
    [version, *_] = client.search_model_versions(f"name = '{NAME}'")
    assert int(version.version) == before + 1
    deliver_model(client, str(version.run_id), str(saved), model=ModelFolder("", NAME, {"configuration": "2"}))
    assert len(client.search_model_versions(f"name = '{NAME}'")) == before + 1
    assert client.get_model_version_by_alias(NAME, CHAMPION).version == version.version
    files = {each.path for each in client.list_artifacts(str(version.run_id), "model-2")}
    assert {f"model-2/{name}" for name in ("MLmodel", "served_model.py", "code", "artifacts")} <= files
    assert not any("pkl" in file for file in files)


def test_a_later_winner_becomes_the_champion(uri: str, tmp_path: Path, saved: Path) -> None:
    client = MlflowClient(uri)
    for name in ("first.db", "second.db"):
        _deliver(uri, uuid.uuid4().hex, tmp_path / name, saved)
    newest = max(int(each.version) for each in client.search_model_versions(f"name = '{NAME}'"))
    assert int(client.get_model_version_by_alias(NAME, CHAMPION).version) == newest >= 2


def test_an_extended_sweeps_other_winner_leaves_the_first_ones_model_as_it_was(
    uri: str, tmp_path: Path, saved: Path
) -> None:
    client, sweep_id, outbox = MlflowClient(uri), uuid.uuid4().hex, tmp_path / "outbox.db"
    other = tmp_path / "other"
    shutil.copytree(saved, other)
    (other / "note.txt").write_text("the other winner's")
    champions: list[str] = []
    for opening, (winner, folder) in enumerate([(2, saved), (5, other), (2, saved)], 1):
        _deliver(uri, sweep_id, outbox, folder, winner, opening)
        champions.append(client.get_model_version_by_alias(NAME, CHAMPION).tags["configuration"])
    assert champions == ["2", "5", "2"]
    run = client.get_model_version_by_alias(NAME, CHAMPION).run_id
    versions = client.search_model_versions(f"name = '{NAME}' and run_id = '{run}'")
    assert {each.tags["configuration"]: each.source for each in versions} == {
        winner: f"runs:/{run}/model-{winner}" for winner in ("2", "5")
    }
    files = {each.path for each in client.list_artifacts(str(run), "model-2")}
    assert "model-2/MLmodel" in files
    assert "model-2/note.txt" not in files


def test_a_loaded_model_scores_as_adcore_predict_does(
    saved: Path, files: list[Path], digits_test: ImageDataset, tmp_path: Path
) -> None:
    loaded, images = load_from_mlflow(str(saved)), digits_test.images[:5]
    arrays = images[:, 0].numpy()
    for chosen in ("0", "3"):
        model = load_model(read_states(files), chosen)
        expected = model.scores(images).tolist()
        found = loaded.predict({"image": arrays}, params={"class": chosen})
        assert found["score"].tolist() == pytest.approx(expected, rel=1e-5)
        assert model.threshold is not None
        assert [each == "anomalous" for each in found["decision"]] == [each >= model.threshold for each in expected]
    first = loaded.predict({"image": arrays})["score"].tolist()
    assert first == pytest.approx(load_model(read_states(files), "0").scores(images).tolist(), rel=1e-5)
    from PIL import Image

    Image.fromarray(arrays[0]).save(tmp_path / "0.png")
    frame = pd.DataFrame({"image": [str(tmp_path / "0.png"), arrays[1], arrays[2][..., None].repeat(3, 2)]})
    assert loaded.predict(frame)["score"].tolist() == pytest.approx(first[:3], rel=1e-5)


@pytest.mark.parametrize("image", ["/no/such.png", [[0.5, 1.0]], [[256]], [[1, 2], [3]], None, [[[[1]]]]])
def test_what_is_no_image_is_refused(image: object, saved: Path) -> None:
    with pytest.raises(MlflowException, match=r"row 0|such\.png"):
        load_from_mlflow(str(saved)).predict(pd.DataFrame({"image": [image]}))
    with pytest.raises(MlflowException, match="--class '12'"):
        load_from_mlflow(str(saved)).predict({"image": np.zeros((1, 8, 8), np.uint8)}, params={"class": "12"})
