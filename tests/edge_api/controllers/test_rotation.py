"""One JWT_SECRET takes over from another: tokens and devices stay known."""

from itertools import pairwise

import pytest
from sqlalchemy import text

from tests.edge_api.conftest import Launch, MakeDatabase
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service

OLD, NEW = "old-jwt-" + "o" * 32, "new-jwt-" + "n" * 32
STEPS = [OLD, f"{OLD},{NEW}", f"{NEW},{OLD}", NEW]


def refusal(service: Service, token: str) -> str | None:
    response = Phone(service.api, token).call("GET", "/me")
    return None if response.is_success else response.json()["error"]["code"]


def test_the_first_secret_signs_and_all_verify(launch: Launch, make_database: MakeDatabase) -> None:
    url = make_database("sqlite")
    with launch(url, JWT_SECRET=OLD) as service:
        old = service.phone().token
    with launch(url, JWT_SECRET=f"{NEW},{OLD}") as service:
        new = service.phone().token
        assert [refusal(service, token) for token in (old, new)] == [None, None]
        assert refusal(service, service.token("x" * 40, sub="user_x")) == "TOKEN_INVALID"
        assert refusal(service, service.token(OLD, sub="user_x", exp=1)) == "TOKEN_EXPIRED"
    with launch(url, JWT_SECRET=NEW) as service:
        assert [refusal(service, token) for token in (old, new)] == ["TOKEN_INVALID", None]


@pytest.mark.parametrize(("before", "after"), [*pairwise(STEPS)], ids=["add", "turn", "drop"])
def test_processes_on_both_sides_of_a_step_take_each_other_s_tokens(
    launch: Launch, make_database: MakeDatabase, before: str, after: str
) -> None:
    url = make_database("sqlite")
    with launch(url, JWT_SECRET=before) as one, launch(url, JWT_SECRET=after) as other:
        tokens = [one.phone().token, other.phone().token]
        assert [refusal(service, t) for service in (one, other) for t in tokens] == [None] * 4


@pytest.fixture
def url(make_database: MakeDatabase, database_kind: str) -> str:
    return make_database(database_kind)


def forget_accounts(service: Service) -> None:
    """What stays of an erased account is the device's digest alone."""
    with service.transaction() as connection:
        connection.execute(text("DELETE FROM billing_events"))
        connection.execute(text("DELETE FROM users"))


def test_free_credits_are_not_given_again_while_both_are_there(launch: Launch, url: str) -> None:
    with launch(url, JWT_SECRET=OLD) as service:
        assert Phone(service.api).sign_up("device").credits() == 10
        forget_accounts(service)
    with launch(url, JWT_SECRET=f"{NEW},{OLD}") as service:
        assert Phone(service.api).sign_up("device").credits() == 0
        forget_accounts(service)
    with launch(url, JWT_SECRET=NEW) as service:
        assert Phone(service.api).sign_up("device").credits() == 0


def test_who_signs_in_during_a_rotation_is_known_after_it(launch: Launch, url: str) -> None:
    with launch(url, JWT_SECRET=OLD) as service:
        Phone(service.api).sign_up("device")
    with launch(url, JWT_SECRET=f"{NEW},{OLD}") as service:
        assert Phone(service.api).sign_up("device").credits() == 10
    with launch(url, JWT_SECRET=NEW) as service:
        assert Phone(service.api).sign_up("device").credits() == 10
        forget_accounts(service)
        assert Phone(service.api).sign_up("device").credits() == 0


def test_a_device_that_is_new_during_a_rotation_gets_its_credits_once(
    launch: Launch, url: str
) -> None:
    with launch(url, JWT_SECRET=f"{OLD},{NEW}") as one, launch(url, JWT_SECRET=OLD) as other:
        assert Phone(one.api).sign_up("device").credits() == 10
        forget_accounts(one)
        assert Phone(other.api).sign_up("device").credits() == 0
