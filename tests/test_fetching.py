"""Fetching into the cache: from a server on this machine, with every way it can go wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from adcore.datasets.__main__ import main
from adcore.datasets.fetching import FetchError, fill_cache
from adcore.datasets.files import MANIFEST, DataFile, DatasetError, FileSet, read_part
from adcore.datasets.locate import Request, find_part
from tests.small_idx import IMAGES, LABELS, idx_images, idx_labels, small_set, write_train

ROOT = Path(__file__).parents[1]


class Mirror(NamedTuple):
    address: str
    folder: Path  # what it serves
    requests: list[str]
    gate: threading.Event  # answers wait for it
    asked: threading.Event  # the first request has come


class Handler(SimpleHTTPRequestHandler):
    def __init__(
        self, *arguments: object, requests: list[str], gate: threading.Event, asked: threading.Event, directory: str
    ) -> None:
        self.seen, self.gate, self.asked = requests, gate, asked
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.asked.set()
        self.gate.wait(60)
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        self.seen.append(self.path)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    folder = tmp_path / "mirror"
    write_train(folder, idx_images(), idx_labels())
    requests: list[str] = []
    gate, asked = threading.Event(), threading.Event()
    gate.set()
    handler = partial(Handler, requests=requests, gate=gate, asked=asked, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Mirror(f"http://127.0.0.1:{server.server_port}/", folder, requests, gate, asked)
        server.shutdown()


def contents(files: FileSet, folder: Path) -> list[bytes]:
    return [content.data for content in read_part(files, "train", folder)]


def test_fetched_files_are_whole_and_progress_is_reported(mirror: Mirror, tmp_path: Path) -> None:
    files, reports = small_set(mirror.address), []
    folder = fill_cache(files, tmp_path / "cache", progress=lambda *report: reports.append(report))
    assert contents(files, folder) == [idx_images(), idx_labels()]
    size = (mirror.folder / f"{IMAGES}.gz").stat().st_size
    assert (f"{IMAGES}.gz", size, size) in reports
    assert sorted(path.name for path in folder.iterdir()) == [".lock", f"{IMAGES}.gz", f"{LABELS}.gz"]


def test_two_processes_fetching_at_once_download_once_and_both_succeed(mirror: Mirror, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from adcore.datasets.fetching import fill_cache; "
        "from tests.small_idx import small_set; print('ready', flush=True); input(); "
        "fill_cache(small_set(sys.argv[1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, mirror.address, str(tmp_path / "cache")]
    mirror.gate.clear()  # whoever is first must still be fetching when the other one comes
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    assert mirror.asked.wait(240)
    mirror.gate.set()
    for process in both:
        process.communicate(timeout=240)
    assert [process.returncode for process in both] == [0, 0]
    assert len(mirror.requests) == 2, "one request per file"
    files = small_set()
    assert contents(files, tmp_path / "cache" / files.name) == [idx_images(), idx_labels()]


def test_bad_file_in_the_cache_is_fetched_again_and_good_ones_are_kept(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADCORE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files = small_set(mirror.address)
    bad = write_train(tmp_path / "adcore" / "datasets" / files.name, idx_images(), idx_labels())
    bad.write_bytes(bad.read_bytes()[:-9])
    (bad.parent / ".fetch-killed").mkdir()
    assert find_part(files, Request("train"))[0].data == idx_images()
    assert [Path(path).name for path in mirror.requests] != []
    assert len(mirror.requests) == 1, "only the bad file"
    assert not (bad.parent / ".fetch-killed").exists()


def test_a_bad_file_stays_until_there_is_another_in_its_place(mirror: Mirror, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "small"
    folder.mkdir(parents=True)
    bad = folder / IMAGES
    bad.write_bytes(b"not gzipped, not right")
    with pytest.raises(FetchError):
        fill_cache(small_set((tmp_path / "nowhere").as_uri()), tmp_path / "cache")
    assert bad.exists()
    fill_cache(small_set(mirror.address), tmp_path / "cache")
    assert not bad.exists()
    assert (folder / f"{IMAGES}.gz").exists()


@pytest.mark.parametrize(
    ("served", "reason"),
    [
        (b"<html>log in</html>", "damaged or not gzip"),
        (gzip.compress(idx_images())[:-9], "cut short"),
        (gzip.compress(idx_images()[:-1] + b"?"), "not the published"),
        (gzip.compress(b"\0" * 1_000_000), "larger than"),
        (random.Random(0).randbytes(10_000), "larger than"),
    ],
    ids=["a page", "cut", "changed", "too much when unpacked", "noise"],  # the bytes hold the time: no names for tests
)
def test_wrong_download_is_named_and_leaves_nothing_behind(
    mirror: Mirror, tmp_path: Path, served: bytes, reason: str
) -> None:
    (mirror.folder / f"{IMAGES}.gz").write_bytes(served)
    with pytest.raises(FetchError) as caught:
        fill_cache(small_set(mirror.address), tmp_path / "cache")
    (line,) = caught.value.tried
    assert f"{mirror.address}{IMAGES}.gz: " in line
    assert reason in line
    assert [path.name for path in (tmp_path / "cache" / "small").iterdir()] == [".lock"]


def test_next_mirror_is_tried_and_every_failure_is_listed(mirror: Mirror, tmp_path: Path) -> None:
    files = small_set()
    dead = ["http://127.0.0.1:9/", f"{mirror.address}absent", "not an address"]
    with pytest.raises(FetchError) as caught:
        fill_cache(files, tmp_path / "cache", mirrors=dead)
    assert len(caught.value.tried) == 3
    assert all(address in line for address, line in zip(dead, caught.value.tried, strict=True))
    assert contents(files, fill_cache(files, tmp_path / "cache", mirrors=[*dead, mirror.address]))


def test_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")  # works for root, too, unlike taking away permissions
    with pytest.raises(DatasetError, match=r"file.datasets.small: cannot be written \(Not a directory\)"):
        fill_cache(small_set(), tmp_path / "file" / "datasets")


def test_archive_is_checked_and_its_files_get_a_manifest(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in (("batches/a.bin", b"first"), ("../outside.bin", b"no"), ("batches/b.bin", b"second")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    (tmp_path / "set.tar.gz").write_bytes(packed.getvalue())
    archive = DataFile("set.tar.gz", len(packed.getvalue()), hashlib.sha256(packed.getvalue()).hexdigest())
    part = (DataFile("a.bin", 5, None), DataFile("b.bin", 6, None))
    files = FileSet("set", {"train": part}, lambda: [tmp_path.as_uri()], ("set",), archive=archive)
    folder = fill_cache(files, tmp_path / "cache")
    assert contents(files, folder) == [b"first", b"second"]
    assert sorted(path.name for path in folder.iterdir()) == [".lock", MANIFEST, "a.bin", "b.bin"]
    (folder / "a.bin").write_bytes(b"other")
    with pytest.raises(DatasetError, match=r"a\.bin: not the published a\.bin"):
        read_part(files, "train", folder)
    assert contents(files, fill_cache(files, tmp_path / "cache")) == [b"first", b"second"]
    (tmp_path / "set.tar.gz").write_bytes(packed.getvalue()[:-1])
    with pytest.raises(FetchError, match=r"set\.tar\.gz: not the published archive"):
        fill_cache(files, tmp_path / "empty")


def test_package_source_says_what_is_not_installed(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    files = replace(
        small_set(f"{mirror.address}absent"), debian_package="dataset-small", system_folder=tmp_path / "system"
    )
    with pytest.raises(FetchError) as caught:
        fill_cache(files, tmp_path / "cache")
    assert caught.value.tried[1] == "Debian package dataset-small: apt-get is not installed"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fetch", "fashon"], 2, "error: unknown data set 'fashon'; did you mean 'fashion-mnist'?"),
        (["fetch"], 2, "error: Missing argument 'NAME'."),
        (["fetch", "mnist", "--miror", "x"], 2, "error: No such option"),
        ([], 2, "error: Missing command"),
    ],
)
def test_command_line_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == code
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert len(error.strip().splitlines()) == 1


def test_command_line_fetches_nothing_for_a_bundled_set(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fetch", "digits"])
    assert caught.value.code == 0
    assert "scikit-learn" in capsys.readouterr().out
