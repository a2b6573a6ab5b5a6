"""How Ray is started and joined: the cluster that Ray itself would find, and reasons that name their cause."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._common.utils import get_ray_address_file
from ray._private import ray_constants
from ray._private.utils import check_version_info, validate_socket_filepath
from ray._raylet import AuthenticationTokenLoader
from ray.exceptions import AuthenticationError, RayTaskError

from adcore.errors import UserError
from sweeps.engine.machine import code
from sweeps.engine.machine.cluster import SLOW_START, SOCKET_NAME, check_address, ray_cluster
from sweeps.engine.machine.code import ROOT, current_code
from sweeps.engine.machine.environment import read_variables_again
from sweeps.engine.planning.settings import SweepSettings
from tests.fake_nodes import answer_as_nodes, here
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(autouse=True)
def _own_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
def test_auto_is_the_cluster_of_rays_own_temporary_folder(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "own"
    monkeypatch.setenv(variable, str(folder))
    if variable == "RAY_TMPDIR":
        monkeypatch.setenv("TMPDIR", str(tmp_path / "other"))
    file = Path(get_ray_address_file(None))
    assert file.is_relative_to(folder)
    assert f"no Ray cluster runs on this machine (there is no {file})" in refused(["--address", "auto"], capsys)
    file.parent.mkdir(parents=True)
    file.write_text("127.0.0.1:1\n")
    assert "nothing answers at 127.0.0.1:1 " in refused(["--address", "auto"], capsys)


def test_without_a_variable_the_folder_is_rays_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert get_ray_address_file(None) == "/tmp/ray/ray_current_cluster"
    if not Path(get_ray_address_file(None)).exists():
        assert "/tmp/ray/ray_current_cluster" in refused(["--address", "auto"], capsys)


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
def test_a_folder_that_is_too_long_for_sockets_is_named_with_its_variable(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    long = tmp_path / ("a" * 100)
    monkeypatch.setenv(variable, str(long))
    with pytest.raises(OSError, match="AF_UNIX"):
        validate_socket_filepath(str(long / SOCKET_NAME))
    line = refused([], capsys)
    assert f"{variable} {long}: too long" in line
    assert "set RAY_TMPDIR" in line

    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    check_address(SweepSettings())
    validate_socket_filepath(f"/tmp/{SOCKET_NAME}")


def test_a_temporary_folder_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TMPDIR", "/proc/nowhere")
    assert "TMPDIR /proc/nowhere: cannot be written" in refused([], capsys)


def _not_started(error: Exception, monkeypatch: pytest.MonkeyPatch) -> str:
    def init(**_: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(UserError) as refused, ray_cluster(SweepSettings(address="127.0.0.1:6379")):
        pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("text", [None, "", "0" * 64])
def test_a_file_without_a_token_is_told_from_one_with_the_wrong_token(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    if text is not None:
        (tmp_path / "token").write_text(text)
    line = _not_started(AuthenticationError("refused"), monkeypatch)
    assert ("is not that of this cluster" in line) == bool(text)
    assert (f"RAY_AUTH_TOKEN_PATH {tmp_path / 'token'}: there is no token in it" in line) != bool(text)


def test_a_port_of_another_program_is_not_blamed_on_the_token_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    line = _not_started(RuntimeError("Failed to connect to Ray cluster at 127.0.0.1:6379"), monkeypatch)
    assert "either no head of a cluster listens there (its port is usually 6379), or the" in line


def test_another_version_of_ray_is_named_beside_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError) as mismatch:
        check_version_info({"ray_version": "1.13.0", "python_version": "3.9.1"}, "127.0.0.1:6379")
    line = _not_started(mismatch.value, monkeypatch)
    for name in ("1.13.0", "3.9.1", ray.__version__, ".".join(map(str, sys.version_info[:3]))):
        assert name in line, line


def test_a_python_without_docstrings_is_refused_before_ray_is_imported() -> None:
    command = [sys.executable, "-OO", str(ROOT / "sweeps" / "gan_loss_weights.py"), "--scale", "smoke"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: Python runs without docstrings")
    assert len(ran.stderr.splitlines()) == 1
    assert [path.name for path in Path().iterdir()] == ["notes.txt"]


def test_a_traceback_within_rays_reason_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Failed to start GCS.\nPlease check gcs_server.out. Traceback (most recent call last):\n  File ..."
    line = _not_started(RuntimeError(text), monkeypatch)
    assert line.endswith("(Failed to start GCS. Please check gcs_server.out.)")


@pytest.fixture
def _own_tokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray reads the environment anew afterwards."""
    yield
    monkeypatch.undo()
    read_variables_again()


@pytest.mark.usefixtures("_own_tokens")
def test_a_second_sweep_of_a_process_has_the_token_and_the_addresses_of_its_own_ray(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[str, bool]] = []

    def init(**_: object) -> None:
        header = AuthenticationTokenLoader.instance().get_token_for_http_header()
        seen.append((header["authorization"], ray_constants.ENABLE_RAY_CLUSTER))

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    for token, clusters in (("a" * 64, "0"), ("b" * 64, "1")):
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
        monkeypatch.setenv(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, clusters)
        with ray_cluster(SweepSettings(address="127.0.0.1:6379")):
            pass
    assert seen == [(f"Bearer {'a' * 64}", False), (f"Bearer {'b' * 64}", True)]


@pytest.mark.parametrize("address", ["local", "127.0.0.1:6379"])
def test_workers_do_not_take_their_code_from_the_users_folder(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def init(**options: Any) -> None:
        given.update(options, folder=Path.cwd())

    monkeypatch.setattr(ray, "init", init)
    before = os.getcwd()
    with ray_cluster(SweepSettings(address=address)):
        assert os.getcwd() == before
    assert given["folder"] == Path("/")
    assert [Path(each).name for each in given["runtime_env"]["py_modules"]] == ["adcore", "sweeps"]

    on_nodes = given["runtime_env"].get("env_vars", {})
    assert (on_nodes.get("MPLBACKEND") == "agg") == (address != "local"), (
        "a Ray of our own has the driver's environment"
    )


def _asked(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def second(question: Any, *_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    answer_as_nodes(monkeypatch, {"first": here, "second": second})
    code.require_same_code()


def test_a_node_with_other_code_is_refused_with_both_places(monkeypatch: pytest.MonkeyPatch) -> None:
    _asked(monkeypatch, code.imported_code())
    other = current_code()._replace(sources="0" * 64)
    with pytest.raises(UserError) as refused:
        _asked(monkeypatch, ("/opt/older", other))
    for part in ("node 10.0.0.2 (second)", "/opt/older", str(other), str(ROOT), str(current_code())):
        assert part in str(refused.value)


def test_a_node_that_cannot_start_a_worker_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = RayTaskError("imported_code", "line 1\nModuleNotFoundError: no module named torch", None)
    with pytest.raises(
        UserError, match=r"node 10\.0\.0\.2 \(second\): no worker could be started there \(.*no module named torch\)"
    ):
        _asked(monkeypatch, missing)


@pytest.mark.parametrize(("address", "tries"), [("local", 2), ("127.0.0.1:1", 1)])
def test_a_local_ray_that_was_too_slow_for_its_own_limit_is_started_once_more(
    address: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SLOW_START in inspect.getsource(ray._private.node), "what Ray says"
    calls: list[str] = []

    def slow(**options: Any) -> None:
        calls.append(options["address"])
        raise Exception(f"The current node {SLOW_START}.")

    monkeypatch.setattr(ray, "init", slow)
    with (
        pytest.raises(UserError, match=f"could not be started or joined .*{SLOW_START}"),
        ray_cluster(SweepSettings(address=address)),
    ):
        pass
    assert calls == [address] * tries
