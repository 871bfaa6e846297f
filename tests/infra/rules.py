"""The alert rules, for the tests that hold them to the service and to the runbook."""

from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "runbook"

Json = dict[str, Any]


def rules() -> list[Json]:
    """In the order of the file."""
    text = (ROOT / "infra" / "prometheus" / "alerts.yml").read_text()
    groups = cast(Json, yaml.safe_load(text))["groups"]
    return [rule for group in groups for rule in group["rules"]]
