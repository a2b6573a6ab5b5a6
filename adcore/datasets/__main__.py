"""The command line of the data sets: `python -m adcore.datasets list`, `show NAME` and `fetch NAME`."""

from __future__ import annotations

import click

from adcore.command_line import guarded, run_command
from adcore.datasets import DATASETS, PARTS, check_name
from adcore.datasets.catalog import FILE_SETS
from adcore.datasets.fetch_display import fetch_progress
from adcore.datasets.fetching import FetchError, fill_cache
from adcore.datasets.locate import cache_root, describe_places
from adcore.datasets.own import is_own

__all__ = ["commands", "main"]


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """List and fetch image data sets."""


@commands.command("list")
@guarded
def list_datasets() -> None:
    """Show names, shapes and where a complete copy is."""
    for info in DATASETS.values():
        files = FILE_SETS.get(info.name)
        place = _without_files(info.name) if files is None else describe_places(files)
        click.echo(f"{info.name:14} {info.channels}x{info.size}x{info.size}  {len(info.class_names)} classes  {place}")


@commands.command()
@click.argument("name")
@guarded
def show(name: str) -> None:
    """Read the data set NAME (or folder:PATH, npz:FILE, csv:FILE) and count each class's images."""
    from adcore.protocols.held_out import load_part  # with torch

    parts = [load_part(name, part, "one-class") for part in PARTS]
    info = parts[0].info
    counts = [part.labels.bincount(minlength=len(info.class_names)).tolist() for part in parts]
    click.echo(f"{info.name}  {info.channels}x{info.size}x{info.size}")
    for index, (title, *class_counts) in enumerate(zip(info.class_names, *counts, strict=True)):
        role = "  (normal)" if index == info.normal_class else ""
        click.echo(f"{index:4} {title}  train {class_counts[0]}, test {class_counts[1]}{role}")
    for part in parts:
        click.echo(f"{part.part}: {len(part.labels)} images, content {part.content_hash[:12]}")
        for note in part.notes:
            click.echo(note, err=True)


@commands.command()
@click.argument("name")
@click.option("--mirror", metavar="URL", help="Fetch the original files from this address only (https: or file:).")
@guarded
def fetch(name: str, mirror: str | None = None) -> int:
    """Fetch the data set NAME into the user's cache and verify it."""
    check_name(name)
    if name not in FILE_SETS:
        click.echo(f"{name}: nothing to fetch, {_without_files(name)}")
        return 0
    mirrors = None if mirror is None else [mirror]
    try:
        with fetch_progress() as show:
            folder = fill_cache(FILE_SETS[name], cache_root(), mirrors=mirrors, progress=show)
    except FetchError as error:
        click.echo(f"error: {error}", err=True)
        return 1
    click.echo(f"{name}: complete and verified in {folder}")
    return 0


def _without_files(name: str) -> str:
    if is_own(name):
        return "data of your own are read where they are"
    return "part of scikit-learn" if name == "digits" else "read by its own function"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a mistake gives one line on stderr and exit code 2, a failed fetch exit code 1."""
    run_command(commands, "python -m adcore.datasets", arguments)


if __name__ == "__main__":
    main()
