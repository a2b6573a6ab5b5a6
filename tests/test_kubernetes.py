"""deploy/rayjob.yaml and the image: legal by the documented fields, closed to strangers, fit for what starts it."""

from __future__ import annotations

import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "tests" / "rayjob_schema.json").read_text(encoding="utf-8"))


@pytest.fixture(name="job")
def load_job() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "deploy" / "rayjob.yaml").read_text(encoding="utf-8"))


@pytest.fixture(name="pods")
def load_pods(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The specification of each kind of pod, by name of its one container."""
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    found = {group["template"]["spec"]["containers"][0]["name"]: group["template"]["spec"] for group in groups}
    assert set(found) == {"ray-head", "ray-worker"}
    return found


@pytest.fixture(name="image")
def read_image() -> list[tuple[str, str]]:
    """(instruction, argument) of each statement of the Dockerfile."""
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    statements = [line.strip() for line in re.sub(r"\\\n", " ", plain).splitlines() if line.strip()]
    return [(name, argument.strip()) for name, _, argument in (line.partition(" ") for line in statements)]


def constraint(name: str) -> str:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    [version] = [line.partition("==")[2] for line in lines if line.lower().startswith(f"{name}==")]
    return version


def test_file_is_legal_by_the_documented_fields(job: dict[str, Any]) -> None:
    jsonschema.validate(job, SCHEMA)


@pytest.mark.parametrize("place", [["spec"], ["spec", "rayClusterSpec"], ["spec", "rayClusterSpec", "headGroupSpec"]])
def test_a_misspelt_field_is_refused(job: dict[str, Any], place: list[str]) -> None:
    part = job
    for name in place:
        part = part[name]
    part["rayStartParms"] = {}
    with pytest.raises(jsonschema.ValidationError, match="rayStartParms"):
        jsonschema.validate(job, SCHEMA)


def test_cluster_asks_for_a_token_and_is_removed_at_the_end(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert job["spec"]["shutdownAfterJobFinishes"]
    assert 0 < job["spec"]["ttlSecondsAfterFinished"] <= 3600


def test_gpu_workers_come_from_zero_and_the_head_trains_nothing(
    job: dict[str, Any], pods: dict[str, dict[str, Any]]
) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    [workers] = cluster["workerGroupSpecs"]
    assert cluster["enableInTreeAutoscaling"]
    assert (workers["replicas"], workers["minReplicas"]) == (0, 0)
    assert f"--max-concurrent {workers['maxReplicas']} " in job["spec"]["entrypoint"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    limits = {name: pod["containers"][0]["resources"]["limits"] for name, pod in pods.items()}
    assert ["nvidia.com/gpu" in limits[name] for name in ("ray-head", "ray-worker")] == [False, True]


def test_kueue_admits_a_job_that_scales(job: dict[str, Any]) -> None:
    assert job["metadata"]["labels"].keys() == {"kueue.x-k8s.io/queue-name"}
    assert job["metadata"]["annotations"] == {"kueue.x-k8s.io/elastic-job": "true"}


def test_places_of_the_sweep_outlive_the_job(job: dict[str, Any]) -> None:
    words = job["spec"]["entrypoint"].split()
    assert words[0] in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    places = dict(pairwise(words))
    assert places["--checkpoints"].startswith("s3://")
    assert places["--storage"].startswith("/")
    assert places["--tracking-uri"].startswith("http://")
    assert places["--address"] == "auto"


def test_a_volume_in_place_of_s3_is_legal_where_the_page_puts_it(
    job: dict[str, Any], pods: dict[str, dict[str, Any]]
) -> None:
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    volume = yaml.safe_load(dedent(block))
    for pod in pods.values():
        pod["volumes"], pod["containers"][0]["volumeMounts"] = volume["volumes"], volume["volumeMounts"]
    jsonschema.validate(job, SCHEMA)
    [mounted] = volume["volumeMounts"]
    assert f"--storage {mounted['mountPath']} " in job["spec"]["entrypoint"]


def test_versions_are_those_of_the_constraints(job: dict[str, Any], image: list[tuple[str, str]]) -> None:
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == constraint("ray")
    [base] = [argument for name, argument in image if name == "FROM"]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)
    installs = [argument for name, argument in image if name == "RUN" and "pip install" in argument]
    assert len(installs) == 3
    assert all("--constraint constraints.txt" in each or "--no-deps" in each for each in installs)


def test_no_pod_and_no_image_runs_as_root(pods: dict[str, dict[str, Any]], image: list[tuple[str, str]]) -> None:
    users = [argument for name, argument in image if name == "USER"]
    assert users == ["1000:1000"], "numeric: Kubernetes compares it with runAsNonRoot"
    assert image[-2] == ("USER", "1000:1000")
    for pod in pods.values():
        security = pod["securityContext"]
        assert security["runAsNonRoot"]
        assert f"{security['runAsUser']}:{security['runAsGroup']}" == users[0]


def test_launchers_find_their_programs_and_the_home_folder_in_the_image(image: list[tuple[str, str]]) -> None:
    [packages] = [argument for _, argument in image if "apt-get install" in argument]
    assert {"openssh-client", "rsync", "tmux", "wget"} <= set(packages.split())
    variables = " ".join(argument for name, argument in image if name == "ENV")
    assert "HOME=/home/ray" in variables, "Ray's launcher reads it from the image, and takes /root without it"
    assert "PATH=" not in variables, "login shells do not see it"


def test_only_what_the_image_needs_is_sent_to_its_builder(image: list[tuple[str, str]]) -> None:
    lines = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert lines[0] == "*"
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {path for name, argument in image if name == "COPY" for path in argument.split()[:-1]}
    assert sent == copied
    assert all((ROOT / path).exists() for path in copied)
