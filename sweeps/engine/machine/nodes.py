"""Check every node of the cluster before anything is trained."""

from __future__ import annotations

from adcore.errors import UserError
from sweeps.engine.machine.code import ROOT, Code, current_code

__all__ = ["require_same_code"]

#: Seconds that a node may take to start a worker.
PATIENCE = 180.0


def require_same_code() -> None:
    """Raises UserError if the workers of a node would run other code than this driver does, or cannot start."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    ask, own = ray.remote(num_cpus=0)(own_code), current_code()
    answers = {
        name: ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False)).remote()
        for name in nodes
    }
    for name, answer in answers.items():
        try:
            root, code = ray.get(answer, timeout=PATIENCE)
        except RayError as error:
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise UserError(f"node {nodes[name]}: no worker could be started there ({last})") from error
        if code.sources != own.sources:
            raise UserError(
                f"node {nodes[name]}: its workers take adcore and sweeps from {root} ({code}), this driver from {ROOT} "
                f"({own}), expected the same code; remove that copy, or bring it up to date"
            )


def own_code() -> tuple[str, Code]:
    """The folder and the version of the code that a worker imports."""
    return str(ROOT), current_code()
