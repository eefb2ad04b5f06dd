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


def test_it_passes_rays_schema(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(cluster)
    validate_config(prepare_config(copy.deepcopy(cluster)))


def test_rays_schema_would_refuse_a_mistake(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import validate_config

    cluster["max_workers"] = "many"
    with pytest.raises(Exception, match=r"max_workers|many"):
        validate_config(cluster)


def test_it_has_a_cpu_head_gpu_workers_and_cpu_workers(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert types[cluster["head_node_type"]]["resources"] == {"CPU": 0}
    assert types["gpu_worker"]["node_config"]["InstanceType"].startswith(("g", "p"))
    assert types["cpu_worker"]["max_workers"] >= types["cpu_worker"]["min_workers"] >= 1
    commands = "\n".join(cluster["head_start_ray_commands"] + cluster["worker_start_ray_commands"])
    assert commands.count("RAY_AUTH_MODE=token") == 2
    assert "aws_secret" not in (ROOT / "cluster.yaml").read_text().lower()
