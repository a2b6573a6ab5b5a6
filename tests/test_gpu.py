"""What only a GPU can show: that a training step is captured there, and is the same as an eager one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not Path("/dev/nvidiactl").exists(), reason="needs an NVIDIA device")
def test_a_captured_step_is_the_same_as_an_eager_one() -> None:
    visible = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    command = [sys.executable, "benchmarks/gpu.py", "--check"]
    ran = subprocess.run(command, cwd=ROOT, env=visible, capture_output=True, text=True, timeout=450, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
