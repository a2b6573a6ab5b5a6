"""Settings dataclasses as command lines: one flag per field, one clear line and exit code 2 for bad input."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import gc
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from adcore.errors import UserError
from adcore.flag_types import ClassList, Duration, NumberOrWord, Unlimited
from adcore.options import flag_of
from adcore.system.output import Lost, is_a_closed_pipe, keep_going

__all__ = ["called_as", "dataclass_flags", "guarded", "run", "run_command", "value_of"]


#: How the names of the installed commands begin.
COMMANDS = "adsweep"
#: Exit code after Ctrl-C.
INTERRUPTED = 130


_TYPES: dict[str, Any] = {
    "str": click.STRING,
    "str | None": click.STRING,
    "int": click.INT,
    "int | None": click.INT,
    "float": click.FLOAT,
    "float | None": click.FLOAT,
    "tuple[int, ...]": ClassList(),
    "tuple[int | str, ...]": ClassList(),
    "tuple[str, ...]": click.STRING,  # of each
}


def dataclass_flags(settings: type[Any]) -> list[click.Parameter]:
    """One option per field of a dataclass made with adcore.options.option, inherited fields last; None if not given."""
    owner = {
        name: place
        for place, kind in reversed([*enumerate(settings.__mro__)])
        for name in inspect.get_annotations(kind)
    }
    return [_flag(field) for field in sorted(dataclasses.fields(settings), key=lambda field: owner[field.name])]


def called_as(program: str) -> str:
    """The name that this program was called by: that of an installed command, such as adsweep, or else `program`."""
    called = os.path.basename(sys.argv[0])
    return called if called.partition("-")[0] == COMMANDS else program


def value_of(field: dataclasses.Field[Any], text: str) -> Any:
    """A field's value, read from text as its flag reads it; a switch is on or off.

    Raises UserError, naming the text, if it cannot be read.
    """
    try:
        value = (click.BOOL if field.type == "bool" else _type_of(field)).convert(text, None, None)
    except click.BadParameter as error:
        raise UserError(error.message.rstrip(".")) from error
    return None if isinstance(value, Unlimited) else value


def run(
    program: str,
    text: str,
    parameters: Sequence[click.Parameter],
    body: Callable[..., int | None],
    argv: Sequence[str] | None = None,
    *,
    on_record: bool = False,
) -> None:
    """Run a program of one command: parse argv, call body, exit; the rest as for `run_command` and `guarded`."""
    program = called_as(program)
    command = click.Command(program, params=list(parameters), callback=guarded(body), help=_paragraphs(text))
    run_command(command, program, argv, on_record=on_record)


def guarded(body: Callable[..., int | None]) -> Callable[..., int | None]:
    """A command that calls body with the given options only, after it has checked their texts and the current folder.

    Raises UserError for what it finds; it returns the exit code of an interrupted program after Ctrl-C.
    """

    @functools.wraps(body)
    def callback(**values: Any) -> int | None:
        given = {name: value for name, value in values.items() if value is not None}
        shown = {each.name: _shown(each) for each in click.get_current_context().command.params}
        for name, value in given.items():
            for item in value if isinstance(value, tuple) else (value,):
                _check_text(shown[name], item)
        _check_current_folder()
        try:
            return body(**{name: None if isinstance(value, Unlimited) else value for name, value in given.items()})
        except KeyboardInterrupt:  # click would print an empty line
            return INTERRUPTED

    return callback


def run_command(
    command: click.Command, program: str, argv: Sequence[str] | None = None, *, on_record: bool = False
) -> None:
    """Run a command, or a group of them, whose functions are `guarded`; exit with the code that it returns.

    program: the name to show, unless an installed command was called; for that, a shell may ask for completions.

    A UserError, or a command line that does not parse, gives one line on stderr and exit code 2. If standard output
    can no longer be written, the program continues and reports it on stderr at the end; the exit code is then 1, unless
    all results are recorded as well (on_record) or the reader has closed the pipe.
    """
    atexit.register(gc.freeze)  # else the exit takes seconds: Python looks through all that torch and MLflow have made
    lost, program = keep_going(), called_as(program)
    try:
        code = command.main(argv, prog_name=program, standalone_mode=False)
    except click.NoSuchOption as error:
        takes_settings = any("--set" in parameter.opts for parameter in command.params)
        hint = " Settings of a training are given as --set FIELD=VALUE." if takes_settings else ""
        fail(error.format_message() + hint)
    except click.ClickException as error:
        fail(error.format_message())
    except UserError as error:
        fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    lost_code = _output_code(lost, on_record=on_record) if lost else 0
    sys.exit(code or lost_code)


def _output_code(lost: Lost, *, on_record: bool) -> int:
    """Exit code of a program that succeeded, depending on whether its output could be printed."""
    sys.stdout.flush()
    if lost.reason is None or is_a_closed_pipe(lost.reason):
        return 0
    where = "; all is on record" if on_record else ""
    print(f"not all output could be printed (standard output: {lost.reason.strerror}){where}", file=sys.stderr)
    return 0 if on_record else 1


def _check_current_folder() -> None:
    """Raises UserError if the current folder was removed, before a library ends the process with its own message."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the current folder was removed; change to an existing one") from None


def _shown(parameter: click.Parameter) -> str:
    """A parameter's name on the command line."""
    return parameter.human_readable_name if isinstance(parameter, click.Argument) else parameter.opts[0]


def _check_text(shown: str, value: Any) -> None:
    """Raises UserError, starting with the name that is shown, if a text is empty or not valid UTF-8."""
    if value == "":
        hint = f"; leave {shown} out for its default" if shown.startswith("--") else ""
        raise UserError(f"{shown} '': expected a value{hint}")
    if isinstance(value, str) and re.search("[\ud800-\udfff]", value):  # how Python shows bytes that are not UTF-8
        raise UserError(f"{shown} {value!a}: expected text in UTF-8")


def fail(message: str) -> NoReturn:
    """End the program after a user's mistake, with one line on stderr whatever the message contains."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def _flag(field: dataclasses.Field[Any]) -> click.Option:
    flag, word = flag_of(field.name), field.metadata["none"]
    text, default = field.metadata["help"], field.default
    if field.metadata["choices"]:
        text += f" ({', '.join(field.metadata['choices'])})"
    if field.type == "bool":
        both = f"{flag}/--no-{flag.removeprefix('--')}" if default else flag
        shown = "on" if default else "off"
        return click.Option([both, field.name], is_flag=True, default=None, help=f"{text} [default: {shown}]")
    if (default is not None or word) and field.type != "tuple[str, ...]":
        text += f" [default: {word if default is None else 'all' if default == () else default}]"
    options: dict[str, Any] = {"type": _type_of(field), "metavar": field.metadata["form"], "help": text}
    options["shell_complete"] = _choices(field)
    if field.type == "tuple[str, ...]":
        return click.Option([flag, field.name], multiple=True, callback=_or_none, **options)
    return click.Option([flag, field.name], default=None, **options)


def _choices(field: dataclasses.Field[Any]) -> Callable[[Any, Any, str], list[str]]:
    """What a shell completes a value to."""
    return lambda _context, _parameter, begun: [
        choice for choice in field.metadata["choices"] if choice.startswith(begun)
    ]


def _or_none(_context: click.Context, _flag: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...] | None:
    """The values of a flag that may be repeated; None if it was not given."""
    return given or None


def _type_of(field: dataclasses.Field[Any]) -> Any:
    """How click reads a value of a field that is not a switch."""
    word = field.metadata["none"]
    if field.metadata["is_time"]:
        return Duration(word)
    if word:
        return NumberOrWord(word, is_whole="int" in str(field.type))
    return _TYPES[str(field.type)]


def _paragraphs(text: str) -> str:
    """Mark indented paragraphs so that click does not rewrap them."""
    parts = text.strip().split("\n\n")
    return "\n\n".join(f"\b\n{part}" if part.startswith(" ") else part for part in parts)
