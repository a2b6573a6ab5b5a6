"""What a new process takes: the import of Lightning, as Python does it and with large_imports(), and the first step.

    python benchmarks/imports.py --rounds 5

Each measurement is a process of its own, the kinds in turn. Printed are medians: processor seconds of the import both
ways, and the seconds on the clock from a process's start to its first training step, which is what a new worker of
Ray's waits; a worker that stays from trial to trial has its imports.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from statistics import median

PLAIN = "import pytorch_lightning"
PAUSED = f"from adcore.system.imports import large_imports\nwith large_imports():\n    {PLAIN}"
#: What a trial imports, and a training that ends at its first step.
FIRST_STEP = """
import os, time
from adcore.system.imports import large_imports
with large_imports():
    from ray import tune
    from adcore.config import TrainConfig
    from adcore.datasets import load
    from adcore.train.pack import Pack
    from adcore.train import train

def first_step(*_):
    print(time.time(), flush=True)
    os._exit(0)

Pack.training_step = first_step
train(TrainConfig(dataset="digits"), lambda _: None, data=load("digits", "train"))
"""


def import_seconds(program: str) -> float:
    """Processor time of a new Python that runs this program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start_seconds() -> float:
    """Time from the start of a new Python to its first training step."""
    started = time.time()
    ran = subprocess.run([sys.executable, "-c", FIRST_STEP], check=True, capture_output=True, text=True)
    return float(ran.stdout) - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round: says that it runs")
    flags = parser.parse_args()
    rounds = 1 if flags.quick else flags.rounds
    import_seconds(PLAIN)  # fills the file cache
    times = [(import_seconds(PLAIN), import_seconds(PAUSED), start_seconds()) for _ in range(rounds)]
    plain, paused, start = (median(each) for each in zip(*times, strict=True))
    print(f"plain {plain:.2f} s, with large_imports {paused:.2f} s, ratio {paused / plain:.2f}, {rounds} rounds")
    print(f"from a process's start to its first training step {start:.2f} s")


if __name__ == "__main__":
    main()
