"""Demand: resources that an autoscaler is asked for, with placement groups that fit on no node yet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup

__all__ = ["Demand", "autoscales"]

#: The type that Ray makes up for a node that no autoscaler has started.
NO_TYPE = re.compile(r"node_[0-9a-f]{56}")


class Demand:
    """Equal placement groups: each asks for `bundles`, on the node with this id if one is given.

    Ray's autoscalers start nodes for those that wait. Ray removes them with this driver's job, however that ends; what
    `ray.autoscaler.sdk.request_resources` asks for would stay, and replace what others have asked for.
    """

    def __init__(self, bundles: Sequence[Mapping[str, float]], strategy: str = "PACK", node: str | None = None) -> None:
        self.bundles, self.strategy = [dict(each) for each in bundles], strategy
        self.label_selector = [{"ray.io/node-id": node}] * len(self.bundles) if node else None
        self.groups: list[PlacementGroup] = []

    def hold(self, count: int) -> None:
        """Have so many groups; those that are placed on a node stay there."""
        from ray.util import placement_group, remove_placement_group

        while len(self.groups) > count:
            remove_placement_group(self.groups.pop())
        while len(self.groups) < count:
            self.groups.append(
                placement_group(self.bundles, strategy=self.strategy, bundle_label_selector=self.label_selector)  # pyright: ignore[reportArgumentType] # None is its default
            )

    def ask(self, count: int) -> None:
        """Have so many groups wait; those that are placed on a node are removed: its resources are for trials."""
        from ray.util import placement_group_table, remove_placement_group

        for group in [each for each in self.groups if placement_group_table(each)["state"] == "CREATED"]:
            self.groups.remove(group)
            remove_placement_group(group)
        self.hold(count)


def autoscales() -> bool:
    """Whether an autoscaler starts nodes for the joined cluster.

    Ray tells a driver the types of the nodes that are there, which only an autoscaler names, and nothing of the types
    that could be started.
    """
    import ray
    from ray.autoscaler.v2.sdk import get_cluster_status
    from ray.autoscaler.v2.utils import is_autoscaler_v2
    from ray.experimental.internal_kv import _internal_kv_get  # pyright: ignore[reportPrivateUsage]

    if is_autoscaler_v2():  # KubeRay's
        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        has_types = any(node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes))
        return has_types and status.stats.autoscaler_version not in (None, "", "0")
    report = json.loads(_internal_kv_get("__autoscaling_status") or b"{}").get("autoscaler_report") or {}
    return any(not NO_TYPE.fullmatch(name) for name in report.get("active_nodes", {}))
