"""A sweep's folder is tried out on every node of a cluster: what one writes, the other reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adcore.errors import UserError
from sweeps.engine.machine import shared_storage
from sweeps.engine.machine.shared_storage import require_shared, require_visible, storage_token
from tests.fake_nodes import answer_as_nodes, here


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_storage, "PATIENCE", 0.2)


def _apart(folder: Path) -> Callable[..., Any]:
    """A node on which another folder is mounted where the others have the storage."""
    return lambda question, token: question(folder / token.name)


def _deaf(question: Callable[..., Any], token: Path) -> Any:
    """A node that reads a copy of the storage: what it writes stays there."""
    reason, answer = question(token)
    answer.unlink()
    return reason, answer


def _full(question: Callable[..., Any], token: Path) -> Any:
    """A node that may read the storage, and not write to it."""
    touch = Path.touch

    def refuse(path: Path) -> None:
        raise OSError(30, os.strerror(30), str(path))

    Path.touch = refuse  # type: ignore[method-assign]
    try:
        return question(token)
    finally:
        Path.touch = touch  # type: ignore[method-assign]


def test_nodes_that_share_the_folder_pass_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_as_nodes(monkeypatch, {"head": here, "gpu1": here})
    with storage_token(tmp_path, "n") as token:
        require_shared(token)
        require_visible(token)
        assert token.exists()
        assert len(list(tmp_path.iterdir())) == 3, "the token and an answer of each node"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["apart", "deaf", "full"])
def test_a_node_that_does_not_share_the_folder_is_refused_by_name(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, other = tmp_path / "r\u00fcns of mine", tmp_path / "other"
    storage.mkdir()
    node, reason = {
        "apart": (_apart(other), f"does not see what the driver writes to {other}"),
        "deaf": (_deaf, f"writes files that the driver does not see to {storage}"),
        "full": (_full, f"cannot write to {storage} (Read-only file system)"),
    }[kind]
    answer_as_nodes(monkeypatch, {"head": here, "gpu1": node})
    with pytest.raises(UserError) as refused, storage_token(storage, "n") as token:
        require_shared(token)
    line = str(refused.value)
    assert line.startswith("--storage: node 10.0.0.2 (gpu1) ")
    assert reason in line
    assert line.endswith(
        "expected a folder of a file system that every node mounts at the same path; or give --checkpoints "
        "s3://BUCKET/PREFIX"
    )
    assert list(storage.iterdir()) == []


def test_a_node_that_joins_late_is_asked_before_it_trains(tmp_path: Path) -> None:
    require_visible(None)
    with storage_token(tmp_path, "n") as token:
        require_visible(token)
    with pytest.raises(UserError, match=r"^node \S+ does not see what the driver writes to "):
        require_visible(token)


def test_what_a_killed_driver_of_the_same_sweep_has_left_is_removed(tmp_path: Path) -> None:
    killed = storage_token(tmp_path, "n")
    (tmp_path / f"{killed.__enter__().name}-4567").touch()
    (tmp_path / "study.db").touch()
    with storage_token(tmp_path, "n"):
        assert len(list(tmp_path.iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


@pytest.mark.parametrize("other", ["n-2", "n.2", "m"])
def test_sweeps_with_one_folder_for_checkpoints_leave_each_others_tokens(other: str, tmp_path: Path) -> None:
    for first, second in (("n", other), (other, "n")):
        with storage_token(tmp_path, first) as token:
            with storage_token(tmp_path, second) as others:
                require_visible(token)
            require_visible(token)
            assert not others.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    reason = r"--storage: .*gone.* cannot be written \(No such file or directory\)"
    with pytest.raises(UserError, match=reason), storage_token(tmp_path / "gone", "n"):
        pass
