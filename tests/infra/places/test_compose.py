"""infra/compose.yaml: pinned, hardened, without a secret, and in words that the programs read."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.images.lint import SECRET
from tests.infra.places.names import (
    api_names,
    handler_names,
    required_of_the_api,
    required_of_the_handler,
)

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")
GIVEN = re.compile(r"\$\{[A-Z0-9_]+:\?[^}]*\}|\$\{[A-Z0-9_]+:-\}")
"""From outside: required, or nothing."""

services = pytest.mark.parametrize("name", sorted(SERVICES))


def environment(name: str) -> dict[str, str]:
    return SERVICES[name].get("environment", {})


@services
def test_images_are_pinned(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"]), SERVICES[name]["image"]


@services
def test_what_a_container_may_do_is_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert service["healthcheck"], "says how it is asked, or that it ends by itself"


@services
def test_no_secret_stands_in_the_file(name: str) -> None:
    for variable, value in environment(name).items():
        if SECRET.search(variable):
            assert GIVEN.fullmatch(str(value)), variable
        assert not re.search(r"://[^/@{]*:[^$@/]+@", str(value)), variable


def test_what_starts_after_another_waits_until_it_is_well() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            ends = SERVICES[other].get("restart") == "no"
            wanted = "service_completed_successfully" if ends else "service_healthy"
            assert how["condition"] == wanted, (name, other)


def test_the_programs_read_every_variable_they_are_given() -> None:
    assert set(environment("api")) <= api_names()
    assert set(environment("handler")) <= handler_names()


def test_the_programs_are_given_all_they_need() -> None:
    assert required_of_the_api() <= set(environment("api"))
    assert required_of_the_handler() <= set(environment("handler"))


def test_both_programs_mean_the_same_bucket_and_secret() -> None:
    api, handler = environment("api"), environment("handler")
    assert api["R2_BUCKET_NAME"] == handler["STORAGE_BUCKET"]
    for one, other in (
        ("R2_ENDPOINT_URL", "STORAGE_S3_ENDPOINT"),
        ("R2_ACCESS_KEY_ID", "STORAGE_ACCESS_KEY"),
        ("GPU_CALLBACK_SECRET", "GPU_CALLBACK_SECRET"),
    ):
        assert api[one].partition(":?")[0] == handler[other].partition(":?")[0], one


def test_only_the_api_and_the_bucket_are_reached_from_outside() -> None:
    published = {name for name, service in SERVICES.items() if service.get("ports")}
    assert published == {"api", "storage"}
    for name in published:
        assert all("127.0.0.1" in port for port in SERVICES[name]["ports"]), "unless asked for"
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert SERVICES["database"]["networks"] == ["inside"]


def test_what_has_to_last_is_on_volumes_that_exist() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"], name
    assert any(":/var/lib/postgresql/data" in one for one in SERVICES["database"]["volumes"])


def test_the_handler_has_the_gpu_and_takes_jobs_by_http() -> None:
    handler = SERVICES["handler"]
    devices = handler["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    assert environment("handler")["ADAPTER"] == "http"
    assert environment("api")["RUNPOD_BASE_URL"] == "http://handler:8000/v2"
    assert environment("handler")["HANDLER_API_KEY"] == environment("api")["RUNPOD_API_KEY"]
    assert f":{environment('handler')['HTTP_PORT']}/v2" in environment("api")["RUNPOD_BASE_URL"]
