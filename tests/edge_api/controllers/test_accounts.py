"""Signing up, who calls, and the account behind the token."""

import base64
import json
import time

import jwt
import pytest

from tests.edge_api.conftest import StartService
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service

DAY = 86400


def test_signing_up_answers_what_the_app_casts(service: Service) -> None:
    response = Phone(service.api).call("POST", "/auth/anon")
    assert response.status_code == 200
    account = response.json()["data"]
    assert set(account) == {"user_id", "token", "plan", "is_new"}
    assert isinstance(account["user_id"], str)
    assert isinstance(account["token"], str)
    assert account["plan"] == "free"
    assert account["is_new"] is True


def test_a_token_holds_the_user_and_thirty_days_and_nothing_of_the_plan(service: Service) -> None:
    before = int(time.time())
    phone = service.phone()
    claims = jwt.decode(phone.token, service.settings.jwt_secret.reveal(), algorithms=["HS256"])
    assert set(claims) == {"sub", "iat", "exp"}
    assert claims["sub"] == phone.user_id
    assert before <= claims["iat"] <= time.time()
    assert claims["exp"] - claims["iat"] == 30 * DAY


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"device_hash": null}', b'{"more": 1}'])
def test_signing_up_needs_no_body(service: Service, body: bytes) -> None:
    response = Phone(service.api).call("POST", "/auth/anon", content=body)
    assert response.status_code == 200
    assert response.json()["data"]["is_new"] is True


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer garbage", "Bearer a.b.c", "Basic dXNlcg==", "Bearer \xe9"]
)
def test_signing_up_ignores_whatever_token_comes_along(service: Service, header: str) -> None:
    sent = [
        (b"Content-Type", b"application/json"),
        (b"Authorization", header.encode("latin-1")),
    ]
    response = service.api.post("/auth/anon", headers=sent)
    assert response.status_code == 200


def test_signing_up_ignores_an_expired_token(service: Service) -> None:
    expired = service.token(sub="user_gone", exp=int(time.time()) - DAY)
    fresh = Phone(service.api, expired).sign_up()
    assert fresh.user_id != "user_gone"
    assert fresh.credits() == 10


def test_a_known_device_gets_its_account_again(service: Service) -> None:
    first = Phone(service.api).sign_up("device-1")
    first.create(3)
    again = Phone(service.api).data("POST", "/auth/anon", {"device_hash": "device-1"})
    assert (again["user_id"], again["is_new"]) == (first.user_id, False)
    assert Phone(service.api, again["token"]).credits() == 7
    assert Phone(service.api).sign_up("device-2").user_id != first.user_id


@pytest.mark.parametrize("device_hash", [None, ""])
def test_without_a_device_every_sign_up_is_a_new_account(
    service: Service, device_hash: str | None
) -> None:
    body = {"device_hash": device_hash}
    users = {Phone(service.api).data("POST", "/auth/anon", body)["user_id"] for _ in range(2)}
    assert len(users) == 2


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"[]", "body"),
        (b'"device"', "body"),
        (b"{", "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 50_000, "body"),
        (b'{"device_hash": 5}', "device_hash"),
        (b'{"device_hash": "' + b"x" * 129 + b'"}', "device_hash"),
    ],
    ids=["list", "string", "truncated", "not UTF-8", "nested", "number", "too long"],
)
def test_a_sign_up_that_does_not_fit_is_a_400(service: Service, body: bytes, path: str) -> None:
    response = Phone(service.api).call("POST", "/auth/anon", content=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert [problem["path"] for problem in error["details"]] == [path]


def test_the_account_has_plain_integers(phone: Phone) -> None:
    me = phone.data("GET", "/me")
    assert me["user_id"] == phone.user_id
    assert me["plan"] == "free"
    numbers = [me["credits"], me["rule_slots"], me["concurrent_jobs"]]
    assert [type(number) for number in numbers] == [int, int, int]
    assert numbers == [10, 2, 1]
    assert me["limits"] == {
        "items_per_job": 10,
        "concurrent_jobs": 1,
        "rule_slots": 2,
        "open_jobs": 0,
        "rules": 0,
    }


def test_the_pro_plan(service: Service) -> None:
    me = service.pro_phone().data("GET", "/me")
    assert (me["plan"], me["credits"], me["rule_slots"], me["concurrent_jobs"]) == (
        "pro",
        200,
        20,
        3,
    )
    assert me["limits"]["items_per_job"] == 200


def test_the_limits_count_what_is_in_use(phone: Phone) -> None:
    phone.create(4)
    phone.data("POST", "/rules", {"name": "A", "preset_id": "interior", "concepts": WALL})
    me = phone.data("GET", "/me")
    assert me["credits"] == 6
    assert (me["limits"]["open_jobs"], me["limits"]["rules"]) == (1, 1)


WALL = {"Wall": {"action": "recolor", "value": "oak_a"}}


def _unsigned(claims: dict[str, object]) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
    return b".".join([*encoded, b""]).decode()


def _flip(token: str) -> str:
    head, payload, signature = token.split(".")
    return ".".join([head, payload, ("A" if signature[0] != "A" else "B") + signature[1:]])


def _tokens(service: Service, user: str) -> dict[str, tuple[str | None, str]]:
    """The Authorization header, and the code that answers it."""
    now = int(time.time())
    whole = service.token(sub=user)
    return {
        "no header": (None, "AUTH_REQUIRED"),
        "empty header": ("", "AUTH_REQUIRED"),
        "expired": (f"Bearer {service.token(sub=user, exp=now - 1)}", "TOKEN_EXPIRED"),
        "another scheme": (f"Basic {whole}", "TOKEN_INVALID"),
        "no scheme": (whole, "TOKEN_INVALID"),
        "no token": ("Bearer", "TOKEN_INVALID"),
        "garbage": ("Bearer garbage", "TOKEN_INVALID"),
        "two tokens": (f"Bearer {whole} {whole}", "TOKEN_INVALID"),
        "wrong secret": (f"Bearer {service.token('w' * 32, sub=user)}", "TOKEN_INVALID"),
        "expired, wrong secret": (
            f"Bearer {service.token('w' * 32, sub=user, exp=now - 1)}",
            "TOKEN_INVALID",
        ),
        "signature changed": (f"Bearer {_flip(whole)}", "TOKEN_INVALID"),
        "alg none": (
            f"Bearer {_unsigned({'sub': user, 'iat': now, 'exp': now + 60})}",
            "TOKEN_INVALID",
        ),
        "another algorithm": (
            f"Bearer {service.token('k' * 64, 'HS512', sub=user)}",
            "TOKEN_INVALID",
        ),
        "HS512 with our secret": (
            f"Bearer {service.token(service.settings.jwt_secret.reveal() * 2, 'HS512', sub=user)}",
            "TOKEN_INVALID",
        ),
        "no sub": (f"Bearer {service.token()}", "TOKEN_INVALID"),
        "no iat": (f"Bearer {service.token(sub=user, iat=None)}", "TOKEN_INVALID"),
        "no exp": (f"Bearer {service.token(sub=user, exp=None)}", "TOKEN_INVALID"),
        "issued in the future": (
            f"Bearer {service.token(sub=user, iat=now + 900)}",
            "TOKEN_INVALID",
        ),
        "exp is text": (f"Bearer {service.token(sub=user, exp='tomorrow')}", "TOKEN_INVALID"),
        "an account that is gone": (f"Bearer {service.token(sub='user_gone')}", "TOKEN_INVALID"),
    }


def test_every_kind_of_bad_token(service: Service, phone: Phone) -> None:
    seen = {}
    expected = {}
    for name, (header, code) in _tokens(service, phone.user_id).items():
        headers = {} if header is None else {"Authorization": header}
        response = service.api.get("/me", headers=headers)
        seen[name] = (response.status_code, response.json()["error"]["code"])
        expected[name] = (401, code)
    assert seen == expected


@pytest.mark.parametrize("sub", [5, True, ["user"], {"id": "user"}])
def test_a_subject_that_is_no_string_is_invalid(service: Service, sub: object) -> None:
    # PyJWT does not sign such a token, so it is put together by hand.
    now = int(time.time())
    token = jwt.api_jws.PyJWS().encode(
        json.dumps({"sub": sub, "iat": now, "exp": now + 60}).encode(),
        service.settings.jwt_secret.reveal(),
        "HS256",
    )
    response = service.api.get("/me", headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()["error"]["code"]) == (401, "TOKEN_INVALID")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_scheme_is_case_insensitive(service: Service, phone: Phone, scheme: str) -> None:
    response = service.api.get("/me", headers={"Authorization": f"{scheme} {phone.token}"})
    assert response.status_code == 200


AUTHENTICATED = [
    ("GET", "/me"),
    ("GET", "/presets"),
    ("GET", "/presets/interior"),
    ("GET", "/materials"),
    ("GET", "/rules"),
    ("POST", "/rules"),
    ("GET", "/rules/rule_1"),
    ("PUT", "/rules/rule_1"),
    ("DELETE", "/rules/rule_1"),
    ("POST", "/jobs"),
    ("GET", "/jobs"),
    ("GET", "/jobs/job_1"),
    ("GET", "/jobs/job_1/items/0"),
    ("POST", "/jobs/job_1/confirm-upload"),
    ("POST", "/jobs/job_1/execute"),
    ("POST", "/jobs/job_1/cancel"),
]


@pytest.mark.parametrize(("method", "path"), AUTHENTICATED)
def test_a_call_without_a_token_is_refused_before_anything_else(
    service: Service, method: str, path: str
) -> None:
    response = Phone(service.api).call(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "AUTH_REQUIRED")


def test_the_lifetime_of_tokens_is_a_setting(start: StartService) -> None:
    phone = start(TOKEN_LIFETIME_SEC="60").phone()
    claims = jwt.decode(phone.token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 60
