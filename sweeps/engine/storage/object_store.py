"""ObjectStore: files by name below an address: S3, Google Cloud Storage, whatever pyarrow or fsspec reaches."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import io
import os
import shutil
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from sweeps.engine.storage.address import Address
from sweeps.engine.storage.errors import StorageError, one_line

__all__ = ["NO_ACCESS", "ObjectStore"]

#: How the reason of a StorageError of a store begins, in lower case.
NO_ACCESS = "no access to the store"
#: File systems in which an object appears complete or not at all.
ATOMIC = ("s3", "gcs", "abfs")
#: Bytes of a request to read, of one where only parts of a file are needed, and seconds to wait for a connection.
CHUNK, SMALL_CHUNK, CONNECT_SECONDS = 16_000_000, 256_000, 5.0
#: Seconds in which Google's client tries again, for each attempt of another one.
SECONDS_PER_ATTEMPT = 8


@dataclasses.dataclass(frozen=True)
class ObjectStore:
    """Every method raises StorageError, after a request was tried `attempts` times with growing pauses.

    A worker that receives a store connects by itself: with the credentials of its node, never with those of the driver.
    """

    address: Address
    attempts: int = 8

    def below(self, name: str) -> ObjectStore:
        """The store of what lies in a folder of this one."""
        return dataclasses.replace(self, address=self.address.below(name))

    def place(self, name: str) -> str:
        """The address of an object, for messages."""
        return self.address.below(name).for_messages

    def put(self, file: Path, name: str) -> None:
        """Copy a file to the store, where it appears complete or not at all."""
        import pyarrow as pa

        with self._naming(name), pa.memory_map(str(file)) as source:
            self._write(name, source.read_buffer())

    def put_bytes(self, data: bytes, name: str) -> None:
        """The same with the content of a file."""
        with self._naming(name):
            self._write(name, data)

    def get(self, name: str, file: Path) -> bool:
        """Copy an object to a file, which appears complete or not at all; False if there is no such object."""
        part = file.with_name(f".{file.name}.part")
        with self._naming(name):
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                with self._system.open_input_stream(self._path(name)) as source, part.open("wb") as sink:
                    shutil.copyfileobj(cast(IO[bytes], source), sink, CHUNK)
            except FileNotFoundError:
                return False
            os.replace(part, file)
        return True

    def get_bytes(self, name: str) -> bytes | None:
        """The content of an object; None if there is no such object."""
        with self._naming(name):
            try:
                with self._system.open_input_stream(self._path(name)) as source:
                    return source.readall()
            except FileNotFoundError:
                return None

    @contextlib.contextmanager
    def reading(self, name: str) -> Generator[IO[bytes] | None]:
        """An object open for reading of parts of it, which may raise OSError; None if there is no such object."""
        with self._naming(name):
            try:
                file = self._system.open_input_file(self._path(name))
            except FileNotFoundError:
                file = None
        if file is None:
            yield None
            return
        with file:
            yield io.BufferedReader(file, SMALL_CHUNK)

    def delete(self, name: str) -> None:
        """Delete an object; one that is not there is no error."""
        with self._naming(name), contextlib.suppress(FileNotFoundError):
            self._system.delete_file(self._path(name))

    def delete_folder(self, name: str) -> None:
        """Delete all objects of a folder; one that is not there is no error."""
        with self._naming(name), contextlib.suppress(FileNotFoundError):
            self._system.delete_dir(self._path(name))

    def names(self, folder: str = "") -> list[str]:
        """The names of all objects in a folder, of any depth, sorted."""
        from pyarrow.fs import FileSelector, FileType

        with self._naming(folder):
            selector = FileSelector(self._path(folder), recursive=True, allow_not_found=True)
            infos = self._system.get_file_info(selector)
        files = [PurePosixPath(info.path) for info in infos if info.type == FileType.File]
        return sorted(str(path.relative_to(self._root)) for path in files)

    def modified(self, name: str) -> datetime.datetime | None:
        """When an object was written, by the store's clock; None if it is not there, or the store does not note it."""
        with self._naming(name):
            return self._system.get_file_info(self._path(name)).mtime

    def holds(self, name: str) -> bool:
        """Whether there is an object of this name."""
        from pyarrow.fs import FileType

        with self._naming(name):
            return self._system.get_file_info(self._path(name)).type == FileType.File

    def holds_bucket(self) -> bool:
        """Whether the bucket is there; True for a store without buckets."""
        from pyarrow.fs import FileType

        if self._system.type_name not in ATOMIC:
            return True
        with self._naming(""):
            return self._system.get_file_info(self._root.partition("/")[0]).type != FileType.NotFound

    def _write(self, name: str, data: Any) -> None:
        path = self._path(name)
        if self._system.type_name in ATOMIC:
            self._write_at(path, data)
            return
        self._system.create_dir(str(PurePosixPath(path).parent), recursive=True)
        part = f"{path}.part"
        self._write_at(part, data)
        self._system.move(part, path)

    def _write_at(self, path: str, data: Any) -> None:
        with self._system.open_output_stream(path) as sink:
            sink.write(data)  # at once: a stream that is closed half-way would leave a cut object

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @contextlib.contextmanager
    def _naming(self, name: str) -> Generator[None]:
        """Turn an error of the store, or of a local file, into a StorageError that names the object."""
        try:
            yield
        except (OSError, ValueError, ImportError) as error:  # pyarrow's are of these kinds
            raise StorageError(f"{self.place(name)}: {NO_ACCESS} ({one_line(error)})") from error

    @functools.cached_property
    def _file_system_and_root(self) -> tuple[Any, str]:
        """pyarrow's file system, and the path in it below which the objects lie."""
        with self._naming(""):
            return _open(self.address, self.attempts)

    @property
    def _system(self) -> Any:
        return self._file_system_and_root[0]

    @property
    def _root(self) -> str:
        return self._file_system_and_root[1].rstrip("/")

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStore, (self.address, self.attempts)  # without the open connection


def _open(address: Address, attempts: int) -> tuple[Any, str]:
    from pyarrow import fs

    if address.scheme == "s3":
        options: dict[str, Any] = dict(address.options)
        retries = fs.AwsStandardS3RetryStrategy(max_attempts=attempts)
        options |= {"connect_timeout": CONNECT_SECONDS, "allow_delayed_open": True}  # small objects in one request
        return fs.S3FileSystem(**options, retry_strategy=retries), address.path
    if address.scheme in ("gs", "gcs"):
        options = {"retry_limit_seconds": str(attempts * SECONDS_PER_ATTEMPT), **address.options}
        return fs.FileSystem.from_uri(address.with_options(options))
    if not address.scheme:
        return fs.LocalFileSystem(), address.path
    return fs.FileSystem.from_uri(address.for_pyarrow)
