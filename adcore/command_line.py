"""Settings dataclasses as command lines: one flag per field, one clear line and exit code 2 for bad input."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from adcore.errors import UserError

__all__ = ["dataclass_flags", "run"]


class ClassList(click.ParamType):
    """`all`, `6` or `0,3,6` as a tuple of class indices; empty for all."""

    name = "classes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if not isinstance(value, str):
            return tuple(value)
        if value == "all":
            return ()
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: expected all, a class such as 6, or several such as 0,3,6", param, ctx)


class IntOrAll(click.ParamType):
    """A whole number, or `all` for None."""

    name = "number|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        return None if value == "all" else click.INT.convert(value, param, ctx)


_TYPES: dict[str, click.ParamType] = {
    "str": click.STRING,
    "str | None": click.STRING,
    "int": click.INT,
    "int | None": IntOrAll(),
    "float": click.FLOAT,
    "float | None": click.FLOAT,
    "tuple[int, ...]": ClassList(),
}


def dataclass_flags(settings: type[Any]) -> list[click.Parameter]:
    """One option per field of a dataclass made with adcore.options.option. An unset option is None."""
    return [_flag(field) for field in dataclasses.fields(settings)]


def run(
    program: str, help: str, parameters: Sequence[click.Parameter], body: Callable[..., int | None], argv: Sequence[str] | None = None  # noqa: A002
) -> None:
    """Parse argv, call body with the options given (unset ones left out), and exit with the code it returns.

    A UserError, or a command line that does not parse, is one line on stderr and exit code 2.
    """

    def callback(**values: Any) -> int | None:
        return body(**{name: value for name, value in values.items() if value is not None})

    command = click.Command(program, params=list(parameters), callback=callback, help=help)
    try:
        code = command.main(argv, prog_name=program, standalone_mode=False)
    except click.ClickException as error:
        fail(" ".join(error.format_message().split()))
    except UserError as error:
        fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    sys.exit(code or 0)


def fail(message: str) -> None:
    """End the program for a mistake of the user's."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _flag(field: dataclasses.Field[Any]) -> click.Option:
    name = field.metadata["flag"] or field.name.replace("_", "-")
    default = field.default
    choices = f" ({', '.join(field.metadata['choices'])})" if field.metadata["choices"] else ""
    shown = "all" if default in ((), None) else default
    text = f"{field.metadata['help']}{choices}"
    if field.type == "bool":
        declaration = f"--{name}/--no-{name}" if default else f"--{name}"
        return click.Option([declaration, field.name], default=None, help=f"{text}  [default: {'on' if default else 'off'}]")
    return click.Option([f"--{name}", field.name], type=_TYPES[str(field.type)], default=None, help=f"{text}  [default: {shown}]")
