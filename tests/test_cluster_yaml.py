"""cluster.yaml passes Ray's own schema and says what the design asks for."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]


@pytest.fixture
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return loaded


def validated(cluster: dict[str, Any]) -> dict[str, Any]:
    """The configuration as ``ray up`` completes and checks it."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    return prepared


def test_it_passes_rays_schema(cluster: dict[str, Any]) -> None:
    assert set(validated(cluster)["available_node_types"]) == {"head", "gpu_worker", "cpu_worker"}


@pytest.mark.parametrize(
    ("mistake", "said"),
    [({"max_workers": "many"}, "many"), ({"maxworkers": 3}, "maxworkers"), ({"head_node_type": "none"}, "head_node_type")],
)
def test_rays_schema_refuses_mistakes(cluster: dict[str, Any], mistake: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=said):
        validated({**cluster, **mistake})


def test_it_has_a_cpu_head_gpu_workers_and_cpu_workers(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert types[cluster["head_node_type"]]["resources"] == {"CPU": 0}
    assert types["gpu_worker"]["node_config"]["InstanceType"].startswith(("g", "p"))
    assert types["cpu_worker"]["max_workers"] >= types["cpu_worker"]["min_workers"] >= 1
    commands = "\n".join(cluster["head_start_ray_commands"] + cluster["worker_start_ray_commands"])
    assert commands.count("RAY_AUTH_MODE=token") == 2
    assert "aws_secret" not in (ROOT / "cluster.yaml").read_text().lower()
