"""A local sweep and what is around it: loopback alone, no token in a file, no secret; an ordinary share of the CPU."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from pathlib import Path

import psutil

from tests.sweep_process import Begin, SweepProcess, poll

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


def test_nothing_listens_beyond_loopback_and_no_secret_is_written(begin: Begin, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    sweep = begin(tmp_path, *ARGUMENTS, "--name", "q", HOME=str(home), AWS_SECRET_ACCESS_KEY=SECRET)
    poll(sweep.worker, "a worker that trains")
    addresses = _listening(sweep)
    assert len(addresses) >= 1, "Ray listens somewhere"
    assert {address for address in addresses if not _is_loopback(address)} == set()
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"

    assert not list(home.rglob("auth_token")), "the token stays in the processes' memory"
    assert SECRET not in sweep.out + sweep.err
    (session,) = Path("/tmp/ray").glob(f"session_2*_{sweep.process.pid}")
    written = [path for path in (*tmp_path.rglob("*"), *session.rglob("*")) if path.is_file()]
    assert len(written) > 20, "record, MLflow and Ray's logs"
    assert [str(path) for path in written if SECRET.encode() in path.read_bytes()] == []


def test_workers_get_the_same_share_of_a_busy_cpu_as_the_process_that_was_started(begin: Begin, tmp_path: Path) -> None:
    sweep = begin(tmp_path, *ARGUMENTS)
    assert poll(sweep.worker, "a worker that trains").nice() == psutil.Process(sweep.process.pid).nice()
