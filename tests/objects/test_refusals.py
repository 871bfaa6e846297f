"""Whatever is wrong with a URL, no server gives or takes a byte for it."""

import re
import time
from collections.abc import Callable, Mapping

import pytest

from tests.objects.differences import ANSWERS, DIFFERENCES, REFUSALS, answer_of, answers_as_expected
from tests.objects.servers import Server

KEPT = b"what must stay" * 100
FORGED = b"what must not come" * 100
EIGHT_DAYS = 8 * 86_400
OPERATIONS = {"GET": "get_object", "PUT": "put_object", "DELETE": "delete_object"}
OTHER = {"GET": "PUT", "PUT": "GET", "DELETE": "GET"}


def signed_with(**changed: str) -> Callable[[Server, str, str], str]:
    def url(server: Server, method: str, key: str) -> str:
        signer = server.signer_with(**changed)
        return signer.presign(method, key, signed_at=int(time.time()), expires_in=300)

    return url


def signed_from(seconds: int) -> Callable[[Server, str, str], str]:
    """Signed that far from now, for one minute."""

    def url(server: Server, method: str, key: str) -> str:
        return server.url(method, key, signed_at=int(time.time()) + seconds, lasts=60)

    return url


def edited(pattern: str, replacement: str) -> Callable[[Server, str, str], str]:
    def url(server: Server, method: str, key: str) -> str:
        good = server.url(method, key, lasts=300)
        changed, count = re.subn(pattern, replacement, good, count=1)
        assert count == 1
        return changed

    return url


def other_signature(server: Server, method: str, key: str) -> str:
    url = server.url(method, key)
    return url[:-1] + ("0" if url[-1] != "0" else "1")


def for_eight_days(server: Server, method: str, key: str) -> str:
    # Ours refuses to sign that long.
    where = {"Bucket": server.served.bucket, "Key": key}
    sign = server.boto.generate_presigned_url
    return sign(OPERATIONS[method], Params=where, ExpiresIn=EIGHT_DAYS)


def good(server: Server, method: str, key: str) -> str:
    return server.url(method, key)


WRONG: Mapping[str, Callable[[Server, str, str], str]] = {
    "another signature": other_signature,
    "another key": lambda server, method, key: server.url(method, f"{key}-other").replace(
        "-other?", "?"
    ),
    "another method": lambda server, method, key: server.url(OTHER[method], key),
    "another host": good,
    "an added parameter": edited(r"\?", "?response-content-type=text%2Fhtml&"),
    "a prolonged life": edited("Expires=300", "Expires=3000"),
    "a life of eight days": for_eight_days,
    "a life that has ended": signed_from(-61),
    "a life that has not begun": signed_from(3600),
    "the wrong secret": signed_with(secret_key="wrong"),
    "an unknown access key": signed_with(access_key="nobody"),
    "the wrong region": signed_with(region="eu-west-9"),
    "no signature": edited(r"\?.*", ""),
    "an unsigned x-amz header": good,
}
HEADERS: Mapping[str, Mapping[str, str]] = {
    "another host": {"host": "evil.example"},
    "an unsigned x-amz header": {"x-amz-meta-owner": "somebody"},
}


def test_every_refusal_is_tried() -> None:
    assert WRONG.keys() == REFUSALS.keys()
    assert {case for _, case in DIFFERENCES} <= ANSWERS.keys()


@pytest.mark.parametrize("case", REFUSALS)
def test_a_url_with_something_wrong(server: Server, folder: str, case: str) -> None:
    key = f"{folder}k"
    server.store.put(key, KEPT, "image/jpeg")
    assert server.http.get(server.url("GET", key)).content == KEPT
    answers = [
        server.http.request(
            method,
            WRONG[case](server, method, key),
            content=FORGED if method == "PUT" else None,
            headers=HEADERS.get(case),
        )
        for method in OPERATIONS
    ]
    for answer in answers:
        assert answers_as_expected(server.name, case, answer), answer_of(answer)
    if all(answer.is_error for answer in answers):
        assert not any(KEPT in answer.content for answer in answers)
        assert server.store.get(key, max_bytes=len(KEPT)) == KEPT


def test_another_bucket(server: Server, folder: str) -> None:
    url = signed_with(bucket=f"{server.served.bucket}-other")(server, "GET", f"{folder}k")
    missing = server.http.get(url)
    assert answers_as_expected(server.name, "another bucket", missing), answer_of(missing)


def test_a_refusal_does_not_tell_whether_there_is_an_object(server: Server, folder: str) -> None:
    server.store.put(f"{folder}there", KEPT, "image/jpeg")
    for wrong in (signed_with(secret_key="wrong"), signed_from(-61)):
        answers = {
            answer_of(server.http.get(wrong(server, "GET", folder + name)))
            for name in ("there", "missing")
        }
        assert len(answers) == 1
