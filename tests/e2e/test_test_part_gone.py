"""Files of the test part that go while a sweep trains: said at the end with all closed, and it can be gone on with."""

from __future__ import annotations

from pathlib import Path

from tests.small_idx import idx_images, idx_labels, write_part
from tests.sweep_process import Begin, MlflowRuns, poll

ARGUMENTS = [
    "--scale", "smoke", "--dataset", "fashion-mnist", "--data-dir", "data", "--allow-unverified-data",
    "--normal-class", "0", "--configs", "1", "--epochs", "1", "--name", "g",
]  # fmt: skip


def test_a_test_part_that_is_gone_at_the_end_ends_the_sweep_in_good_order(begin: Begin, tmp_path: Path) -> None:
    data = tmp_path / "data" / "fashion-mnist"
    write_part(data, "train", idx_images(160), idx_labels(160, classes=10))
    write_part(data, "t10k", idx_images(30), idx_labels(30, classes=10))
    sweep = begin(tmp_path, *ARGUMENTS)
    poll((tmp_path / "runs" / "g" / "study.db").exists, "the record")
    data.rename(tmp_path / "away")
    assert sweep.wait() == 1, f"{sweep.out}\n{sweep.err}"
    assert "the sweep is incomplete: fashion-mnist: neither" in sweep.err
    assert "t10k-images" in sweep.err
    assert "Traceback" not in sweep.err
    assert "--resume g" in sweep.out.split("continue with:")[1]
    runs = MlflowRuns(sweep.uri)
    runs.assert_whole()
    assert runs.by_key["sweep"].info.status == "FAILED"

    (tmp_path / "away").rename(data)
    resumed = begin(tmp_path, "--resume", "g")
    assert resumed.wait() == 0, f"{resumed.out}\n{resumed.err}"
    assert MlflowRuns(resumed.uri).by_key["sweep"].info.status == "FINISHED"
