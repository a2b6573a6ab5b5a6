"""Address of an object store: scheme://BUCKET/PREFIX?OPTIONS or a folder, without credentials."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from adcore.errors import UserError

__all__ = ["Address", "absolute_folder", "parse_address", "split_name"]

#: Schemes of pyarrow's own file systems; any other one has to be one of fsspec's.
OF_PYARROW = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
#: Options of an S3 address, and the variables that give its endpoint, as for AWS's own tools.
S3_OPTIONS, ENDPOINTS = ("region", "scheme", "endpoint_override"), ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
#: Parts of the names of options that hold a secret.
SECRET = re.compile("key|secret|token|password|credential", re.IGNORECASE)
EXPECTED = "expected s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, another address of pyarrow or fsspec, or a folder"


@dataclasses.dataclass(frozen=True)
class Address:
    """scheme: "" for a folder. path: bucket and prefix, or the folder. options: what is behind the question mark."""

    scheme: str
    path: str
    options: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    def below(self, name: str) -> Address:
        """The address of what has this name there."""
        return dataclasses.replace(self, path=f"{self.path.rstrip('/')}/{name}" if name else self.path)

    def with_options(self, options: Mapping[str, str]) -> str:
        """The same as text, with other options."""
        if not self.scheme:
            return self.path
        place = f"{self.scheme}://{quote(self.path, safe='/:@~')}"
        return f"{place}?{urlencode(options, safe=':/')}" if options else place

    @property
    def for_messages(self) -> str:
        """The same as text, for messages, without options."""
        return f"{self.scheme}://{self.path}" if self.scheme else self.path

    @property
    def for_pyarrow(self) -> str:
        """What pyarrow's FileSystem.from_uri takes."""
        return ("" if self.scheme in OF_PYARROW else "fsspec+") + self.with_options(self.options)


def absolute_folder(text: str, flag: str) -> Path:
    """The folder that a text names, absolute. Raises UserError, starting with the flag, if it cannot name one."""
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError) as error:  # circular links, the home folder of an unknown user
        raise UserError(f"{flag} {text!r}: not a usable folder ({error})") from error


def parse_address(text: str, flag: str = "--checkpoints") -> Address:
    """The address in a text; of S3, with the endpoint that the environment gives.

    Raises UserError, starting with the flag, for a text that is none, an unknown scheme or option, and for credentials
    in it: they would be in the record and in the list of processes.
    """
    if "://" not in text:
        if not text or "\n" in text:
            raise UserError(f"{flag} {text!r}: {EXPECTED}")
        return Address("", str(absolute_folder(text, flag)))
    try:
        parts = urlsplit(text)
    except ValueError as error:  # such as a bracket that is not closed
        raise UserError(f"{flag} {text.partition('://')[0]}://...: not an address ({error}); {EXPECTED}") from error
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    place = f"{flag} {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    _refuse_credentials(place, parts.scheme, parts.username, parts.password, options)
    if not _is_known(parts.scheme):
        raise UserError(f"{place}: unknown scheme {parts.scheme!r}; {EXPECTED}")
    if not parts.netloc and parts.scheme in OF_PYARROW:
        raise UserError(f"{place}: no bucket; {EXPECTED}")
    if parts.scheme == "s3":
        options = _s3_options(place, options)
    return Address(parts.scheme, f"{parts.netloc}{parts.path}".rstrip("/"), options)


def split_name(text: str) -> tuple[str, str]:
    """The address of a store and the name of a sweep in it: s3://BUCKET/PREFIX?OPTIONS and NAME."""
    place, mark, options = text.partition("?")
    store, _, name = place.rstrip("/").rpartition("/")
    if store.endswith(("/", ":")):
        raise UserError(f"--resume {place}: expected the sweep's name at the end, as in s3://BUCKET/PREFIX/NAME")
    return f"{store}{mark}{options}", name


def _refuse_credentials(
    place: str, scheme: str, user: str | None, password: str | None, options: Mapping[str, str]
) -> None:
    secret = next((name for name in options if SECRET.search(name)), "")
    if password is not None or secret or (user and scheme in ("s3", "gs", "gcs")):
        raise UserError(
            f"{place}: credentials do not belong in an address ({secret or 'before the @'}); give them in the "
            "environment, such as AWS_ACCESS_KEY_ID, in ~/.aws, or as a role of the machine"
        )


def _is_known(scheme: str) -> bool:
    if scheme in OF_PYARROW:
        return True
    import fsspec

    return scheme.removeprefix("fsspec+") in fsspec.available_protocols()


def _s3_options(place: str, options: Mapping[str, str]) -> dict[str, str]:
    if unknown := next((name for name in options if name not in S3_OPTIONS), None):
        raise UserError(f"{place}: unknown option {unknown!r} (expected one of: {', '.join(S3_OPTIONS)})")
    endpoint = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), "")
    if endpoint and "endpoint_override" not in options:
        scheme, _, host = endpoint.rpartition("://")
        options = {"scheme": scheme or "https", **options, "endpoint_override": host.rstrip("/")}
    return dict(options)
