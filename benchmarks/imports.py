"""Seconds of processor that the import of Lightning takes, as Python does it and with large_imports().

    python benchmarks/imports.py --rounds 5

Each import is a process of its own, the two kinds in turn; the medians and their ratio are printed.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from statistics import median

PLAIN = "import pytorch_lightning"
PAUSED = f"from adcore.imports import large_imports\nwith large_imports():\n    {PLAIN}"


def seconds(program: str) -> float:
    """Processor time of a new Python that runs this program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round: says that it runs")
    flags = parser.parse_args()
    rounds = 1 if flags.quick else flags.rounds
    seconds(PLAIN)  # fills the file cache
    times = [(seconds(PLAIN), seconds(PAUSED)) for _ in range(rounds)]
    plain, paused = (median(each) for each in zip(*times, strict=True))
    print(f"plain {plain:.2f} s, with large_imports {paused:.2f} s, ratio {paused / plain:.2f}, {rounds} rounds")


if __name__ == "__main__":
    main()
