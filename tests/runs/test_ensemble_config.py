"""What an ensemble refuses before anything is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medray.bundles.manifest import Manifest, write_bundle
from medray.errors import ConfigError
from medray.runs.ensemble import EnsembleConfig, ensemble

ONE = {"kind": "regression", "target": "area"}


@pytest.mark.parametrize(
    ("other", "more", "code", "says"),
    [
        ({**ONE, "target": "volume"}, {}, "ENSEMBLE_TASKS", '"target":"volume"'),
        (ONE, {"threshold": {"kind": "youden"}}, "CONFIG_INVALID", "the task regression takes none"),
    ],
)
def test_members_and_settings_that_do_not_fit(
    tmp_path: Path, other: dict[str, Any], more: dict[str, Any], code: str, says: str
) -> None:
    members = []
    for name, task in (("one", ONE), ("other", other)):
        manifest = Manifest.model_validate({"name": name, "task": task, "family": "xgb", "params": {}, "input": None})
        write_bundle(manifest, {}, str(tmp_path / name))
        members.append(str(tmp_path / name))
    config = EnsembleConfig.model_validate({"output": str(tmp_path), "catalog": "none", "members": members, **more})
    with pytest.raises(ConfigError, match=says) as caught:
        ensemble(config)
    assert caught.value.code == code
