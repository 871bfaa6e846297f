"""Tokens that nobody but an attacker makes: each is a plain 401 and never a 500.

Those of everyday life (expired, another secret, a claim that is missing) are in
tests/edge_api/controllers/test_accounts.py.
"""

import json
import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.edge_api.phone import Phone
from tests.edge_api.service import Service
from tests.security.tokens import HEADER, claims, encode, signed

INVALID, EXPIRED = (401, "TOKEN_INVALID"), (401, "TOKEN_EXPIRED")
HUGE = 10**400


def answer(service: Service, token: str, path: str = "/me") -> tuple[int, str | None]:
    response = service.api.get(path, headers={"Authorization": f"Bearer {token}"})
    error = response.json()["error"]
    return response.status_code, None if error is None else error["code"]


def answers(service: Service, tokens: dict[str, str]) -> dict[str, tuple[int, str | None]]:
    """On /me, where the account is looked up, and on /presets, where the token alone decides."""
    return {
        f"{name} at {path}": answer(service, token, path)
        for name, token in tokens.items()
        for path in ("/me", "/presets")
    }


def expect(tokens: dict[str, str], told: tuple[int, str]) -> dict[str, tuple[int, str]]:
    return {f"{name} at {path}": told for name in tokens for path in ("/me", "/presets")}


def headers_of_attackers(secret: str, whole: dict[str, object]) -> dict[str, str]:
    """Signed with our own secret each: even then the header is not followed."""
    odd: dict[str, object] = {
        "alg none": {"alg": "none"},
        "alg None in another case": {"alg": "nOnE"},
        "alg in lower case": {"alg": "hs256"},
        "alg with a space": {"alg": "HS256 "},
        "alg is a list": {"alg": ["HS256"]},
        "alg is null": {"alg": None},
        "alg is a number": {"alg": 256},
        "no alg": {"typ": "JWT"},
        "an unknown critical extension": HEADER | {"crit": ["b64-url"], "b64-url": True},
        "an empty list of critical extensions": HEADER | {"crit": []},
        "a payload that is not encoded": HEADER | {"b64": False, "crit": ["b64"]},
        "RS256 over our secret": {"alg": "RS256"},
        "EdDSA over our secret": {"alg": "EdDSA"},
        "a key id that is a number": HEADER | {"kid": 7},
    }
    tokens = {name: signed(secret, whole, json.dumps(head).encode()) for name, head in odd.items()}
    tokens["a header that is a list"] = signed(secret, whole, b"[]")
    tokens["a header that is no JSON"] = signed(secret, whole, b"\xff\xfe")
    for bits in (384, 512):
        head: dict[str, object] = {"alg": f"HS{bits}"}
        tokens[f"HS{bits} with our secret"] = signed(secret, whole, head, f"sha{bits}")
        tokens[f"HS{bits} that says HS256"] = signed(secret, whole, None, f"sha{bits}")
    return tokens


def test_a_header_chooses_neither_algorithm_nor_key(service: Service, phone: Phone) -> None:
    secret = service.settings.jwt_secret.reveal()
    tokens = headers_of_attackers(secret, claims(phone.user_id))
    assert answers(service, tokens) == expect(tokens, INVALID)


def test_a_key_pair_of_the_attacker_s_own_opens_nothing(service: Service, phone: Phone) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    tokens = {
        "RS256": jwt.encode(claims(phone.user_id), key, "RS256"),
        "RS256 that brings its key": jwt.encode(
            claims(phone.user_id), key, "RS256", headers={"jwk": public}
        ),
        "PS256": jwt.encode(claims(phone.user_id), key, "PS256"),
    }
    assert answers(service, tokens) == expect(tokens, INVALID)


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../../../dev/null"},
        {"kid": "' UNION SELECT 'k"},
        {"jku": "http://127.0.0.1:9/keys"},
        {"x5u": "http://127.0.0.1:9/chain"},
    ],
    ids=["path", "SQL", "jku", "x5u"],
)
def test_a_named_key_is_neither_looked_for_nor_used(
    service: Service, phone: Phone, header: dict[str, object]
) -> None:
    # The empty key is what /dev/null would give; with our own secret the name changes nothing.
    told = claims(phone.user_id)
    assert answer(service, signed("", told, HEADER | header)) == INVALID
    secret = service.settings.jwt_secret.reveal()
    assert answer(service, signed(secret, told, HEADER | header)) == (200, None)


def claims_of_attackers(user_id: str, now: int) -> dict[str, bytes | dict[str, object]]:
    """Each signed with our own secret: somebody else's service may share it by mistake."""
    text = json.dumps(claims(user_id))
    return {
        "for another audience": claims(user_id, aud="somebody-else"),
        "for a list of audiences": claims(user_id, aud=["a", "b"]),
        "not valid before tomorrow": claims(user_id, nbf=now + 86400),
        "nbf is text": claims(user_id, nbf="tomorrow"),
        "jti is a number": claims(user_id, jti=5),
        "exp is null": claims(user_id, exp=None),
        "exp is infinite": claims(user_id, exp=float("inf")),
        "exp is not a number": claims(user_id, exp=float("nan")),
        "exp is an object": claims(user_id, exp={"$gt": 0}),
        "exp overflows a float": text.replace(str(now + 60), "1e400").encode(),
        "iat is text": claims(user_id, iat=str(now)),
        "iat is a list": claims(user_id, iat=[now]),
        "iat is huge": claims(user_id, iat=HUGE),
        "a list": b"[1]",
        "a number": b"5",
        "null": b"null",
        "no JSON": b"\xff\xfe",
        "nothing": b"",
        "nested deeply": b"[" * 5000 + b"]" * 5000,
        "a token in a token": {"token": signed("x" * 32, claims(user_id))},
        "no claims": {},
    }


def test_claims_that_do_not_fit(service: Service, phone: Phone) -> None:
    secret, now = service.settings.jwt_secret.reveal(), int(time.time())
    odd = claims_of_attackers(phone.user_id, now)
    tokens = {name: signed(secret, told) for name, told in odd.items()}
    assert answers(service, tokens) == expect(tokens, INVALID)


def test_claims_of_another_type_are_refused_and_break_nothing(
    service: Service, phone: Phone
) -> None:
    secret, now = service.settings.jwt_secret.reveal(), int(time.time())
    odd: dict[str, bytes | dict[str, object]] = {
        "exp is a number as text": claims(phone.user_id, exp=str(now + 60)),
        "exp is a fraction": claims(phone.user_id, exp=now + 60.5),
        "exp is huge": claims(phone.user_id, exp=HUGE),
        "iat is true": claims(phone.user_id, iat=True),
        "sub holds half a character": json.dumps(claims("\ud800")).encode(),
        "sub holds a NUL": claims("user_\x00"),
        "sub is empty": claims(""),
        "sub is SQL": claims("' OR 1=1 --"),
        "sub is a path": claims("../../user"),
        "sub is long": claims("u" * 10_000),
    }
    tokens = {name: signed(secret, told) for name, told in odd.items()}
    assert answers(service, tokens) == expect(tokens, INVALID)


@pytest.mark.parametrize("sub", ["user_gone", "job_" + "0" * 32, "anon", "*"])
def test_a_subject_that_is_no_account_has_nothing(service: Service, sub: str) -> None:
    token = signed(service.settings.jwt_secret.reveal(), claims(sub))
    assert answer(service, token) == INVALID
    response = service.api.post(
        "/jobs",
        json={"preset": "interior", "item_count": 1},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (response.status_code, response.json()["error"]["code"]) == INVALID


@pytest.mark.parametrize("path", ["/jobs", "/rules", "/me", "/me/export"])
def test_the_token_of_an_erased_account_opens_nothing(service: Service, path: str) -> None:
    phone = service.phone()
    phone.data("DELETE", "/me")
    assert answer(service, phone.token, path) == INVALID


def shapes(token: str) -> dict[str, str]:
    head, payload, signature = token.split(".")
    return {
        "two parts": f"{head}.{payload}",
        "no signature": f"{head}.{payload}.",
        "five parts": f"{token}.{payload}.{signature}",
        "parts swapped": f"{payload}.{head}.{signature}",
        "another's signature": f"{head}.{payload}.{encode(b'0' * 32).decode()}",
        "the signature twice": f"{token}{signature}",
        "standard base64": f"{head}.{payload}.{'+/' * 21}+",
        "rubbish behind it": f"{token}!!!!",
        "a line break inside": f"{head}.{payload}.\t{signature}",
        "ten kilobytes of padding": token + "=" * 10_000,
        "ten kilobytes of rubbish": "a" * 10_000,
        "ten kilobytes of parts": "." * 10_000,
        "a comma and another": f"{token},{token}",
        "in quotes": f'"{token}"',
    }


def test_shapes_that_are_no_token(service: Service, phone: Phone) -> None:
    tokens = shapes(phone.token)
    assert answers(service, tokens) == expect(tokens, INVALID)


def test_bytes_that_are_no_ascii(service: Service, phone: Phone) -> None:
    header = b"Bearer " + phone.token.encode() + b"\xc3\xa9\xff"
    response = service.api.get("/me", headers=[(b"Authorization", header)])
    assert (response.status_code, response.json()["error"]["code"]) == INVALID


@pytest.mark.parametrize("name", ["access_token", "token", "authorization", "jwt"])
def test_a_token_elsewhere_is_no_token(service: Service, phone: Phone, name: str) -> None:
    """In an address it would be written down by everybody on the way."""
    by_query = service.api.get("/me", params={name: phone.token})
    by_cookie = service.api.get("/me", headers={"Cookie": f"{name}={phone.token}"})
    for response in (by_query, by_cookie):
        assert response.json()["error"]["code"] == "AUTH_REQUIRED"


def test_a_token_that_was_good_ends_with_its_time(service: Service, phone: Phone) -> None:
    """What is remembered of a token does not outlive it."""
    soon = int(time.time()) + 1
    token = signed(service.settings.jwt_secret.reveal(), claims(phone.user_id, exp=soon))
    assert answer(service, token) == (200, None)
    time.sleep(max(0.0, soon - time.time()) + 0.05)
    assert answer(service, token) == EXPIRED


def test_no_cookie_is_ever_set(service: Service, phone: Phone) -> None:
    """So no page can make a browser call in its user's name."""
    sent: list[httpx.Response] = [
        phone.call("POST", "/auth/anon"),
        phone.call("GET", "/me"),
        service.api.get("/docs"),
        service.api.get("/nope"),
    ]
    assert not any("set-cookie" in response.headers for response in sent)
