"""Kill a sweep's driver at random moments, resume it, and compare what it leaves with an uninterrupted sweep.

    python tests/e2e/kill_loop.py --rounds 20              # about a minute and a half a round on 2 cores
    python tests/e2e/kill_loop.py --rounds 10 --nodes 2    # on a cluster whose nodes are lost, too

Each round kills its driver with -9 one to three times: the first time anywhere between the start and the usual end, so
that every stage has its share. On a cluster each driver also sees a node lost, as if its plug were pulled, and another
one join. With one trial at a time everything has to be equal to the last bit: configurations, decisions, validation and
test values, tables, and MLflow's tree. Prints a line a round; exit code 1 if one differs.
"""

from __future__ import annotations

import argparse
import pickle
import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parents[2]))  # as pytest does
from tests.e2e.cluster_process import ClusterProcess
from tests.e2e.sweep_outcome import outcome
from tests.sweep_process import SweepProcess

ARGUMENTS = ["--scale", "smoke", "--normal-class", "0,6", "--configs", "5", "--epochs", "4", "--max-concurrent", "1"]
#: Packs, and each experiment alone.
KINDS = (["--members-per-trial", "4"], ["--members-per-trial", "1"])


class KillLoop:
    """References by kind, made once, and the rounds that are held against them.

    shared: a folder for the references of several processes. kills: the most of a round. cluster: where the rounds
    run; the references never do.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        shared: Path | None = None,
        kills: int = 3,
        cluster: ClusterProcess | None = None,
    ) -> None:
        self.folder, self.random, self.kills, self.cluster = folder, random.Random(seed), kills, cluster
        self.shared = shared or folder

    def reference(self, kind: int) -> tuple[dict[str, Any], float]:
        """What an uninterrupted sweep leaves, and how long it takes."""
        folder = self.reference_folder(kind)
        file = folder.with_suffix(".pickle")
        with FileLock(folder.with_suffix(".lock")):
            if not file.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what a test left that failed here
                folder.mkdir()
                started = time.monotonic()
                sweep = SweepProcess(folder, *ARGUMENTS, *KINDS[kind], "--name", "k")
                assert sweep.wait() == 0, sweep.out + sweep.err
                sweep.end()
                seconds = time.monotonic() - started
                file.write_bytes(pickle.dumps((outcome(folder / "runs" / "k", sweep.uri), seconds)))
        return pickle.loads(file.read_bytes())

    def reference_folder(self, kind: int) -> Path:
        """Where that sweep, named k, keeps its record and its MLflow."""
        return self.shared / f"reference-{kind}"

    def round(self, number: int) -> tuple[list[str], str]:
        """Kill and resume until the end; what differs from the reference, and what was done in words."""
        kind = number % len(KINDS)
        expected, usual = self.reference(kind)
        folder = self.folder / f"round-{number}"
        folder.mkdir()
        done = [f"members per trial {KINDS[kind][1]}"]
        for kill in range(self.random.randint(1, self.kills)):
            after = self.random.uniform(1.0, usual if not kill else usual / 2)
            sweep = self._begin(folder, kind)
            ended = self._ended_within(sweep, after, done)
            sweep.process.kill()  # the driver alone: its workers live on for a moment
            if sweep.process.wait() > 0:
                return [f"exit code {sweep.process.returncode}", sweep.out, sweep.err], ", ".join(done)
            sweep.end()
            done.append(f"ended before {after:.1f} s" if ended else f"killed after {after:.1f} s")
        sweep = self._begin(folder, kind)
        self._ended_within(sweep, usual / 2, done)
        code = sweep.wait()
        sweep.end()
        if code or "Traceback" in sweep.out + sweep.err:
            return [f"exit code {code}", sweep.out, sweep.err], ", ".join(done)
        found = outcome(folder / "runs" / "k", sweep.uri)
        return [name for name in expected if found[name] != expected[name]], ", ".join(done)

    def _begin(self, folder: Path, kind: int) -> SweepProcess:
        """The sweep, or its resume once there is something to resume."""
        begun = (folder / "runs" / "k" / "study.db").exists()
        arguments = ["--resume", "k"] if begun else [*ARGUMENTS, *KINDS[kind], "--name", "k"]
        if not self.cluster:
            return SweepProcess(folder, *arguments)
        where = ["--address", self.cluster.told["address"], "--gpus-per-trial", "0"]
        return SweepProcess(folder, *arguments, *where, env=self.cluster.env)

    def _ended_within(self, sweep: SweepProcess, seconds: float, done: list[str]) -> bool:
        """Whether it ends within that time, in which a cluster loses a node and gets another."""
        lost = self.random.uniform(0, seconds) if self.cluster else 0.0
        if self.cluster and not self._ends_within(sweep, lost):
            self.cluster.replace_a_node()
            done.append(f"a node lost after {lost:.1f} s")
        return self._ends_within(sweep, seconds - lost)

    def _ends_within(self, sweep: SweepProcess, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if sweep.process.poll() is not None:
                return True
            time.sleep(0.02)
        return False


def main() -> None:
    """Run the rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=0, help="of a cluster; 0 for a Ray of each sweep's own")
    flags = parser.parse_args()
    equal = 0
    with tempfile.TemporaryDirectory(prefix="kill-loop-") as folder, ExitStack() as stack:
        cluster = ClusterProcess(flags.nodes) if flags.nodes else None
        if cluster:
            stack.callback(cluster.end)
        loop = KillLoop(Path(folder), flags.seed, cluster=cluster)
        for number in range(flags.rounds):
            different, done = loop.round(number)
            equal += not different
            print(f"round {number}: {done}: {different or 'equal'}", flush=True)
    print(f"{equal} of {flags.rounds} equal")
    sys.exit(equal != flags.rounds)


if __name__ == "__main__":
    main()
