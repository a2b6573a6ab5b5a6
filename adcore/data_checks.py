"""What a data set allows: which classes can name an experiment, and which protocols have the images they need."""

from __future__ import annotations

from collections.abc import Sequence

from adcore.datasets import DatasetInfo
from adcore.errors import UserError
from adcore.options import check_classes

__all__ = ["experiments_of", "protocol_of", "require_anomalies"]


def experiments_of(info: DatasetInfo, classes: Sequence[int], flag: str) -> tuple[int, ...]:
    """The experiments to run, each named by its class index; an empty sequence means every class that can name one.

    Raises UserError for a repeated class, and for one that cannot name an experiment.
    """
    if info.normal_class is None:
        return check_classes(classes, len(info.class_names), flag)
    chosen = tuple(classes) or (info.normal_class,)
    if chosen != (info.normal_class,):
        only = f"{info.normal_class} ({info.class_names[info.normal_class]})"
        raise UserError(
            f"--{flag} {','.join(map(str, chosen))}: the normal class of {info.name} is {only}; leave --{flag} out"
        )
    return chosen


def require_anomalies(info: DatasetInfo) -> None:
    """Raises UserError if the train part has no anomalies: a search compares configurations by their AUROC."""
    if not info.has_anomalies:
        raise UserError(
            f"--dataset {info.name}: its train part has no anomalies, so there is no AUROC to compare configurations "
            "by; train a single one with python -m adcore.train"
        )


def protocol_of(info: DatasetInfo, protocol: str) -> str:
    """The protocol that data are trained under: "one-class" instead of the default if there are no anomalies to fit.

    Raises UserError for a protocol that needs other classes than the data have.
    """
    if not info.has_anomalies and protocol in ("paper", "one-class"):
        return "one-class"
    if not info.has_anomalies:
        reason = "has no anomalies to train on; use --protocol one-class"
    elif info.normal_class is not None and protocol == "leave-one-out":
        reason = f"is sorted by kind, and {info.class_names[info.normal_class]!r} is no anomaly; use another protocol"
    elif protocol == "seen-unseen" and len(info.class_names) < 3:
        reason = f"has {len(info.class_names)} classes, expected at least 3, so that one stays unseen"
    else:
        return protocol
    raise UserError(f"--protocol {protocol}: {info.name} {reason}")
