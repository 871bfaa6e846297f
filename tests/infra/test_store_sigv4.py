"""The signature check by itself: AWS's examples, boto3's URLs, and anything near them."""

import string
import time
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from boto3.session import Session
from botocore.config import Config
from hypothesis import assume, given
from hypothesis import strategies as st

from infra.local.store.http import Event, Request
from infra.local.store.refusals import Refusal
from infra.local.store.sigv4 import Credentials, verify
from shared.presign import Presigner

AWS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
AWS_TIME = 1369353600.0
AWS_HOST = "examplebucket.s3.amazonaws.com"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

OURS = Credentials("local/key", "canary-secret-of-the-store")
ENDPOINT = "http://127.0.0.1:9000"
NOW = 1_700_000_000
SIGNER = Presigner(ENDPOINT, "s3-images", OURS.access_key, OURS.secret_key)
BOTO = Session().client(
    "s3",
    endpoint_url=ENDPOINT,
    region_name="auto",
    aws_access_key_id=OURS.access_key,
    aws_secret_access_key=OURS.secret_key,
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
)

keys = st.text(string.ascii_letters + string.digits + " %+~?&=#/._-'()*!é한\x01", min_size=1)


async def nothing() -> Event:
    raise AssertionError("a signature is checked before the body is read")


def request(method: str, target: str, **headers: str) -> Request:
    path, _, query = target.partition("?")
    scope = {
        "method": method,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
    }
    return Request(scope, nothing)


def presigned(method: str, url: str, headers: Mapping[str, str] | None = None) -> Request:
    parts = urlsplit(url)
    return request(
        method, f"{parts.path}?{parts.query}", **{"host": "127.0.0.1:9000", **(headers or {})}
    )


def code_of(request: Request, now: float = NOW, credentials: Credentials = OURS) -> str:
    try:
        verify(request, credentials, now)
    except Refusal as refusal:
        return refusal.code
    return "accepted"


def test_the_query_example_of_aws() -> None:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    target = (
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    assert verify(request("GET", target, host=AWS_HOST), AWS, AWS_TIME) == "UNSIGNED-PAYLOAD"


@pytest.mark.parametrize(
    ("method", "target", "headers", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {"range": "bytes=0-9", "x_amz_content_sha256": EMPTY},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test%24file.text",
            {
                "date": "Fri, 24 May 2013 00:00:00 GMT",
                "x_amz_storage_class": "REDUCED_REDUNDANCY",
                "x_amz_content_sha256": (
                    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
                ),
            },
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/?max-keys=2&prefix=J",
            {"x_amz_content_sha256": EMPTY},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_the_header_examples_of_aws(
    method: str, target: str, headers: dict[str, str], signature: str
) -> None:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    headers = {**headers, "host": AWS_HOST, "x_amz_date": "20130524T000000Z"}
    names = ";".join(sorted(name.replace("_", "-") for name in headers))
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={names},Signature={signature}"
    )
    sent = request(method, target, **headers, authorization=authorization)
    assert verify(sent, AWS, AWS_TIME) == headers["x_amz_content_sha256"]
    assert code_of(sent, AWS_TIME + 901, AWS) == "RequestTimeTooSkewed"
    assert code_of(sent, AWS_TIME - 901, AWS) == "RequestTimeTooSkewed"
    other = request(method, target, **{**headers, "x_amz_content_sha256": "0" * 64})
    other.headers["authorization"] = authorization
    assert code_of(other, AWS_TIME, AWS) == "SignatureDoesNotMatch"


@given(st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]), keys, st.integers(1, 604_800))
def test_every_url_of_ours_is_accepted(method: str, key: str, expires_in: int) -> None:
    url = SIGNER.presign(method, key, signed_at=NOW, expires_in=expires_in)
    sent = presigned(method, url)
    assert verify(sent, OURS, NOW + expires_in) == "UNSIGNED-PAYLOAD"
    assert sent.path == b"/s3-images/" + key.encode()
    assert code_of(sent, NOW + expires_in + 1) == "AccessDenied"


@given(keys)
def test_every_url_of_boto3_is_accepted(key: str) -> None:
    where = {"Bucket": "s3-images", "Key": key}
    url = BOTO.generate_presigned_url("get_object", Params=where, ExpiresIn=600)
    assert code_of(presigned("GET", url), time.time()) == "accepted"


@given(st.data())
def test_no_other_url_is_accepted(data: st.DataObject) -> None:
    url = SIGNER.presign("PUT", "inputs/u/j/0 한.jpg", signed_at=NOW, expires_in=60)
    target = url.removeprefix(ENDPOINT)
    at = data.draw(st.integers(1, len(target) - 1))
    to = data.draw(st.sampled_from(string.ascii_letters + string.digits + "%/&=?+-_.~;"))
    changed = target[:at] + to + target[at + data.draw(st.integers(0, 1)) :]
    # %2f for %2F, or %41 for A, is another spelling of the same URL.
    assume(unquote_to_bytes(changed) != unquote_to_bytes(target))
    assert code_of(request("PUT", changed, host="127.0.0.1:9000")) != "accepted"


GOOD = SIGNER.presign("GET", "k", signed_at=NOW, expires_in=60)
CREDENTIAL = "X-Amz-Credential=local%2Fkey%2F20231114%2Fauto%2Fs3%2Faws4_request"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("X-Amz-Expires=60", "X-Amz-Expires=600", "SignatureDoesNotMatch"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801", "AuthorizationQueryParametersError"),
        ("X-Amz-Expires=60", "X-Amz-Expires=0", "AuthorizationQueryParametersError"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-60", "AuthorizationQueryParametersError"),
        ("X-Amz-Expires=60", "X-Amz-Expires=nan", "AuthorizationQueryParametersError"),
        ("X-Amz-Expires=60", "X-Amz-Expires=%D9%A1", "AuthorizationQueryParametersError"),
        ("X-Amz-Expires=60&", "", "AuthorizationQueryParametersError"),
        (
            "X-Amz-Expires=60",
            "X-Amz-Expires=60&X-Amz-Expires=9",
            "AuthorizationQueryParametersError",
        ),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=", "AuthorizationQueryParametersError"),
        ("=host", "=Host", "AuthorizationQueryParametersError"),
        ("=host", "=x;host", "AuthorizationQueryParametersError"),
        ("=host", "=host;x-other", "SignatureDoesNotMatch"),
        ("=host", "=host%0Ax", "AuthorizationQueryParametersError"),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", "AuthorizationQueryParametersError"),
        ("X-Amz-Date=20231114", "X-Amz-Date=20231115", "AuthorizationQueryParametersError"),
        ("X-Amz-Date=20231114T22", "X-Amz-Date=20231114T99", "SignatureDoesNotMatch"),
        (CREDENTIAL, CREDENTIAL.replace("auto", "eu-west-9"), "AuthorizationQueryParametersError"),
        (CREDENTIAL, CREDENTIAL.replace("s3", "ec2"), "AuthorizationQueryParametersError"),
        (CREDENTIAL, CREDENTIAL.replace("key", "other"), "InvalidAccessKeyId"),
        (CREDENTIAL, "X-Amz-Credential=x", "AuthorizationQueryParametersError"),
        ("/k?", "/other?", "SignatureDoesNotMatch"),
        ("/k?", "/k/?", "SignatureDoesNotMatch"),
        ("/k?", "/%zz?", "InvalidURI"),
        ("?", "?acl&", "SignatureDoesNotMatch"),
        ("X-Amz-Signature=", "X-Amz-Signature=0", "SignatureDoesNotMatch"),
        ("X-Amz-Signature=", "X-Amz-Nothing=", "AuthorizationQueryParametersError"),
        ("X-Amz-", "X-", "AccessDenied"),
    ],
)
def test_a_tampered_url_is_refused_by_name(old: str, new: str, code: str) -> None:
    assert old in GOOD
    assert code_of(presigned("GET", GOOD)) == "accepted"
    assert code_of(presigned("GET", GOOD.replace(old, new))) == code


def test_a_url_holds_for_its_method_host_secret_and_time() -> None:
    assert code_of(presigned("PUT", GOOD)) == "SignatureDoesNotMatch"
    assert code_of(presigned("GET", GOOD, {"host": "evil.example"})) == "SignatureDoesNotMatch"
    wrong = Credentials(OURS.access_key, "other")
    assert code_of(presigned("GET", GOOD), credentials=wrong) == "SignatureDoesNotMatch"
    assert code_of(presigned("GET", GOOD), NOW + 60) == "accepted"
    assert code_of(presigned("GET", GOOD), NOW + 60.001) == "AccessDenied"
    assert code_of(presigned("GET", GOOD), NOW - 900) == "accepted"
    assert code_of(presigned("GET", GOOD), NOW - 901) == "AccessDenied"


def test_no_date_and_no_signature() -> None:
    assert code_of(request("GET", "/s3-images/k", host="h")) == "AccessDenied"
    bearer = request("GET", "/s3-images/k", host="h", authorization="Bearer abc")
    assert code_of(bearer) == "AuthorizationHeaderMalformed"
    both = presigned("GET", GOOD, {"authorization": "Bearer abc"})
    assert code_of(both) == "InvalidArgument"


def test_headers_that_would_change_the_call_must_be_signed() -> None:
    added = presigned("GET", GOOD, {"x-amz-copy-source": "/s3-images/other"})
    assert code_of(added) == "AccessDenied"
    hashed = presigned("GET", GOOD, {"x-amz-content-sha256": EMPTY})
    assert code_of(hashed) == "SignatureDoesNotMatch"
    streamed = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
    assert code_of(presigned("PUT", GOOD, streamed)) == "NotImplemented"


def test_us_east_1_is_another_name_for_auto() -> None:
    signer = Presigner(ENDPOINT, "s3-images", OURS.access_key, OURS.secret_key, region="us-east-1")
    url = signer.presign("GET", "k", signed_at=NOW, expires_in=60)
    assert code_of(presigned("GET", url)) == "accepted"


def test_no_secret_in_repr() -> None:
    assert "canary" not in repr(OURS)
    assert "local" not in repr(OURS)
