"""Standard Webhooks: golden values, rotation, and every way a message can be wrong."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.signing import InvalidSignature, sign_headers, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT_AT = 1614265330
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": MESSAGE_ID,
    "webhook-timestamp": str(SENT_AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def changed(**headers: str) -> dict[str, str]:
    return {**HEADERS, **{f"webhook-{name}": value for name, value in headers.items()}}


def test_the_example_of_the_standard() -> None:
    # The values are the test vector of the Standard Webhooks libraries.
    assert sign_headers(SECRET, MESSAGE_ID, BODY, now=SENT_AT) == HEADERS
    assert verify([SECRET], HEADERS, BODY, now=SENT_AT) == MESSAGE_ID


def test_a_plain_secret_signs_with_its_utf8_bytes() -> None:
    headers = sign_headers("비밀 secret", "j:0:attempt1", b"{}", now=1000.9)
    digest = hmac.new("비밀 secret".encode(), b"j:0:attempt1.1000.{}", hashlib.sha256).digest()
    assert headers == {
        "webhook-id": "j:0:attempt1",
        "webhook-timestamp": "1000",
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


@given(st.binary(max_size=200), st.integers(0, 10**11), st.text(min_size=1, max_size=40))
def test_what_is_signed_verifies_and_nothing_near_it(body: bytes, now: int, secret: str) -> None:
    secret = "key" + secret.encode("utf-8", "replace").decode()
    headers = sign_headers(secret, "id", body, now=now)
    assert verify([secret], headers, body, now=now) == "id"
    with pytest.raises(InvalidSignature):
        verify([secret], headers, body + b" ", now=now)
    with pytest.raises(InvalidSignature):
        verify([secret + "x"], headers, body, now=now)
    with pytest.raises(InvalidSignature):
        verify([secret], {**headers, "webhook-id": "other"}, body, now=now)


def test_rotation_takes_any_secret_and_any_signature() -> None:
    foreign = sign_headers("old", MESSAGE_ID, BODY, now=SENT_AT)["webhook-signature"]
    both = changed(signature=f"v1a,AAAA {foreign} {HEADERS['webhook-signature']}")
    assert verify([SECRET], both, BODY, now=SENT_AT) == MESSAGE_ID
    assert verify(["new", "old"], both, BODY, now=SENT_AT) == MESSAGE_ID
    assert verify(["new", SECRET], HEADERS, BODY, now=SENT_AT) == MESSAGE_ID
    with pytest.raises(InvalidSignature, match="no signature matches"):
        verify(["new", "newer"], both, BODY, now=SENT_AT)


@pytest.mark.parametrize("late", [-300, 0, 300])
def test_within_the_tolerance(late: int) -> None:
    assert verify([SECRET], HEADERS, BODY, now=SENT_AT + late) == MESSAGE_ID


@pytest.mark.parametrize("late", [-300.5, 301, 10**9])
def test_outside_the_tolerance(late: float) -> None:
    with pytest.raises(InvalidSignature, match="tolerance"):
        verify([SECRET], HEADERS, BODY, now=SENT_AT + late)


def test_header_names_in_any_case() -> None:
    shouted = {name.upper(): value for name, value in HEADERS.items()}
    assert verify([SECRET], shouted, BODY, now=SENT_AT) == MESSAGE_ID
    with pytest.raises(InvalidSignature, match="repeated"):
        verify([SECRET], {**HEADERS, **shouted}, BODY, now=SENT_AT)


@pytest.mark.parametrize("missing", sorted(HEADERS))
def test_a_missing_header(missing: str) -> None:
    left = {name: value for name, value in HEADERS.items() if name != missing}
    with pytest.raises(InvalidSignature, match=f"{missing} is missing"):
        verify([SECRET], left, BODY, now=SENT_AT)


HOSTILE = [
    *["", " ", "nan", "inf", "-1", "+1614265330", "1e9", "1614265330.0", "١٦١", "9" * 5000],
    *["0x60", "1_614_265_330", "\x00", "\ud800", "é", "v1", "v1,", "v2,AAAA", ", ,", "v1,\n"],
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", ["timestamp", "signature"])
def test_hostile_values_are_refused_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(InvalidSignature) as refused:
        verify([SECRET], changed(**{name: value}), BODY, now=SENT_AT)
    assert len(value) < 5 or value not in str(refused.value)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\nb", "é", "\ud800", "x" * 257])
def test_a_message_id_that_could_be_read_in_two_ways(message_id: str) -> None:
    with pytest.raises(ValueError, match="message id"):
        sign_headers(SECRET, message_id, BODY, now=SENT_AT)
    with pytest.raises(InvalidSignature, match="webhook-id"):
        verify([SECRET], changed(id=message_id), BODY, now=SENT_AT)


@given(st.dictionaries(st.sampled_from(sorted(HEADERS)), st.text()), st.floats(0, 1e12))
def test_nothing_but_invalid_signature_for_any_headers(sent: dict[str, str], now: float) -> None:
    with pytest.raises(InvalidSignature):
        verify([SECRET], sent, BODY, now=now)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_???", "whsec_YWJ", "whsec_é"])
def test_an_unusable_secret_is_a_fault_of_the_settings(secret: str) -> None:
    for call in (
        lambda: sign_headers(secret, "id", b"", now=0),
        lambda: verify([secret], HEADERS, BODY, now=SENT_AT),
    ):
        with pytest.raises(ValueError, match="callback secret") as refused:
            call()
        assert "YWJ" not in str(refused.value)
    with pytest.raises(ValueError, match="no callback secret"):
        verify([], HEADERS, BODY, now=SENT_AT)
