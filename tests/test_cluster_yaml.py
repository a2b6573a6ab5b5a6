"""The files for Ray's cluster launcher: legal for the Ray that is installed, closed to strangers, without old keys."""

from __future__ import annotations

import json
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[1]
OWN_MACHINES, AWS = "cluster.yaml", "deploy/aws.yaml"
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


def read(file: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))


@pytest.fixture(name="cluster", params=[OWN_MACHINES, AWS])
def load_cluster(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param)


def rays_schema() -> dict[str, Any]:
    return json.loads((files("ray.autoscaler") / "ray-schema.json").read_text(encoding="utf-8"))


def start_command(cluster: dict[str, Any], kind: str) -> str:
    starts = [command for command in cluster[kind] if "ray start" in command]
    assert len(starts) == 1, f"expected one `ray start` in {kind}, got {starts}"
    return starts[0]


def test_file_is_legal_by_rays_own_schema(cluster: dict[str, Any]) -> None:
    jsonschema.validate(cluster, rays_schema())


@pytest.mark.usefixtures("elsewhere")
def test_ray_takes_the_file_with_its_own_defaults_filled_in(
    cluster: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # for a provider "local", Ray keeps a file of the nodes' states
    validate_config(prepare_config(cluster))


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
    assert any(command.startswith("chmod 600 ~/.ray/auth_token") for command in cluster["setup_commands"])


def test_dashboard_listens_on_loopback_of_the_head_alone(cluster: dict[str, Any]) -> None:
    hosts = [word for word in shlex.split(start_command(cluster, START_COMMANDS[0])) if "dashboard-host" in word]
    assert hosts == ["--dashboard-host=127.0.0.1"]
    assert "dashboard" not in start_command(cluster, START_COMMANDS[1])


def test_addresses_are_placeholders_of_the_documentation_network() -> None:
    provider = read(OWN_MACHINES)["provider"]
    addresses = [provider["head_ip"], *provider["worker_ips"]]
    assert len(addresses) >= 3
    assert all(address.startswith("192.0.2.") for address in addresses)


def test_mounted_files_exist() -> None:
    mounted = [path for path in read(OWN_MACHINES)["file_mounts"].values() if not path.startswith("~")]
    assert len(mounted) >= 2
    assert all((ROOT / path).is_file() for path in mounted)


def test_on_aws_spot_workers_come_on_demand_and_the_head_stays() -> None:
    cluster = read(AWS)
    head, gpu = (cluster["available_node_types"][name] for name in ("head", "gpu"))
    assert cluster["head_node_type"] == "head"
    assert "InstanceMarketOptions" not in head["node_config"], "a head that is lost takes the driver with it"
    assert gpu["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert (gpu["min_workers"], gpu["max_workers"], head["max_workers"]) == (0, cluster["max_workers"], 0)
    assert head["resources"] == {"CPU": 0}, "trials run on workers alone"


def test_on_aws_every_node_has_room_for_the_image_and_a_role() -> None:
    roles = set()
    for node_type in read(AWS)["available_node_types"].values():
        [disk] = node_type["node_config"]["BlockDeviceMappings"]
        assert disk["Ebs"]["VolumeSize"] >= 100
        roles.add(node_type["node_config"]["IamInstanceProfile"]["Name"])
    assert roles == {"adsweep-head", "adsweep-worker"}, "workers may not start machines"
