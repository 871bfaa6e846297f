"""The recorded schema itself, and the example file that people begin with."""

from pathlib import Path

import msgspec
import pytest

import infra.deploy
from infra.deploy.deployment import read_deployment
from infra.deploy.endpoint import Wanted, create_body
from tests.infra.deploy.recorded import complaints

EXAMPLE = Path(infra.deploy.__file__).parent / "example.toml"
GOOD = {"name": "a", "type": "QUEUE", "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4}}


def test_the_example_makes_a_body_that_fits() -> None:
    wish = read_deployment(EXAMPLE).endpoint
    body = msgspec.to_builtins(create_body(Wanted(wish, {"A": "b"})))
    assert complaints("CreateEndpointRequest", body) == []
    assert wish.workers_min == 0


BAD: dict[str, dict[str, object]] = {
    "typo": {"flashBoot": "OFF"},
    "v1 field": {"executionTimeoutMs": 1},
    "type of GPU": {"gpu": {"pools": []}},
    "idle for hours": {"workers": {"idleTimeout": 7200}},
    "typo inside": {"workers": {"maximum": 3}},
    "number as text": {"env": {"A": 1}},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_the_schema_refuses_what_the_service_would(change: dict[str, object]) -> None:
    assert complaints("CreateEndpointRequest", GOOD) == []
    assert complaints("CreateEndpointRequest", GOOD | change)
