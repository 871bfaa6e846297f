"""Every call of the served document, with good and bad data, answers as the document says.

The tests marked `slow` send some hundred times as much.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from shared.objects import ObjectStore
from tests.edge_api.contract.campaign import ALONE, FUZZING, LINKED, SEED, Report, campaign
from tests.edge_api.contract.links import MADE, with_links
from tests.edge_api.contract.operations import operations
from tests.edge_api.contract.stage import Stage
from tests.edge_api.service import Service

Json = dict[str, Any]
Run = Callable[..., Report]

KNOWN: dict[str, str] = {
    "GET /me allow_header_conformance 204": "OPTIONS names one handler's methods",
    "POST /jobs allow_header_conformance 204": "the same",
    "POST /rules allow_header_conformance 204": "the same",
    "PUT /rules/{rule_id} allow_header_conformance 204": "the same",
}
"""What differs from the document and is left so for now; an entry that is no more must go."""


@pytest.fixture
def run(contract_service: Service, objects: ObjectStore, openapi: Json) -> Run:
    """A campaign against a service; the ledger balances after it."""

    def run_campaign(
        phases: tuple[str, ...],
        examples: int,
        *,
        document: Json = openapi,
        anonymous: bool = False,
        seed: int = SEED,
    ) -> Report:
        linked = phases == LINKED
        stage = Stage(contract_service, objects, linked=linked, anonymous=anonymous)
        address = str(contract_service.api.base_url)
        report = campaign(document, address, stage, phases, examples=examples, seed=seed)
        contract_service.assert_balanced()
        return report

    return run_campaign


def told(report: Report, known: dict[str, str] = KNOWN) -> str:
    return "\n\n".join(
        f"{name}: {story}" for name, story in report.failures.items() if name not in known
    )


def test_calls_by_themselves(run: Run, openapi: Json) -> None:
    report = run(ALONE, 30)
    assert not told(report), told(report)
    assert KNOWN.keys() <= report.failures.keys(), "some of what is KNOWN is no more: remove it"
    # Nothing is shown by calls that were all refused.
    for operation in operations(openapi):
        assert any(200 <= s < 300 for s in report.statuses(operation.label)), operation.label


@pytest.mark.parametrize("path", MADE)
def test_calls_that_follow_from_each_other(run: Run, openapi: Json, path: str) -> None:
    """A job or rule that one call made is what the next calls are about."""
    report = run(LINKED, 12, document=with_links(openapi, path))
    assert not told(report), told(report)
    name, _ = MADE[path]
    assert 200 in report.statuses(f"GET {path}/{{{name}}}")
    changing = {"/jobs": "POST /jobs/{job_id}/confirm-upload", "/rules": "PUT /rules/{rule_id}"}
    assert 200 in report.statuses(changing[path])


def test_without_a_token_nothing_is_told(run: Run, openapi: Json) -> None:
    report = run(FUZZING, 10, anonymous=True)
    assert not told(report), told(report)
    for operation in operations(openapi):
        if operation.schemes == {"bearer"}:
            assert 401 in report.statuses(operation.label), operation.label
            assert report.statuses(operation.label) <= {401, 415}, operation.label


def forget_404(call: Json) -> None:
    del call["responses"]["404"]


def answer_a_list(call: Json) -> None:
    call["responses"]["200"]["content"]["application/json"]["schema"] = {"type": "array"}


@pytest.mark.parametrize(
    ("check", "change"),
    [("status_code_conformance", forget_404), ("response_schema_conformance", answer_a_list)],
)
def test_what_the_document_does_not_say_is_found(
    run: Run, openapi: Json, check: str, change: Callable[[Json], None]
) -> None:
    document = copy.deepcopy(openapi)
    document["paths"] = {"/jobs/{job_id}": document["paths"]["/jobs/{job_id}"]}
    change(document["paths"]["/jobs/{job_id}"]["get"])
    report = run(FUZZING, 16, document=document)
    assert any(f"GET /jobs/{{job_id}} {check}" in name for name in report.failures)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_calls_by_themselves_at_length(run: Run, seed: int) -> None:
    report = run(ALONE, 1000, seed=seed)
    assert not told(report), told(report)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("path", MADE)
def test_calls_that_follow_from_each_other_at_length(
    run: Run, openapi: Json, path: str, seed: int
) -> None:
    report = run(LINKED, 300, document=with_links(openapi, path), seed=seed)
    assert not told(report), told(report)
