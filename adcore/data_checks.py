"""What a data set allows: which classes can name an experiment, and which protocols have the images they need."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from adcore.datasets import DatasetInfo
from adcore.errors import UserError
from adcore.options import check_classes
from adcore.protocols.definitions import HELD_OUT, MINIMUM_IMAGES

__all__ = ["class_index", "compared_under", "experiments_of", "protocol_of"]


def class_index(info: DatasetInfo, chosen: str, flag: str, among: Collection[int] = ()) -> int:
    """The class with this index or, if it is not one, with this name, which may be a number, too.

    among: the classes that an error names; none for those that can be normal. Raises UserError for a class that the
    data lack.
    """
    names = info.class_names
    if chosen.isdecimal() and len(chosen) < 10 and int(chosen) < len(names):
        return int(chosen)
    if chosen in names:
        return names.index(chosen)
    possible = among or (range(len(names)) if info.normal_class is None else [info.normal_class])
    choices = ", ".join(f"{each} ({names[each]})" if names[each] != str(each) else names[each] for each in possible)
    meant = next((names[each] for each in possible if names[each].lower() == chosen.lower()), "")
    hint = f"; did you mean {meant}?" if meant else ""
    raise UserError(f"--{flag} {chosen!r}: expected one of {choices}{hint}")


def experiments_of(info: DatasetInfo, classes: Sequence[int | str], flag: str) -> tuple[int, ...]:
    """The experiments to run, each named by a class: its index or, as text, either (as for `class_index`).

    None given means every class that can name one. Raises UserError for a repeated class, and for one that cannot name
    an experiment.
    """
    indices = [class_index(info, each, flag) if isinstance(each, str) else each for each in classes]
    if info.normal_class is None:
        return check_classes(indices, len(info.class_names), flag)
    chosen = tuple(indices) or (info.normal_class,)
    if chosen != (info.normal_class,):
        only = f"{info.normal_class} ({info.class_names[info.normal_class]})"
        raise UserError(
            f"--{flag} {','.join(map(str, classes))}: the normal class of {info.name} is {only}; leave --{flag} out"
        )
    return (info.normal_class,)


def compared_under(info: DatasetInfo, protocol: str | None) -> str | None:
    """The protocol of a sweep over these data; None: the default. protocol: the one that was asked for, if any.

    Configurations are compared by AUROC on validation images. If there are no anomalies to train on, some of the test
    part's are held out for that; raises UserError if there are none either, for another protocol, and for a class that
    can be normal and is too small for it.
    """
    if info.smallest_class < round(MINIMUM_IMAGES * 5 / 6):  # it counts what is left beside validation
        raise UserError(
            f"--dataset {info.name}: a class has fewer than {MINIMUM_IMAGES} images to train on; "
            f"`python -m adcore.datasets show {info.name}` counts them"
        )
    if info.has_anomalies:
        return protocol
    if len(info.class_names) < 2:
        raise UserError(
            f"--dataset {info.name}: it has no anomalies, so there is no AUROC to compare configurations by; train a "
            "single one with python -m adcore.train"
        )
    if protocol not in (None, HELD_OUT):
        raise UserError(
            f"--protocol {protocol}: the train part of {info.name} has no anomalies to compare configurations by; use "
            f"--protocol {HELD_OUT}, which takes half of the test part's for validation"
        )
    return HELD_OUT


def protocol_of(info: DatasetInfo, protocol: str) -> str:
    """The protocol that data are trained under: "one-class" instead of the default if there are no anomalies to fit.

    Raises UserError for a protocol that needs other classes than the data have.
    """
    if not info.has_anomalies and protocol in ("paper", "one-class"):
        return "one-class"
    if protocol == HELD_OUT and info.has_anomalies:
        reason = "has anomalies in its train part; --protocol one-class validates on some of them and trains on none"
    elif protocol == HELD_OUT and len(info.class_names) > 1:
        return protocol
    elif not info.has_anomalies:
        reason = "has no anomalies to train on; use --protocol one-class"
    elif info.normal_class is not None and protocol == "leave-one-out":
        reason = f"has one normal class, {info.class_names[info.normal_class]!r}, and no other; use another protocol"
    elif protocol == "seen-unseen" and len(info.class_names) < 3:
        reason = f"has {len(info.class_names)} classes, expected at least 3, so that one stays unseen"
    else:
        return protocol
    raise UserError(f"--protocol {protocol}: {info.name} {reason}")
