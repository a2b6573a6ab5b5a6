"""The device that this machine trains on, found without torch, whose import takes seconds."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from pathlib import Path

__all__ = ["cuda_devices", "device_name", "has_cuda_device"]

#: What there is instead under Windows (WSL2): its graphics device, and NVIDIA's driver.
IN_WINDOWS = ("dev/dxg", "usr/lib/wsl/lib/libcuda.so.1")


def has_cuda_device(root: Path = Path("/")) -> bool:
    """Whether this machine has an NVIDIA device that this process may use. root: where dev/ and usr/ are."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return (root / "dev/nvidiactl").exists() or all((root / file).exists() for file in IN_WINDOWS)


def cuda_devices(root: Path = Path("/")) -> int:
    """How many NVIDIA devices this process may use. root: where proc/ is mounted."""
    if not has_cuda_device():
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return len(visible.split(",")) if visible else len(list((root / "proc/driver/nvidia/gpus").glob("*"))) or 1


def device_name(root: Path = Path("/")) -> str:
    """The GPU's name if there is one, else the processor's. root: where proc/ is mounted."""
    file, pattern = root / "proc/cpuinfo", r"model name\s*: (.+)"
    if has_cuda_device():
        file, pattern = min((root / "proc/driver/nvidia/gpus").glob("*/information"), default=file), r"Model:\s*(.+)"
    with contextlib.suppress(OSError):
        if match := re.search(pattern, file.read_text(encoding="utf-8", errors="replace")):
            return match[1].strip()
    if has_cuda_device():  # its name is in no file under Windows
        return "NVIDIA GPU"
    return platform.processor() or platform.machine()
