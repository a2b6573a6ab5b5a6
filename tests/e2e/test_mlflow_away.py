"""An MLflow server that goes, comes back or does not answer: what a sweep leaves is the same."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.e2e.equal_outcome import SMALL, after_packs, ends_as_ever
from tests.e2e.kill_loop import KillLoop
from tests.e2e.mlflow_server import Server
from tests.sweep_process import Begin, poll


def test_what_mlflow_missed_is_delivered_in_mid_sweep_and_by_the_resume(
    loop: KillLoop, server: Server, begin: Begin, tmp_path: Path
) -> None:
    sweep = begin(tmp_path, *SMALL, uri=server.uri, MLFLOW_HTTP_REQUEST_TIMEOUT="15")
    after_packs(sweep, 1)
    server.kill()
    after_packs(sweep, 2)
    server.start()
    poll(lambda: "confirm:" in sweep.out or sweep.process.poll() is not None, "the confirmation")
    server.signal(signal.SIGSTOP)  # it takes requests and does not answer
    assert sweep.wait() == 0, f"{sweep.out}\n{sweep.err}"
    assert "updates wait in" in sweep.err
    assert "--resume k" in sweep.err
    assert "Traceback" not in sweep.out + sweep.err

    server.signal(signal.SIGCONT)  # it carries out what it was asked for and the sweep had given up
    server.wait_for_answers()
    server.kill()
    away = begin(tmp_path, "--resume", "k", uri=server.uri)
    assert away.wait() == 2, "an address that is given has to answer"
    server.start()
    ends_as_ever(begin(tmp_path, "--resume", "k", uri=server.uri), loop, server.backend)
