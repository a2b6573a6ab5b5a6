"""The sources of data files: single files of a mirror, an archive of a mirror, a Debian package.

Each puts verified files into the caller's folder, or raises one of FAILURES.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from adcore.datasets.files import MANIFEST, DataFile, DatasetError, Progress, find_file, read_verified

__all__ = ["FAILURES", "from_archive", "from_debian", "from_mirror"]

#: ValueError: an invalid address, or a DatasetError.
FAILURES = (OSError, ValueError, HTTPException, EOFError, tarfile.TarError, subprocess.SubprocessError)

SILENCE_SECONDS = 5  # timeout of a server that neither accepts nor sends
APT_SECONDS = 600
CHUNK = 1 << 18  # bytes


def from_mirror(mirror: str, files: Sequence[DataFile], folder: Path, progress: Progress) -> None:
    """Fetch gzipped single files, MIRROR/name.gz. mirror: address that ends in "/"."""
    for file in files:
        path = folder / f"{file.name}.gz"
        _download(mirror + path.name, path, file.size + 1024, progress)  # gzip adds little more than its header
        read_verified(path, file, label=mirror + path.name)


def from_archive(mirror: str, archive: DataFile, files: Sequence[DataFile], folder: Path, progress: Progress) -> None:
    """Fetch MIRROR/archive, a tar.gz, unpack the files and write a manifest of them.

    Only the archive has a published checksum; the manifest records those of its files.
    """
    packed = folder / archive.name
    _download(mirror + archive.name, packed, archive.size, progress)
    with open(packed, "rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if sha256 != archive.sha256:
        raise DatasetError(f"{mirror}{archive.name}: not the published archive, SHA-256 is {sha256[:12]}...; not used")
    _unpack(packed, files, folder)
    packed.unlink()
    sums = [hashlib.sha256((folder / file.name).read_bytes()).hexdigest() for file in files]
    manifest = "".join(f"{digest}  {file.name}\n" for digest, file in zip(sums, files, strict=True))
    (folder / MANIFEST).write_text(manifest, encoding="ascii")


def _unpack(packed: Path, files: Sequence[DataFile], folder: Path) -> None:
    names = {file.name for file in files}
    with tarfile.open(packed) as tar:
        for member in tar:
            name = os.path.basename(member.name)  # no folder: none of the archive's paths is followed
            content = tar.extractfile(member) if name in names else None
            if content is not None:
                with content, open(folder / name, "wb") as target:
                    shutil.copyfileobj(content, target, CHUNK)


def _download(url: str, path: Path, limit: int, progress: Progress) -> None:
    done = 0
    try:
        with urlopen(url, timeout=SILENCE_SECONDS) as response, open(path, "wb") as target:
            total = int(response.headers.get("Content-Length") or 0) or None
            while chunk := response.read(CHUNK):
                done += len(chunk)
                if done > limit:
                    raise DatasetError(f"larger than the {limit} bytes expected; not used")
                target.write(chunk)
                progress(path.name, done, total)
    except FAILURES as error:
        raise DatasetError(f"{url}: {getattr(error, 'reason', None) or error}") from None


def from_debian(package: str, system_folder: Path, files: Sequence[DataFile], folder: Path, progress: Progress) -> None:
    """Extract files from a Debian package that has them in `system_folder`, without installing it or being root.

    apt-get reads the machine's sources but keeps its lists in a temporary folder, so it needs neither write access
    elsewhere nor lists downloaded before.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise DatasetError(f"{tool} is not installed")
    with tempfile.TemporaryDirectory(prefix="adcore-apt-", ignore_cleanup_errors=True) as temporary:
        root = Path(temporary)
        (root / "state/lists/partial").mkdir(parents=True)
        (root / "cache/archives/partial").mkdir(parents=True)
        apt = ["apt-get", "-q", "-o", f"Dir::State={root}/state", "-o", f"Dir::Cache={root}/cache"]
        apt += ["-o", "Acquire::Languages=none", "-o", "Acquire::Retries=0", "-o", "APT::Sandbox::User=root"]
        apt += [
            option for kind in ("http", "https") for option in ("-o", f"Acquire::{kind}::Timeout={SILENCE_SECONDS}")
        ]
        progress("apt-get update", 0, None)
        _run([*apt, "update"], root, check=False)  # system hooks may fail here without harm to the lists
        progress(f"apt-get download {package}", 0, None)
        _run([*apt, "download", package], root)
        _run(["dpkg-deb", "-x", *map(str, root.glob("*.deb")), str(root / "unpacked")], root)
        unpacked = root / "unpacked" / system_folder.relative_to("/")
        for file in files:
            path = find_file(unpacked, file)
            if path is None:
                raise DatasetError(f"the package does not contain {file.name}")
            read_verified(path, file, label=f"{path.name} of the package")
            shutil.copyfile(path, folder / path.name)


def _run(command: Sequence[str], folder: Path, *, check: bool = True) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=APT_SECONDS,
    )
    if check and done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
        reason = errors[0] if errors else f"exit code {done.returncode}"
        raise DatasetError(f"{os.path.basename(command[0])} failed: {reason}")
