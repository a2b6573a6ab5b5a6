"""The winner in MLflow's model registry: its models saved as one MLflow model, and registered once."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import adcore
from adcore.datasets.own import is_own
from sweeps.engine.tracking.outbox import ModelFolder
from sweeps.engine.tracking.store import without_stray_folders

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature
    from mlflow.tracking import MlflowClient

    from adcore.datasets import ImageDataset

__all__ = ["CHAMPION", "deliver_model", "model_name", "save_model"]

#: The alias of the version that was registered last.
CHAMPION = "champion"
#: Most characters of the name of one's own data in a model's name, and those that stand for its whole path.
STEM, DIGEST = 60, 8
#: What adcore.predict imports; a model needs these versions wherever it is loaded.
REQUIREMENTS = (
    "click", "filelock", "matplotlib", "mlflow", "numpy", "pandas", "pillow", "platformdirs", "rich",
    "scikit-learn", "threadpoolctl", "torch",
)  # fmt: skip


def model_name(script: str, dataset: str) -> str:
    """The name of the registered model of a script's winners on a data set: gan_loss_weights-fashion-mnist.

    Data of one's own are named by a path, which MLflow refuses in a name: gan_loss_weights-folder-screws-1f0e6b52 has
    their kind, the last part of the path, and a hash that tells paths with the same end apart.
    """
    if not is_own(dataset):
        return f"{script}-{dataset}"
    kind, _, place = dataset.partition(":")
    stem = re.sub(r"[^\w.]+", "-", Path(place).stem)[:STEM].strip("-")
    digest = hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()[:DIGEST]
    return "-".join(filter(None, (script, kind, stem, digest)))


def save_model(folder: Path, paths: Sequence[Path], data: ImageDataset) -> Path:
    """Save the models in checkpoint files as an MLflow model in `folder`, which appears complete or not at all.

    They are stored without their optimisers, which are two thirds of a checkpoint. data: the input example is its
    first images. Nothing is pickled. Raises OSError, and UserError for a file that is not a checkpoint.
    """
    import mlflow.pyfunc
    import pandas as pd

    from adcore.train import checkpoints
    from sweeps.engine.tracking import served_model

    states = [dataclasses.replace(state, optimizers=[]) for path in paths for state in checkpoints.read(path)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    # not in the sweep's folder: MLflow reads a % or a # in a path as part of an address
    with tempfile.TemporaryDirectory(prefix="model-") as place:
        file, model_folder = Path(place) / f"{served_model.ARTIFACT}.ckpt", Path(place) / "model"
        checkpoints.Checkpoints(file).save(states)
        mlflow.pyfunc.save_model(
            model_folder,
            python_model=str(served_model.__file__),
            artifacts={served_model.ARTIFACT: str(file)},
            code_paths=[str(Path(str(adcore.__file__)).parent)],
            signature=_signature(states[0].config.classes[0]),
            input_example=pd.DataFrame({served_model.COLUMN: data.images[:2].movedim(1, 3).tolist()}),
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in REQUIREMENTS],
        )
        part = folder.with_name(f".{folder.name}.part")
        for old in (part, folder):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(model_folder, part)
        part.rename(folder)
    return folder


def deliver_model(client: MlflowClient, run_id: str, folder: str, *, model: ModelFolder) -> None:
    """Log a saved model with its run, register it as a version and give that the alias; may be repeated.

    A version with this run and these tags is not made again. Raises what MLflow and the disk raise.
    """
    with without_stray_folders(client.tracking_uri):
        _deliver(client, run_id, folder, model)


def _deliver(client: MlflowClient, run_id: str, folder: str, model: ModelFolder) -> None:
    from mlflow.exceptions import MlflowException

    tags = dict(model.tags)
    place = f"model-{tags['configuration']}"  # an extended sweep may have another winner, and keeps the first one's
    client.log_artifacts(run_id, folder, place)
    try:
        client.create_registered_model(model.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # not the folder's own address: a database and its files may be moved together
    source = f"runs:/{run_id}/{place}"
    versions = _versions(client, run_id, model)
    first, *duplicates = versions or [client.create_model_version(model.name, source, run_id, tags=tags)]
    for version in duplicates:  # made by a request that was given up too early
        client.delete_model_version(model.name, version.version)
    client.set_registered_model_alias(model.name, CHAMPION, first.version)


def _versions(client: MlflowClient, run_id: str, model: ModelFolder) -> list[ModelVersion]:
    """The versions of this model that were made from this run, the first one first."""
    versions = client.search_model_versions(f"name = '{model.name}' and run_id = '{run_id}'")
    with_tags = [version for version in versions if model.tags.items() <= version.tags.items()]
    return sorted(with_tags, key=lambda version: int(version.version))


def _signature(first_class: int) -> ModelSignature:
    """Column `image`, whose cells are arrays or paths; parameter `class`; columns score and decision."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    from sweeps.engine.tracking.served_model import COLUMN, PARAMETER

    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), COLUMN)]),
        outputs=Schema([ColSpec(DataType.double, "score"), ColSpec(DataType.string, "decision")]),
        params=ParamSchema([ParamSpec(PARAMETER, DataType.string, str(first_class))]),
    )
