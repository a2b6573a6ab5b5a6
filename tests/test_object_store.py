"""An object store: what is put is got, whole or not at all; what cannot be used is refused in one line."""

from __future__ import annotations

import dataclasses
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from adcore.errors import UserError
from sweeps.engine.storage import check as store_check
from sweeps.engine.storage.address import parse_address, split_name
from sweeps.engine.storage.check import open_store
from sweeps.engine.storage.errors import StorageError
from sweeps.engine.storage.object_store import ObjectStore
from tests.s3_server import S3Server, running_s3


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture(params=["s3", "folder", "fsspec"])
def store(request: pytest.FixtureRequest, s3: S3Server, tmp_path: Path) -> ObjectStore:
    """An empty store of each kind."""
    places = {"s3": s3.address(tmp_path.name), "folder": str(tmp_path / "store"), "fsspec": f"memory://{tmp_path.name}"}
    return open_store(places[request.param])


def _file(folder: Path, size: int) -> Path:
    file = folder / "model.ckpt"
    file.write_bytes(bytes(range(256)) * (size // 256))
    return file


@pytest.mark.parametrize("size", [2560, 12_000_256])  # one request, and several parts
def test_what_is_put_is_got_back(store: ObjectStore, size: int, tmp_path: Path) -> None:
    file, copy = _file(tmp_path, size), tmp_path / "a" / "copy"
    store.put(file, "checkpoints/one/model.ckpt")
    assert store.get("checkpoints/one/model.ckpt", copy)
    assert copy.read_bytes() == file.read_bytes()
    with store.reading("checkpoints/one/model.ckpt") as opened:
        assert opened
        opened.seek(size - 5)
        assert opened.read(5) == file.read_bytes()[-5:]
    assert store.names() == ["checkpoints/one/model.ckpt"], "and nothing of the tries to write"
    assert store.below("checkpoints").names("one") == ["one/model.ckpt"]
    assert store.holds("checkpoints/one/model.ckpt")
    assert not store.holds("checkpoints/one")


def test_what_is_not_there_is_none_and_no_error(store: ObjectStore, tmp_path: Path) -> None:
    assert not store.get("absent", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert store.get_bytes("absent") is None
    assert store.modified("absent") is None
    assert not store.holds("absent")
    assert store.names("absent") == []
    with store.reading("absent") as opened:
        assert opened is None
    store.delete("absent")
    store.delete_folder("absent")


def test_a_folder_is_deleted_with_all_in_it_and_nothing_else(store: ObjectStore) -> None:
    for name in ("a/1", "a/deep/2", "b/3"):
        store.put_bytes(b"content", name)
    store.delete_folder("a")
    assert store.names() == ["b/3"]
    store.delete("b/3")
    assert store.names() == []


def test_a_worker_gets_the_address_and_no_credentials(s3: S3Server) -> None:
    store = open_store(s3.address())
    store.put_bytes(b"content", "object")
    sent = pickle.dumps(store)
    assert b"test-secret" not in sent
    assert b"test-key-id" not in sent
    assert pickle.loads(sent).get_bytes("object") == b"content"


def test_the_endpoint_of_the_environment_goes_along_to_workers(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{s3.endpoint}")
    sent = pickle.dumps(open_store("s3://bucket/prefix"))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert pickle.loads(sent).names() == []


def test_a_store_that_is_away_is_an_error_that_names_the_object(tmp_path: Path) -> None:
    with running_s3() as gone:
        store = dataclasses.replace(open_store(gone.address()), attempts=1)
    for use in (
        lambda: store.put(_file(tmp_path, 256), "a/b"),
        lambda: store.get("a/b", tmp_path / "copy"),
        lambda: store.delete_folder("a/b"),
        lambda: store.names("a/b"),
    ):
        with pytest.raises(StorageError, match=r"^s3://bucket/sweeps/a/b: no access to the store ") as failed:
            use()
        assert "\n" not in str(failed.value)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    store.put_bytes(b"before", "a/object")
    (tmp_path / "store" / "a" / "object.part").mkdir()  # in the way
    with pytest.raises(StorageError):
        store.put_bytes(b"after", "a/object")
    assert store.get_bytes("a/object") == b"before"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nope://bucket/prefix", "unknown scheme 'nope'; expected s3://BUCKET/PREFIX, gs://BUCKET/PREFIX"),
        ("s3:///prefix", "no bucket; expected s3://BUCKET/PREFIX"),
        ("s3://bucket/prefix?endpoint=localhost", "unknown option 'endpoint' (expected one of: region, scheme"),
        ("s3://id:secret@bucket/prefix", "credentials do not belong in an address (before the @)"),
        ("s3://id@bucket/prefix", "credentials do not belong in an address (before the @)"),
        ("s3://bucket/prefix?secret_key=secret", "credentials do not belong in an address (secret_key)"),
        ("abfs://:secret@bucket/prefix", "credentials do not belong in an address (before the @)"),
        ("az://bucket/prefix", "Install adlfs"),
        ("", "expected s3://BUCKET/PREFIX"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_secrets(address: str, reason: str) -> None:
    with pytest.raises(UserError) as refused:
        open_store(address)
    assert reason in str(refused.value)
    assert "secret@" not in str(refused.value)
    assert "=secret" not in str(refused.value)


def test_a_bucket_that_is_missing_and_a_server_that_is_not_there_are_refused(s3: S3Server) -> None:
    with pytest.raises(UserError, match=r"^--checkpoints s3://other/p: there is no bucket 'other'"):
        open_store(s3.address("p", bucket="other"))
    with running_s3() as gone:
        address = gone.address("p")
    with pytest.raises(UserError, match=r"^--checkpoints s3://bucket/p: cannot be written .*[Cc]onnect"):
        open_store(address)


def test_a_server_that_never_answers_is_refused_after_a_while(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_check, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"s3://bucket/p?scheme=http&endpoint_override=127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=r"^--checkpoints s3://bucket/p: no answer within "):
            open_store(address)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        open_store(str(tmp_path / "file" / "below"))


def test_the_last_part_of_an_address_is_the_sweep() -> None:
    assert split_name("s3://bucket/a/b/NAME?scheme=http") == ("s3://bucket/a/b?scheme=http", "NAME")
    assert split_name("gs://bucket/NAME/") == ("gs://bucket", "NAME")
    with pytest.raises(UserError, match="expected the sweep's name at the end"):
        split_name("s3://bucket")


def test_a_special_character_in_an_address_stays(s3: S3Server) -> None:
    store = open_store(s3.address("my sweeps+1"))
    store.put_bytes(b"content", "object")
    assert store.names() == ["object"]
    assert parse_address("gs://bucket/my sweeps").for_pyarrow == "gs://bucket/my%20sweeps"
