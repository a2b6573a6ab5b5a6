"""--set, --range and --point: what is read from the command line, and what is refused in one line."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adcore.config import TrainConfig
from adcore.errors import UserError
from adcore.train.members import SHARED
from sweeps.engine.planning.make_plan import make_plan
from sweeps.engine.planning.overrides import FLAGS, parse_point, parse_ranges, parse_set
from sweeps.engine.planning.settings import SweepSettings
from sweeps.engine.planning.space import NOT_SEARCHED, Choice, Integers, LogUniform, Range, Uniform
from sweeps.gan_loss_weights import SPACE
from sweeps.loss_ablation import SPACE as GRID
from tests.refusals import refused

FIELDS = [field.name for field in dataclasses.fields(TrainConfig)]

#: Arguments, and what the one line must name.
REFUSED = {
    "unknown field": (["--set", "widht=4"], ["unknown --set field 'widht'", "did you mean 'width'"]),
    "unknown field of a range": (["--range", "abd=1:2"], ["unknown --range field 'abd'"]),
    "no value": (["--set", "width"], ["--set 'width'", "expected FIELD=VALUE"]),
    "an empty value": (["--set", "width="], ["--set 'width='", "expected FIELD=VALUE"]),
    "nothing": (["--set", ""], ["--set ''", "expected a value"]),
    "bytes that are no text": (["--point", "abc=\udcff"], ["--point", "text in UTF-8"]),
    "no number": (["--set", "width=wide"], ["--set width=wide", "not a valid integer"]),
    "commas": (["--range", "abc=1,2"], ["abc=1,2: '1,2' is not a valid float; expected", "mean weight_abc=1|2?"]),
    "no switch": (["--set", "crop=perhaps"], ["--set crop=perhaps", "not a valid boolean"]),
    "below the field's range": (["--set", "width=0"], ["--set width=0: expected a whole number >= 1"]),
    "not finite": (["--set", "weight_reconstruction=nan"], ["--set weight_reconstruction=nan", "finite"]),
    "an odd batch": (["--set", "batch_size=7"], ["--set batch_size=7: expected 1 or an even number"]),
    "a name that is none": (["--set", "norm=bach"], ["unknown norm 'bach'", "did you mean 'batch'"]),
    "twice": (["--set", "width=4", "--set", "width=4"], ["--set width: given twice"]),
    "a flag's field": (["--set", "epochs=3"], ["--set epochs=3", "use --epochs"]),
    "the classes": (["--set", "classes=3"], ["--set classes=3", "use --normal-class"]),
    "the seed": (["--set", "train_seed=3"], ["--set train_seed=3", "use --seed"]),
    "another detector": (["--set", "detector=vae"], ["--set detector=vae", "sweeps/tune.py"]),
    "a searched field": (["--set", "abc=3"], ["--set abc=3", "varies", "--range weight_abc=VALUE"]),
    "set and searched": (["--set", "width=4", "--range", "width=2|4"], ["--range width is given as well"]),
    "what another setting excludes": (
        ["--set", "draws=each-epoch", "--protocol", "one-class"], ["--set draws=each-epoch", "use --set draws=once"],
    ),
    "fields at odds": (
        ["--set", "pseudo_anomalies=rotate", "--set", "rotate=true"],
        ["--set rotate: with --set pseudo_anomalies=rotate rotated images are anomalies"],
    ),
    "a field and a range at odds": (
        ["--set", "pseudo_anomalies=all", "--range", "crop=false|true"], ["--range crop", "--set pseudo_anomalies=all"],
    ),
    "what the detector does not use": (["--set", "dropout=0.5"], ["--set dropout", "gan does not use it", "cnn"]),
    "a range that the detector does not use": (["--range", "latent_size=8|16"], ["--range latent_size", "vae"]),
    "an error in place of its weight": (["--range", "reconstruction=1:2"], ["did you mean weight_reconstruction?"]),
    "a range of epochs": (["--range", "epochs=1:4"], ["epochs cannot be searched", "same epochs", "--epochs"]),
    "a range of data": (["--range", "fold=0:4"], ["fold cannot be searched", "same images", "--set fold=VALUE"]),
    "a range of precision": (["--range", "precision=32-true|64-true"], ["precision cannot be searched"]),
    "a range upside down": (["--range", "abc=5:0.5"], ["--range abc=5:0.5", "LOW < HIGH"]),
    "a range from nan": (["--range", "abc=nan:5"], ["LOW < HIGH"]),
    "a range without end": (["--range", "abc=1:inf"], ["--range weight_abc: inf", "finite"]),
    "a log scale from 0": (["--range", "abc=0:5:log"], ["--range abc=0:5:log", "LOW > 0"]),
    "a log scale of integers": (["--range", "width=2:8:log"], ["--range width=2:8:log", "whole numbers"]),
    "an unknown scale": (["--range", "abc=1:5:lgo"], ["--range abc=1:5:lgo", "whole numbers"]),
    "too many parts": (["--range", "abc=1:5:log:2"], ["LOW:HIGH:log", "A|B|C"]),
    "steps that do not meet the end": (["--range", "width=4:9:2"], ["--range width=4:9:2", "steps of 2"]),
    "steps of nothing": (["--range", "width=4:8:0"], ["--range width=4:8:0"]),
    "integers beyond the field's": (["--range", "width=0:4"], ["--range width: 0", ">= 1"]),
    "odd batches within": (["--range", "batch_size=2:64"], ["--range batch_size: 3", "even"]),
    "a range of names": (["--range", "norm=batch:group"], ["--range norm=batch:group", "A|B|C"]),
    "a choice that is none": (["--range", "norm=batch|none"], ["unknown norm 'none'"]),
    "a choice twice": (["--range", "width=4|4"], ["--range width=4|4", "given twice"]),
    "an empty choice": (["--range", "width=4||8"], ["--range width=4||8"]),
    "a range twice": (["--range", "abc=1:2", "--range", "weight_abc=1:3"], ["--range weight_abc: given twice"]),
    "a point outside": (["--point", "abc=20"], ["--point abc=20", "weight_abc is 20.0, expected 0.1-10"]),
    "a point beside the space": (["--point", "width=4"], ["width is not searched", "--range width=", "--set width=4"]),
    "a point that is the default": (["--point", "abc=2"], ["--point abc=2", "the same as 'default'"]),
    "a point twice": (["--point", "abc=3", "--point", "abc=3.0"], ["--point abc=3.0", "the same as 'point 1'"]),
    "a field twice in a point": (["--point", "abc=3,weight_abc=4"], ["--point weight_abc: given twice"]),
    "a point with a hole": (["--point", "abc=3,,patch=1"], ["--point ''", "expected FIELD=VALUE"]),
    "a default outside": (
        ["--range", "width=16|32", "--point", "abc=3"], ["width is 8 by default, expected 16|32", "give width=VALUE"],
    ),
    "points that are never tried": (
        ["--point", "abc=3", "--point", "abc=4", "--configs", "2"], ["--configs 2", "expected at least 3"],
    ),
}  # fmt: skip


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, parts = REFUSED[name]
    line = refused(["--scale", "smoke", *arguments], capsys)
    for part in parts:
        assert part in line, line


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--range", "abc=1:2"], "--range abc=1:2: this script trains only its 12 points"),
        (["--point", "abc=1"], "--point abc=1: this script trains only its 12 points"),
        (["--set", "abc=1"], "weight_abc is what this sweep varies; leave it out"),
    ],
)
def test_a_grid_has_its_own_points_alone(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert part in refused(arguments, capsys, script="loss_ablation", space=GRID)


def test_every_field_of_a_flag_is_refused_and_no_other() -> None:
    flags = {field.name for field in dataclasses.fields(SweepSettings)} & set(FIELDS)
    assert set(FLAGS) == flags | {"classes", "train_seed", "detector"}
    assert set(NOT_SEARCHED) < set(FIELDS)
    assert set(SHARED) - set(NOT_SEARCHED) == {
        "width", "norm", "latent_size", "patch_size", "average_weights", "batch_size",
    }, "one kind a pack"  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("abc=0.5:5:log", "weight_abc", LogUniform(0.5, 5)),
        ("weight_abc=0.5:5", "weight_abc", Uniform(0.5, 5)),
        ("abc=1:5:int", "weight_abc", Integers(1, 5)),
        ("width=4:16", "width", Integers(4, 16)),
        ("width=4:16:4", "width", Integers(4, 16, 4)),
        ("batch-size = 16 : 64 : 16", "batch_size", Integers(16, 64, 16)),
        ("norm=batch|group", "norm", Choice(("batch", "group"))),
        ("crop=on|off", "crop", Choice((True, False))),
        ("learning_rate=1e-3", "learning_rate", Choice((0.001,))),
        ("decay=1e-5:1e-3:log", "weight_decay", LogUniform(1e-5, 1e-3)),
    ],
)
def test_a_range_is_what_it_says(text: str, name: str, expected: Range) -> None:
    assert parse_ranges([text]) == {name: expected}


def test_values_are_of_their_fields_types() -> None:
    texts = ["width=4", "norm=group", "crop=yes", "horizontal-flip=off", "images_per_class=all", "patience=3",
             "clusters=5", "weight_reconstruction=2"]  # fmt: skip
    assert parse_set(texts, SPACE, ()) == {
        "width": 4, "norm": "group", "crop": True, "horizontal_flip": False, "images_per_class": None, "patience": 3,
        "clusters": 5, "weight_reconstruction": 2.0,
    }  # fmt: skip


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=12), st.sampled_from(FIELDS)), st.text(":|,=.-1290abclogint \u00e4", max_size=12))
def test_whatever_is_typed_is_read_or_a_users_mistake(name: str, value: str) -> None:
    text = f"{name}={value}"
    for read in (lambda: parse_set([text], SPACE, ()), lambda: parse_ranges([text]),
                 lambda: parse_point(text, SPACE.ranges)):  # fmt: skip
        with contextlib.suppress(UserError):
            read()


@settings(max_examples=100)
@given(low=st.integers(1, 12), steps=st.integers(1, 12), step=st.integers(1, 6))
def test_every_value_of_an_accepted_range_can_be_trained_with(low: int, steps: int, step: int) -> None:
    text = f"batch_size={low}:{low + steps * step}:{step}"
    every = range(low, low + steps * step + 1, step)
    legal = all(value == 1 or value % 2 == 0 for value in every)
    flags: dict[str, Any] = {"scale": "smoke", "range": (text,)}
    try:
        make_plan("gan_loss_weights", SweepSettings(**flags), SPACE)
    except UserError:
        assert not legal
    else:
        assert legal


@settings(max_examples=50)
@given(low=st.floats(1e-3, 1e3), factor=st.floats(1.01, 100), log=st.booleans())
def test_a_range_keeps_every_digit(low: float, factor: float, log: bool) -> None:
    high = low * factor
    assume(low < high)
    [found] = parse_ranges([f"abc={low!r}:{high!r}{':log' if log else ''}"]).values()
    assert found == (LogUniform if log else Uniform)(low, high)
    assert found.holds(low)
    assert found.holds(high)
