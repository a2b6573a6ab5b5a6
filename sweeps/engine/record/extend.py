"""Extend a sweep: its record gets a larger number of configurations, and its search goes on with what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from adcore.files import put_in_place
from sweeps.engine.planning.base_plan import BasePlan
from sweeps.engine.record.clock import CHOSEN
from sweeps.engine.record.progress import CLOCK, ENDED, EXTENSIONS
from sweeps.engine.record.study import open_study, storage_of
from sweeps.engine.storage.errors import storage

if TYPE_CHECKING:
    from sweeps.engine.record.attributes import Attributes

__all__ = ["earlier_sizes", "earlier_test", "extend_record"]

#: Attributes that an extension ends: the search is not over, the test part is closed, the time begins anew, and the
#: sweep has not ended.
RESET_ATTRIBUTES = ("searched", "test", CLOCK, CHOSEN, ENDED)


def extend_record(path: Path, plan: BasePlan) -> None:
    """Give the record in a file a plan with more configurations; stopped ones can be promoted again.

    The attribute `extensions` keeps the former number of configurations, how often the test part had been opened, and
    its results. The file is replaced as a whole: killed at any time, the record is the old one or the new one. Raises
    StorageError.
    """
    part = path.with_name(f".{path.name}.part")
    with storage(path):
        part.unlink(missing_ok=True)
        study = open_study(path, create=False)
        _copy(study, open_study(part, create=True), _extended_attributes(study.user_attrs, plan))
        new_study = open_study(part, create=False)
        for name in optuna.get_all_study_names(storage_of(study)):  # those of the classes' own searches
            if name != study.study_name:
                class_study = optuna.load_study(study_name=name, storage=storage_of(study))
                new_class_study = optuna.create_study(
                    study_name=name, storage=storage_of(new_study), direction="maximize"
                )
                attributes = class_study.user_attrs
                kept = {key: value for key, value in attributes.items() if key not in RESET_ATTRIBUTES}
                _copy(class_study, new_class_study, kept)
        storage_of(study).remove_session()
        storage_of(new_study).remove_session()
        put_in_place(part, path)


def earlier_sizes(record: Attributes) -> list[int]:
    """The number of configurations before each extension, oldest first; empty if the sweep was not extended."""
    return [extension["configs"] for extension in record.read(EXTENSIONS) or []]


def earlier_test(record: Attributes) -> dict[str, Any] | None:
    """The last results on the test part from before an extension, as they were recorded; None without any."""
    return next((test for extension in reversed(record.read(EXTENSIONS) or []) if (test := extension["test"])), None)


def _extended_attributes(attributes: Mapping[str, Any], plan: BasePlan) -> dict[str, Any]:
    now = plan.as_record()
    before = {
        "configs": attributes["plan"]["configs"],
        "openings": len(attributes.get("test_openings", [])),
        "test": attributes.get("test"),
    }
    return {key: value for key, value in attributes.items() if key not in RESET_ATTRIBUTES} | {
        "plan": now,
        "settings": {**attributes["settings"], "configs": now["configs"]},
        EXTENSIONS: [*attributes.get(EXTENSIONS, []), before],
    }


def _copy(study: optuna.Study, into: optuna.Study, attributes: Mapping[str, Any]) -> None:
    for key, value in attributes.items():
        into.set_user_attr(key, value)
    into.add_trials([_reopen_trial(trial) for trial in study.get_trials(deepcopy=False)])


def _reopen_trial(trial: FrozenTrial) -> FrozenTrial:
    """A trial as it was before its configuration was stopped; others as they are."""
    if trial.user_attrs.get("state") != "stopped":
        return trial
    return create_trial(
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs=trial.system_attrs,
    )
