"""How click reads the values of flags that are neither a number nor plain text."""

from __future__ import annotations

import re
from typing import Any

import click

__all__ = ["ClassList", "Duration", "NumberOrWord", "Unlimited"]


class ClassList(click.ParamType):  # pyright: ignore[reportMissingTypeArgument] # generic from click 8.4 on
    """`all`, `6` or `0,Shirt` as a tuple of texts, an index or a name each; empty for all."""

    name = "classes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if not isinstance(value, str):
            return tuple(value)
        if value == "all":
            return ()
        parts = [part.strip() for part in value.split(",")]
        if not all(parts):
            self.fail(f"{value!r}: expected all, a class such as 6 or Shirt, or several such as 0,3,6", param, ctx)
        return tuple(parts)


class NumberOrWord(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """A number, whole or not, or a word that stands for None."""

    def __init__(self, word: str, *, is_whole: bool) -> None:
        self.word, self.number = word, click.INT if is_whole else click.FLOAT
        self.expected = f"a {'whole ' * is_whole}number, or {word}"
        self.name = f"{self.number.name}|{word}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | Unlimited:
        if value == self.word:
            return Unlimited()
        try:
            return self.number.convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r}: expected {self.expected}", param, ctx)


class Duration(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """`45s`, `90m`, `3h`, `1h30m` or `2d` in seconds, or a word that stands for None."""

    name = "time"
    parts = re.compile("".join(rf"(?:([0-9]+(?:[.][0-9]+)?){unit})?" for unit in "dhms"))
    seconds = (86400, 3600, 60, 1)

    def __init__(self, word: str | None = None) -> None:
        self.word = word

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | Unlimited:
        if isinstance(value, float):
            return value
        if self.word and value == self.word:
            return Unlimited()
        match = self.parts.fullmatch(value)
        if not value or match is None:
            self.fail(f"{value!r}: expected a time such as 45s, 90m, 3h, 1h30m or 2d", param, ctx)
        return sum(float(part) * unit for part, unit in zip(match.groups(), self.seconds, strict=True) if part)


class Unlimited:
    """An explicit None, as opposed to an option that was not given."""
