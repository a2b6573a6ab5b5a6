"""The winner of a sweep as MLflow loads and serves it: MLflow copies this file and runs it wherever the model is used.

It imports adcore, which is copied beside it, and nothing of sweeps, which is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel
from numpy.typing import NDArray

from adcore.datasets.images import read_image
from adcore.errors import UserError
from adcore.predict.images import prepared
from adcore.predict.models import Model, load_model, read_states
from adcore.thresholds import decision

#: The name of the input column, of the parameter and of the artifact.
COLUMN, PARAMETER, ARTIFACT = "image", "class", "models"


class Winner(PythonModel):
    """Scores images with the models of one experiment: those of every training seed, whose scores are averaged."""

    def load_context(self, context: Any) -> None:
        """Read the models. Raises UserError for a damaged file."""
        self.states = read_states([Path(context.artifacts[ARTIFACT])])
        self.models: dict[str, Model] = {}

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride] # MLflow's has no body, which reads as None
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Columns score and decision ("normal", "anomalous", empty without a threshold), a row for each image.

        model_input: column COLUMN holds images, H x W or H x W x C values of 0 to 255, or paths. params: "class" names
        the experiment by its class, as an index or a name. Raises MlflowException for input that is none of these.
        """
        try:
            model = self._model(str((params or {}).get(PARAMETER) or self.states[0].config.classes[0]))
            pixels = [_pixels(each, model, f"row {row}") for row, each in enumerate(model_input[COLUMN])]
        except UserError as error:
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from error
        scores = model.scores(torch.from_numpy(np.stack(pixels))).tolist() if pixels else []
        return pd.DataFrame({"score": scores, "decision": [decision(score, model.threshold) for score in scores]})

    def _model(self, chosen: str) -> Model:
        if chosen not in self.models:
            self.models[chosen] = load_model(self.states, chosen, source="the model")
        return self.models[chosen]


def _pixels(image: Any, model: Model, name: str) -> NDArray[np.uint8]:
    """One image as the model takes it. Raises UserError."""
    channels, side = model.info.channels, model.info.size
    if isinstance(image, str):
        return prepared(read_image(Path(image), channels), channels, side, image)
    try:
        values = np.asarray(image)
    except ValueError as error:  # rows of different lengths
        raise UserError(f"{name}: {error}") from error
    if values.dtype.kind not in "iu" or values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise UserError(f"{name}: expected a path, or whole numbers from 0 to 255")
    return prepared(values.astype(np.uint8), channels, side, name)


set_model(Winner())
