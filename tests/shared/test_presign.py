"""The presigner against botocore's own signing code, and its time windows."""

import string
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from boto3.session import Session
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st

from shared.presign import Presigner

ACCESS_KEY, SECRET_KEY = "AKID/with+odd=characters", "canary-secret-wJalrXUtnFEMI/K7MDENG"
ENDPOINT = "https://0123abc.r2.cloudflarestorage.com"
HOUR = 3600
OPERATIONS = {
    "GET": "get_object",
    "PUT": "put_object",
    "HEAD": "head_object",
    "DELETE": "delete_object",
}
BOTO = Session().client(
    "s3",
    endpoint_url=ENDPOINT,
    region_name="auto",
    aws_access_key_id=ACCESS_KEY,
    aws_secret_access_key=SECRET_KEY,
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
)

keys = st.text(min_size=1, max_size=60) | st.text(
    string.ascii_letters + " %+~?&=#/._-'()*!é한", min_size=1, max_size=60
)
moments = st.integers(0, 4_000_000_000)


def signature_by_botocore(method: str, url: str) -> str:
    """What botocore's own code computes for a presigned URL, from everything but its signature."""
    unsigned, _, _ = url.partition("&X-Amz-Signature=")
    query = parse_qs(urlsplit(url).query)
    request = AWSRequest(method, unsigned)
    request.context["timestamp"] = query["X-Amz-Date"][0]
    region = query["X-Amz-Credential"][0].split("/")[-3]
    expires_in = int(query["X-Amz-Expires"][0])
    credentials = Credentials(ACCESS_KEY, SECRET_KEY)
    auth = S3SigV4QueryAuth(credentials, "s3", region, expires=expires_in)
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def moment_of(url: str) -> int:
    stamp = parse_qs(urlsplit(url).query)["X-Amz-Date"][0]
    return int(datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())


def assert_signed(method: str, url: str) -> None:
    assert url.partition("&X-Amz-Signature=")[2] == signature_by_botocore(method, url)


def presigner(window: int = HOUR) -> Presigner:
    return Presigner(ENDPOINT, "s3-images", ACCESS_KEY, SECRET_KEY, window=window)


@given(st.sampled_from(sorted(OPERATIONS)), keys, st.integers(1, 604_800))
@example("PUT", "a b+c~%25/é//../x?y&z=1#.jpg", HOUR)
def test_every_url_equals_that_of_boto3(method: str, key: str, expires_in: int) -> None:
    theirs = BOTO.generate_presigned_url(
        OPERATIONS[method], Params={"Bucket": "s3-images", "Key": key}, ExpiresIn=expires_in
    )
    ours = presigner().presign(method, key, signed_at=moment_of(theirs), expires_in=expires_in)
    assert ours == theirs


@given(st.sampled_from(sorted(OPERATIONS)), keys, moments, st.integers(1, 604_800))
def test_botocore_computes_the_same_signature_at_any_time(
    method: str, key: str, moment: int, expires_in: int
) -> None:
    url = presigner().presign(method, key, signed_at=moment, expires_in=expires_in)
    assert_signed(method, url)
    assert moment_of(url) == moment
    assert f"&X-Amz-Expires={expires_in}&" in url


@given(keys, st.floats(0, 4e9), st.integers(1, 302_400))
def test_window_urls_are_plain_urls_of_the_windows_start(key: str, now: float, window: int) -> None:
    signer = presigner(window)
    start = int(now // window) * window
    life = 2 * window
    assert signer.get(key, now=now) == signer.presign("GET", key, signed_at=start, expires_in=life)
    assert signer.put(key, now=now) == signer.presign("PUT", key, signed_at=start, expires_in=life)
    assert window < signer.expires_at(now) - now <= life


def test_a_url_stays_the_same_until_its_window_ends() -> None:
    signer = presigner()
    start = 1_700_002_800  # a whole hour
    urls = [signer.get("k", now=start + late) for late in (0, 0.4, 1800, HOUR - 0.001)]
    assert len(set(urls)) == 1
    assert signer.get("k", now=start + HOUR) != urls[0]
    assert signer.get("k", now=start - 0.001) != urls[0]
    assert signer.expires_at(start) == start + 2 * HOUR
    assert signer.expires_at(start + HOUR - 0.001) == start + 2 * HOUR
    assert signer.expires_at(start + HOUR) == start + 3 * HOUR


def test_the_key_of_a_day_ends_with_it() -> None:
    signer = presigner()
    midnight = 1_700_006_400
    for moment in (midnight - 1, midnight, midnight - 1, midnight + 86_400):
        assert_signed("GET", signer.presign("GET", "k", signed_at=moment, expires_in=60))


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ("https://HOST.example:443", "https://host.example"),
        ("http://host.example:80/", "http://host.example"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("https://host.example:80", "https://host.example:80"),
        ("http://[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_the_signed_host_is_what_clients_send(endpoint: str, origin: str) -> None:
    signer = Presigner(endpoint, "b", ACCESS_KEY, SECRET_KEY)
    url = signer.presign("GET", "k", signed_at=0, expires_in=9)
    assert url.startswith(f"{origin}/b/k?")
    assert_signed("GET", url)


@pytest.mark.parametrize(
    "endpoint",
    ["", "host", "ftp://host", "https://", "https://u:p@host", "https://h/x", "https://h?x=1"],
)
def test_an_endpoint_that_is_no_origin_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint") as refused:
        Presigner(endpoint, "b", "ak", "sk")
    assert "p@" not in str(refused.value)


def test_impossible_wishes_are_refused() -> None:
    for expires_in in (0, -1, 604_801):
        with pytest.raises(ValueError, match="expires_in"):
            presigner().presign("GET", "k", signed_at=0, expires_in=expires_in)
    for window in (0, 302_401):
        with pytest.raises(ValueError, match="window"):
            presigner(window)
    with pytest.raises(ValueError, match="key"):
        presigner().get("", now=0)
    for bucket in ("", "a/b"):
        with pytest.raises(ValueError, match="bucket"):
            Presigner(ENDPOINT, bucket, "ak", "sk")


def test_no_secret_in_repr_or_url() -> None:
    signer = presigner()
    url = signer.put("k", now=0)
    for shown in (repr(signer), str(signer), url):
        assert "canary" not in shown
    assert ACCESS_KEY not in repr(signer)
    assert "Content-Type" not in url
    assert "X-Amz-SignedHeaders=host&" in url
