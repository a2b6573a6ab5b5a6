"""A record on a network disk is said in a line: its mount is found in the kernel's list."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.engine.storage import network_disk
from sweeps.engine.storage.network_disk import network_disk_line

MOUNTS = """\
overlay / overlay rw 0 0
proc /proc proc rw 0 0
server:/export /shared nfs4 rw,relatime 0 0
/dev/sdb1 /shared/local ext4 rw 0 0
//server/share /my\\040files cifs rw 0 0
sshfs /remote fuse.sshfs rw 0 0
fuse-overlayfs /container fuse.fuse-overlayfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/shared/sweeps", "nfs4"),
        ("/shared", "nfs4"),
        ("/my files/sweeps", "cifs"),
        ("/remote/a/b", "fuse.sshfs"),
        ("/shared/local/sweeps", ""),
        ("/sharedelsewhere", ""),
        ("/container/sweeps", ""),
        ("/home/me", ""),
    ],
)
def test_a_network_disk_is_known_by_the_innermost_mount(folder: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert network_disk.network_disk(Path(folder), tmp_path / "mounts") == kind


def test_the_line_names_folder_and_kind_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_disk, "network_disk", lambda _: "nfs4")
    line = network_disk_line(Path("/shared/sweeps"))
    assert line.startswith("--storage /shared/sweeps is on a network disk (nfs4)")
    assert "--checkpoints s3://" in line


def test_without_a_list_of_mounts_and_on_a_local_disk_nothing_is_said(tmp_path: Path) -> None:
    assert network_disk.network_disk(tmp_path, tmp_path / "absent") == ""
