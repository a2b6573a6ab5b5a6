"""How long a new process takes to its first training step, which is what a new worker of Ray's waits.

    python benchmarks/imports.py --rounds 5

Each measurement is a process of its own. Printed are medians: the seconds on the clock of importing Lightning alone,
and of everything from the process's start to its first step.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median

IMPORT = """
import time
import pytorch_lightning
print(time.time())
"""
#: What a trial imports, and a training that ends at its first step.
FIRST_STEP = """
import os, time
from ray import tune
from adcore.config import TrainConfig
from adcore.datasets import load
from adcore.train import train
from adcore.train.pack import Pack

def first_step(*_):
    print(time.time(), flush=True)
    os._exit(0)

Pack.training_step = first_step
train(TrainConfig(dataset="digits"), lambda _: None, data=load("digits", "train"))
"""


def seconds(program: str) -> float:
    """From the start of a new Python to the time that the program prints."""
    started = time.time()
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return float(ran.stdout) - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round: says that it runs")
    flags = parser.parse_args()
    rounds = 1 if flags.quick else flags.rounds
    seconds(IMPORT)  # fills the file cache
    times = [(seconds(IMPORT), seconds(FIRST_STEP)) for _ in range(rounds)]
    imported, stepped = (median(each) for each in zip(*times, strict=True))
    print(f"import of Lightning {imported:.2f} s, from a process's start to its first training step {stepped:.2f} s")


if __name__ == "__main__":
    main()
