"""An S3 on this machine: moto's server, which checks no credentials."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem

from tests.sweep_process import HANGS

#: What a process needs to reach it, besides its address; no real credentials.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test-key-id",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "bucket"


class S3Server:
    """A running server with one bucket. endpoint: its host and port."""

    def __init__(self) -> None:
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.endpoint = f"{host}:{port}"
        options: dict[str, Any] = {"access_key": "test-key-id", "secret_key": "test-secret", "region": "us-east-1"}
        options |= {"request_timeout": HANGS, "connect_timeout": HANGS}  # the first request has moto import its S3
        S3FileSystem(scheme="http", endpoint_override=self.endpoint, allow_bucket_creation=True, **options).create_dir(
            BUCKET
        )

    def address(self, prefix: str = "sweeps", bucket: str = BUCKET) -> str:
        """The address of a prefix in the bucket, with the server's endpoint."""
        return f"s3://{bucket}/{prefix}?scheme=http&endpoint_override={self.endpoint}"

    def stop(self) -> None:
        """End it; what it holds is lost."""
        self.server.stop()


@contextlib.contextmanager
def running_s3() -> Iterator[S3Server]:
    """A server, and the environment of this process that reaches it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        server = S3Server()
        yield server
        server.stop()
