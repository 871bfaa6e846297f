"""What belongs to somebody is, to everyone else, not there: for every call of the document."""

import re
from typing import Any

import httpx
import pytest
from sqlalchemy import MetaData, Table, select

from tests.edge_api.contract.cast import Cast, Owner
from tests.edge_api.contract.operations import OWNED, Operation, operations
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service

Json = dict[str, Any]

CALLERS = ["stranger", "nobody", "somebody who is gone", "an expired token"]

REFUSALS = {"stranger": {404}, "nobody": {401}, "somebody who is gone": {401, 404}}
"""By caller, where a token is asked for; 401 for the rest."""


@pytest.fixture(scope="module")
def owners(contract_service: Service, departed: Phone) -> list[Owner]:
    """People with a job in each state, and rules, once the loops have done their part."""
    owners = Cast(contract_service).everyone()
    contract_service.wait_until(
        "SELECT 1 WHERE NOT EXISTS"
        " (SELECT 1 FROM dispatches WHERE state IN ('new', 'submitting', 'canceling'))"
    )
    return owners


@pytest.fixture(scope="module")
def stranger(contract_service: Service) -> Owner:
    """With things of their own: a job that waits to be executed, and rules."""
    return Owner(contract_service, "uploaded")


@pytest.fixture(scope="module")
def departed(contract_service: Service) -> Phone:
    """Deleted by the call for it, where there is one; else an account that never was."""
    phone = contract_service.phone()
    if phone.call("DELETE", "/me").is_success:
        return phone
    return Phone(contract_service.api, contract_service.token(sub="user_" + "0" * 32))


@pytest.fixture
def caller(
    request: pytest.FixtureRequest, contract_service: Service, stranger: Owner, departed: Phone
) -> Phone:
    match request.param:
        case "stranger":
            return stranger.phone
        case "nobody":
            return Phone(contract_service.api)
        case "an expired token":
            token = contract_service.token(sub=stranger.phone.user_id, exp=1)
            return Phone(contract_service.api, token)
        case _:
            return departed


def owned_by_somebody(openapi: Json) -> list[Operation]:
    found = [operation for operation in operations(openapi) if operation.owned]
    assert len(found) >= 9, "the document lost its calls about jobs and rules"
    return found


@pytest.fixture(scope="module")
def tables(contract_service: Service) -> list[Table]:
    """As they are in the database, so that a new one is looked into as well."""
    found = MetaData()
    found.reflect(contract_service.engine)
    return found.sorted_tables


def rows_of(service: Service, tables: list[Table], owner: Owner) -> list[str]:
    """Every row of every table that mentions anything of that owner."""
    with service.transaction() as connection:
        rows = [
            f"{table.name} {tuple(row)!r}"
            for table in tables
            for row in connection.execute(select(table))
        ]
    mentioned = re.compile("|".join(owner.ids))
    return sorted(row for row in rows if mentioned.search(row))


def told(response: httpx.Response) -> tuple[int, Json, str]:
    """The answer byte for byte, but for what is each answer's own."""
    own = {"date", "x-request-id", "ratelimit"}
    headers = {name: value for name, value in response.headers.items() if name not in own}
    text = re.sub(r'"(request_id|timestamp)":"[^"]+"', r'"\1":""', response.text)
    return response.status_code, headers, text


def test_every_parameter_is_known(openapi: Json) -> None:
    for operation in operations(openapi):
        operation.check_known()
        strange = {f for f in operation.body_fields(openapi) if f.endswith("_id")} - set(OWNED)
        strange -= {"preset_id"}
        assert not strange or operation.schemes == {"webhookSignature"}, operation.label


def test_a_parameter_never_heard_of_is_not_passed_over() -> None:
    definition = {"parameters": [{"name": "album_id", "in": "path"}]}
    with pytest.raises(AssertionError, match="album_id"):
        Operation("GET", "/albums/{album_id}", definition, {"bearer"}).check_known()


@pytest.mark.parametrize("caller", CALLERS, indirect=True)
def test_what_is_somebody_s_answers_as_what_is_not_there(
    contract_service: Service,
    openapi: Json,
    tables: list[Table],
    owners: list[Owner],
    caller: Phone,
    request: pytest.FixtureRequest,
) -> None:
    name = request.node.callspec.params["caller"]
    for operation in owned_by_somebody(openapi):
        absent = caller.call(operation.method, operation.about_nothing(), operation.body())
        assert absent.status_code in refusals(operation, name), f"{operation.label}: {absent.text}"
        for owner in owners:
            where = f"{name}: {operation.label} of a job that is {owner.state}"
            before = rows_of(contract_service, tables, owner)
            found = caller.call(operation.method, operation.about(owner), operation.body())
            assert told(found) == told(absent), where
            assert rows_of(contract_service, tables, owner) == before, where


def refusals(operation: Operation, caller: str) -> set[int]:
    if operation.schemes == {"bearer"}:
        return REFUSALS.get(caller, {401})
    assert operation.schemes == {"webhookSignature"}, f"{operation.label} is open to everyone"
    return {403}


def test_an_id_of_somebody_s_in_a_body_reads_as_one_that_is_not_there(
    contract_service: Service,
    openapi: Json,
    tables: list[Table],
    owners: list[Owner],
    stranger: Owner,
) -> None:
    """The call itself is about the stranger's own things: a job that may be executed."""
    owner = owners[0]
    before = rows_of(contract_service, tables, owner)
    seen: set[str] = set()
    for operation in operations(openapi):
        for field in operation.body_fields(openapi) & set(OWNED):
            path, body = operation.about(stranger), operation.body()
            assert body is not None
            ids = {"job_id": owner.job_id, "rule_id": owner.rule_ids[0]}
            found = stranger.phone.call(operation.method, path, body | {field: ids[field]})
            absent = stranger.phone.call(operation.method, path, body | {field: OWNED[field]})
            assert absent.status_code == 404, f"{operation.label}: {absent.text}"
            assert told(found) == told(absent), f"{operation.label} with a {field}"
            seen.add(field)
    assert "rule_id" in seen
    assert rows_of(contract_service, tables, owner) == before


def test_no_list_has_anything_of_somebody_else(
    contract_service: Service, openapi: Json, owners: list[Owner], stranger: Owner
) -> None:
    theirs = {known for owner in owners for known in owner.ids}
    own: set[str] = set()
    for operation in operations(openapi):
        if operation.method != "GET" or operation.owned or operation.schemes != {"bearer"}:
            continue
        for query in ("", *(f"?cursor={owner.job_id}" for owner in owners)):
            response = stranger.phone.call("GET", operation.about(stranger) + query)
            assert response.is_success, f"{operation.label}: {response.text}"
            text = response.text
            assert not [known for known in theirs if known in text], operation.label + query
            own |= {known for known in stranger.ids if known in text}
    assert own == stranger.ids, "the lists do not tell people of their own things"


def test_a_key_of_somebody_else_repeats_nothing_of_theirs(
    contract_service: Service, openapi: Json
) -> None:
    """Two people may choose the same `Idempotency-Key`; nobody gets the other's answer."""
    for operation in operations(openapi):
        if "Idempotency-Key" not in operation.headers() or operation.owned:
            continue
        first, second = contract_service.phone(), contract_service.phone()
        headers = {"Idempotency-Key": "chosen-by-both"}
        answers = [
            phone.call(operation.method, operation.path, operation.body(), headers=headers)
            for phone in (first, second, second)
        ]
        assert all(answer.is_success for answer in answers), operation.label
        ids = [set(re.findall(r"(?:user|job|rule)_[0-9a-f]{32}", a.text)) for a in answers]
        assert ids[0].isdisjoint(ids[1]), operation.label
        assert ids[1] == ids[2], operation.label


def test_owners_themselves_are_answered(openapi: Json, owners: list[Owner]) -> None:
    """So the refusals above are about who asks, not about what is asked."""
    for operation in owned_by_somebody(openapi):
        if operation.method != "GET":
            continue
        for owner in owners:
            response = owner.phone.call("GET", operation.about(owner))
            assert response.status_code == 200, f"{operation.label}: {response.text}"
            assert any(known in response.text for known in owner.ids) or "{idx}" in operation.path
