"""cluster.yaml: legal for the Ray that is installed, closed to strangers, and free of what newer Rays refuse."""

from __future__ import annotations

import json
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
START_COMMANDS = ("head_start_ray_commands", "worker_start_ray_commands")
#: Keys of old launcher files. The schema refuses them, but `ray up` still takes some: it rewrites them first.
LEGACY_KEYS = {
    "autoscaling_mode",
    "head_node",
    "initial_workers",
    "min_workers",
    "target_utilization_fraction",
    "worker_default_node_type",
    "worker_nodes",
}


@pytest.fixture(name="cluster")
def load_cluster() -> dict[str, Any]:
    return yaml.safe_load(TEXT)


def rays_schema() -> dict[str, Any]:
    return json.loads((files("ray.autoscaler") / "ray-schema.json").read_text(encoding="utf-8"))


def start_command(cluster: dict[str, Any], kind: str) -> str:
    starts = [command for command in cluster[kind] if "ray start" in command]
    assert len(starts) == 1, f"expected one `ray start` in {kind}, got {starts}"
    return starts[0]


def aws_lines() -> str:
    """The commented block for AWS, from `# provider:` to the first line that is no comment."""
    lines = TEXT.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("# provider:"))
    last = next(place for place in range(first, len(lines)) if not lines[place].startswith("#"))
    return "\n".join(line.removeprefix("# ") for line in lines[first:last])


def test_file_is_legal_by_rays_own_schema(cluster: dict[str, Any]) -> None:
    jsonschema.validate(cluster, rays_schema())


def test_file_is_legal_with_the_commented_lines_for_aws(cluster: dict[str, Any]) -> None:
    on_aws = cluster | yaml.safe_load(aws_lines())
    jsonschema.validate(on_aws, rays_schema())
    assert on_aws["provider"]["type"] == "aws"
    assert on_aws["head_node_type"] in on_aws["available_node_types"]


def test_schema_refuses_a_misspelt_key(cluster: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError, match="setup_comands"):
        jsonschema.validate(cluster | {"setup_comands": []}, rays_schema())


def test_no_legacy_key_is_used(cluster: dict[str, Any]) -> None:
    assert not LEGACY_KEYS & cluster.keys()


@pytest.mark.parametrize("kind", START_COMMANDS)
def test_ray_starts_with_token_authentication(cluster: dict[str, Any], kind: str) -> None:
    assert start_command(cluster, kind).startswith("export RAY_AUTH_MODE=token; ray start ")


def test_every_node_gets_the_same_token(cluster: dict[str, Any]) -> None:
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in cluster["setup_commands"]


def test_dashboard_listens_on_loopback_of_the_head_alone(cluster: dict[str, Any]) -> None:
    hosts = [word for word in shlex.split(start_command(cluster, START_COMMANDS[0])) if "dashboard-host" in word]
    assert hosts == ["--dashboard-host=127.0.0.1"]
    assert "dashboard" not in start_command(cluster, START_COMMANDS[1])


def test_addresses_are_placeholders_of_the_documentation_network(cluster: dict[str, Any]) -> None:
    addresses = [cluster["provider"]["head_ip"], *cluster["provider"]["worker_ips"]]
    assert len(addresses) >= 3
    assert all(address.startswith("192.0.2.") for address in addresses)


def test_mounted_files_exist(cluster: dict[str, Any]) -> None:
    of_the_repository = [path for path in cluster["file_mounts"].values() if not path.startswith("~")]
    assert len(of_the_repository) >= 2
    assert all((ROOT / path).is_file() for path in of_the_repository)
