"""A local sweep and what is around it: loopback alone, no token in a file, no secret; an ordinary share of the CPU."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tests.sweep_process import SweepProcess, poll

pytestmark = pytest.mark.xdist_group("quiet")  # one sweep for all

ARGUMENTS = ["--scale", "smoke", "--normal-class", "0", "--configs", "1", "--epochs", "2"]
SECRET = "planted-3f9a1c-secret"


def _listening(sweep: SweepProcess) -> set[str]:
    """Addresses on which the sweep's processes listen."""
    found: set[str] = set()
    for process in [psutil.Process(sweep.process.pid), *sweep.tree]:
        with suppress(psutil.Error):
            found |= {each.laddr.ip for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN}
    return found


def _is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A sweep to its end, and what was seen as its worker trained."""
    folder = tmp_path_factory.mktemp("quiet")
    home = folder / "home"
    home.mkdir()
    sweep = SweepProcess(folder, *ARGUMENTS, env={"HOME": str(home), "AWS_SECRET_ACCESS_KEY": SECRET})
    try:
        worker = poll(sweep.worker, "a worker that trains")
        share, own = worker.nice(), psutil.Process(sweep.process.pid).nice()
        addresses = _listening(sweep)
        assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
        yield SimpleNamespace(folder=folder, home=home, sweep=sweep, share=share, own=own, addresses=addresses)
    finally:
        sweep.end()


def test_nothing_listens_beyond_loopback(quiet: SimpleNamespace) -> None:
    assert len(quiet.addresses) >= 1, "Ray listens somewhere"
    assert {address for address in quiet.addresses if not _is_loopback(address)} == set()


def test_no_secret_is_written(quiet: SimpleNamespace) -> None:
    sweep = quiet.sweep
    assert not list(quiet.home.rglob("auth_token")), "the token stays in the processes' memory"
    assert SECRET not in sweep.out + sweep.err
    (session,) = Path("/tmp/ray").glob(f"session_2*_{sweep.process.pid}")
    written = [path for path in (*quiet.folder.rglob("*"), *session.rglob("*")) if path.is_file()]
    assert len(written) > 20, "record, MLflow and Ray's logs"
    assert [str(path) for path in written if SECRET.encode() in path.read_bytes()] == []


def test_workers_get_the_same_share_of_a_busy_cpu_as_the_process_that_was_started(quiet: SimpleNamespace) -> None:
    assert quiet.share == quiet.own
