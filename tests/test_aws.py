"""deploy/aws.yaml and aws-roles.yaml, carried out by Ray's launcher and CloudFormation in moto's stand-in for AWS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.docker import docker_start_cmds
from ray.autoscaler._private.util import prepare_config

DEPLOY = Path(__file__).parents[1] / "deploy"


@pytest.fixture(name="cluster", scope="module")
def bootstrapped_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The file as Ray's launcher completes it, with an image that exists, in an account that has the roles."""
    cluster = yaml.safe_load((DEPLOY / "aws.yaml").read_text(encoding="utf-8"))
    variables = {
        "HOME": str(tmp_path_factory.mktemp("home")),  # Ray writes a key to ~/.ssh
        "AWS_DEFAULT_REGION": cluster["provider"]["region"],
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in variables.items():
            patch.setenv(name, value)
        boto3.client("cloudformation").create_stack(
            StackName="adsweep",
            TemplateBody=(DEPLOY / "aws-roles.yaml").read_text(encoding="utf-8"),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": "Bucket", "ParameterValue": "mine"}],
        )
        image = boto3.client("ec2").describe_images()["Images"][0]["ImageId"]
        for kind in cluster["available_node_types"].values():
            assert kind["node_config"]["ImageId"] == "ami-CHANGE"
            kind["node_config"]["ImageId"] = image
        yield bootstrap_aws(prepare_config(cluster))


def test_head_and_workers_start_with_their_roles_their_disks_and_workers_on_the_spot_market(
    cluster: dict[str, Any],
) -> None:
    provider = AWSNodeProvider(cluster["provider"], cluster["cluster_name"])
    kinds = provider.fillout_available_node_types_resources(cluster)["available_node_types"]
    assert (kinds["head"]["resources"]["CPU"], kinds["gpu"]["resources"]["GPU"]) == (0, 1)
    for kind, role in {"head": "adsweep-head", "gpu": "adsweep-worker"}.items():
        [node] = provider.create_node(dict(kinds[kind]["node_config"]), {}, 1).values()
        assert node.iam_instance_profile["Arn"].endswith(f"/{role}")
        assert (node.instance_lifecycle == "spot") == (kind == "gpu")
        assert [volume.size for volume in node.volumes.all()] == [100]


def test_the_head_may_start_workers_and_workers_may_not(cluster: dict[str, Any]) -> None:
    iam = boto3.client("iam")
    allowed = str(iam.get_role_policy(RoleName="adsweep-head", PolicyName="workers")["PolicyDocument"])
    assert "ec2:RunInstances" in allowed
    assert "iam:PassRole" in allowed
    assert iam.get_role(RoleName="adsweep-worker")["Role"]["Arn"] in allowed
    assert iam.list_role_policies(RoleName="adsweep-worker")["PolicyNames"] == []
    roles = ("adsweep-head", "adsweep-worker")
    [head, worker] = [iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] for role in roles]
    assert head == worker
    assert len(worker) == 1, "access to the bucket"


def test_containers_see_the_gpus_the_token_and_the_hosts_network(cluster: dict[str, Any]) -> None:
    docker = cluster["docker"]
    options = docker["run_options"] + docker["worker_run_options"]
    command = docker_start_cmds(
        "ubuntu", docker["image"], cluster["file_mounts"], docker["container_name"], options,
        cluster["cluster_name"], "/home/ray", "docker",
    )  # fmt: skip
    for part in ("NVIDIA_VISIBLE_DEVICES=all", ":/home/ray/.ray/auth_token ", "--net=host", "nofile=65536:65536"):
        assert part in command
