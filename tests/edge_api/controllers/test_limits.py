"""Limits on sign-ups, on what is given away, and on calls."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import text

from tests.edge_api.conftest import Launch, MakeDatabase, StartService
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service


def sign_up(
    service: Service, forwarded: str | None = None, device: str | None = None
) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    if forwarded is not None:
        headers["X-Forwarded-For"] = forwarded
    body = None if device is None else {"device_hash": device}
    return service.api.post("/auth/anon", json=body, headers=headers)


def refused(response: httpx.Response) -> bool:
    if response.is_success:
        return False
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (429, "RATE_LIMITED")
    assert int(response.headers["Retry-After"]) == error["details"]["retry_after"] >= 1
    return True


def test_an_address_may_open_so_many_accounts_an_hour(start: StartService) -> None:
    service = start(SIGNUPS_PER_HOUR="3")
    assert [refused(sign_up(service)) for _ in range(5)] == [False] * 3 + [True] * 2
    assert len(service.rows("SELECT id FROM users")) == 3
    (row,) = service.rows("SELECT * FROM rate_limits")
    service.change("UPDATE rate_limits SET arrival = :a", a=row["arrival"] - 1201)
    assert [refused(sign_up(service)) for _ in range(2)] == [False, True]


def test_a_known_device_signs_in_as_often_as_it_likes(start: StartService) -> None:
    service = start(SIGNUPS_PER_HOUR="1")
    users = {sign_up(service, device="d").json()["data"]["user_id"] for _ in range(5)}
    assert len(users) == 1
    assert refused(sign_up(service, device="another"))


def test_what_a_stranger_says_of_his_address_does_not_count(start: StartService) -> None:
    service = start(SIGNUPS_PER_HOUR="2")
    answers = [refused(sign_up(service, f"203.0.113.{n}")) for n in range(4)]
    assert answers == [False, False, True, True]


def test_the_day_s_credits_come_to_an_end(start: StartService) -> None:
    service = start(FREE_CREDITS_PER_DAY="25")
    assert [refused(sign_up(service)) for _ in range(4)] == [False, False, True, True]
    wait = int(sign_up(service).headers["Retry-After"])
    assert wait <= 86400
    assert abs(time.time() + wait - (time.time() // 86400 + 1) * 86400) < 2
    (row,) = service.rows("SELECT * FROM credit_budgets")
    assert row["granted"] == 20
    service.change("UPDATE credit_budgets SET day = '2000-01-01'")
    assert not refused(sign_up(service))


def test_a_device_has_its_free_credits_once(start: StartService) -> None:
    service = start()
    first = sign_up(service, device="d").json()["data"]
    with service.transaction() as connection:
        connection.execute(text("DELETE FROM billing_events"))
        connection.execute(text("DELETE FROM users"))
    again = sign_up(service, device="d").json()["data"]
    assert again["user_id"] != first["user_id"]
    assert again["is_new"] is True
    assert Phone(service.api, again["token"]).credits() == 0
    assert "d" not in [row["digest"] for row in service.rows("SELECT * FROM granted_devices")]


def test_calls_are_counted_and_told(start: StartService) -> None:
    phone = start(CALLS_PER_MINUTE="5").phone()
    left: list[int] = []
    for _ in range(5):
        response = phone.call("GET", "/me")
        assert response.is_success
        assert response.headers["RateLimit-Policy"] == '"calls";q=5;w=60'
        left.append(int(response.headers["RateLimit"].split(";")[1].removeprefix("r=")))
    assert left == [4, 3, 2, 1, 0]
    assert refused(phone.call("GET", "/me"))
    assert refused(phone.call("POST", "/jobs", {"preset": "interior", "item_count": 1}))


def test_one_user_s_calls_are_not_another_s(start: StartService) -> None:
    service = start(CALLS_PER_MINUTE="2")
    first, second = service.phone(), service.phone()
    assert [refused(first.call("GET", "/me")) for _ in range(3)] == [False, False, True]
    assert not refused(second.call("GET", "/me"))


@pytest.mark.parametrize("limit", [10, 200])
def test_processes_let_no_more_through_together(
    launch: Launch, make_database: MakeDatabase, database_kind: str, limit: int
) -> None:
    """Two services on one database; what one holds in advance the other does not have."""
    url = make_database(database_kind)
    variables = {"CALLS_PER_MINUTE": str(limit)}
    with launch(url, **variables) as one, launch(url, **variables) as other:
        phone = one.phone()
        phones = [phone, Phone(other.api, phone.token)]
        started = time.monotonic()

        def call(number: int) -> bool:
            return phones[number % 2].call("GET", "/me").is_success

        with ThreadPoolExecutor(2) as pool:
            through = sum(pool.map(call, range(limit + limit // 2)))
        seconds = time.monotonic() - started
    assert through <= limit + seconds * limit / 60
    assert through >= limit - 20


def test_nobody_counts_where_the_limit_is_nought(phone: Phone) -> None:
    response = phone.call("GET", "/me")
    assert "RateLimit" not in response.headers
