"""The recipes for other places: their words are our settings, and no secret is in them."""

import configparser
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.images.lint import SECRET
from tests.infra.places.names import api_names, required_of_the_api

INFRA = Path(__file__).resolve().parents[3] / "infra"
UNIT = INFRA / "systemd" / "palette-api.service"


def test_fly_knows_our_settings_and_no_secret() -> None:
    fly = tomllib.loads((INFRA / "fly.toml").read_text())
    assert set(fly["env"]) <= api_names()
    assert not [name for name in fly["env"] if SECRET.search(name)]
    assert (INFRA / fly["build"]["dockerfile"]).is_file()
    assert fly["http_service"]["internal_port"] == 8787
    assert [check["path"] for check in fly["http_service"]["checks"]] == ["/health"]


def test_fly_keeps_one_machine_awake_for_one_database() -> None:
    fly = tomllib.loads((INFRA / "fly.toml").read_text())
    assert fly["http_service"]["auto_stop_machines"] == "off"
    assert fly["http_service"]["min_machines_running"] == 1
    assert fly["deploy"]["strategy"] == "immediate", "two machines cannot share the volume"
    assert fly["env"]["DATABASE_URL"].startswith(f"sqlite:///{fly['mounts']['destination']}/")


def cloud_run() -> dict[str, Any]:
    return yaml.safe_load((INFRA / "cloudrun.yaml").read_text())


def test_cloud_run_is_given_all_that_is_needed() -> None:
    container = cloud_run()["spec"]["template"]["spec"]["containers"][0]
    names = [one["name"] for one in container["env"]]
    assert len(names) == len(set(names))
    assert set(names) <= api_names()
    assert required_of_the_api() - {"R2_ENDPOINT_URL"} <= set(names)
    assert "R2_ACCOUNT_ID" in names
    for one in container["env"]:
        if SECRET.search(one["name"]) or one["name"] == "DATABASE_URL":
            assert set(one) == {"name", "valueFrom"}, one["name"]
    assert container["ports"][0]["containerPort"] == 8787
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"


def test_cloud_run_works_while_nobody_calls() -> None:
    notes = cloud_run()["spec"]["template"]["metadata"]["annotations"]
    assert int(notes["autoscaling.knative.dev/minScale"]) >= 1
    assert notes["run.googleapis.com/cpu-throttling"] == "false"


def test_litestream_copies_the_database_and_holds_no_key() -> None:
    config = yaml.safe_load((INFRA / "litestream.yml").read_text())
    assert [one["path"] for one in config["dbs"]] == ["${LITESTREAM_DATABASE}"]
    assert "key" not in " ".join(config["dbs"][0]["replica"])
    assert set(config["snapshot"]) == {"interval", "retention"}


def test_the_unit_starts_the_api_without_rights_or_secrets() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert "-m edge_api serve" in service["ExecStart"]
    assert service["DynamicUser"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert service["EnvironmentFile"] == "/etc/palette/api.env"
    own = set(re.findall(r"^Environment=(\w+)=", UNIT.read_text(), re.MULTILINE))
    assert own <= api_names() | {"PYTHONUNBUFFERED"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_itself_finds_the_unit_hardened() -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-400:] + told.stderr
