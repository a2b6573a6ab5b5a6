"""A warning of a network disk: SQLite's locks do not hold there, and a record can be damaged."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["network_disk", "network_disk_line"]

#: Where Linux lists what is mounted.
MOUNTS = Path("/proc/mounts")
#: Types of file systems that lie on another machine; FUSE's are, but for the layers of a container.
REMOTE = re.compile(r"nfs\d?|cifs|smb\w*|ceph|glusterfs|lustre|beegfs|gpfs|afs|9p|fuse\.(?!fuse-overlayfs|lxcfs).*")


def network_disk(folder: Path, mounts: Path = MOUNTS) -> str:
    """The type of the network file system that a folder lies on, such as nfs4; "" if it lies on none, or not known."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:  # not Linux
        return ""
    longest = Path("/"), ""
    for _, mounted, kind, *_ in (line.split() for line in lines):
        place = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), mounted))
        if folder.is_relative_to(place) and len(place.parts) >= len(longest[0].parts):
            longest = place, kind
    return longest[1] if REMOTE.fullmatch(longest[1]) else ""


def network_disk_line(folder: Path) -> str:
    """A line that warns of a record on a network disk; "" if there is no need."""
    kind = network_disk(folder)
    return kind and (
        f"--storage {folder} is on a network disk ({kind}), where SQLite's locks may not hold: the record can be "
        "damaged; prefer a local --storage, with --checkpoints s3://BUCKET/PREFIX for what nodes share"
    )
