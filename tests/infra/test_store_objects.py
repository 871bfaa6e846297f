"""The store over HTTP, by presigned URLs: what a phone, a browser and the worker do to objects."""

import base64
import hashlib
import logging
import socket
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from boto3.session import Session
from botocore.config import Config

from infra.local.store import ServedStore, serve_store
from shared.presign import Presigner

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def served(root: Path) -> Generator[ServedStore]:
    with serve_store(root) as store:
        yield store


@pytest.fixture(scope="module")
def signer(served: ServedStore) -> Presigner:
    return Presigner(served.endpoint, served.bucket, served.access_key, served.secret_key)


@pytest.fixture(scope="module")
def http() -> Generator[httpx.Client]:
    with httpx.Client(timeout=20, trust_env=False) as client:
        yield client


def boto_of(served: ServedStore) -> "S3Client":
    return Session().client(
        "s3",
        endpoint_url=served.endpoint,
        region_name="auto",
        aws_access_key_id=served.access_key,
        aws_secret_access_key=served.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, proxies={}),
    )


@pytest.fixture(scope="module")
def boto(served: ServedStore) -> "S3Client":
    return boto_of(served)


def code(response: httpx.Response) -> str:
    """`status code` of a refusal, from its XML."""
    assert response.headers["content-type"] == "application/xml"
    assert response.headers["x-content-type-options"] == "nosniff"
    name = response.text.partition("<Code>")[2].partition("</Code>")[0]
    return f"{response.status_code} {name}"


class Signed:
    """Presigned URLs for one key, now."""

    def __init__(self, signer: Presigner, key: str) -> None:
        self._signer, self._key = signer, key

    def __getattr__(self, method: str) -> str:
        now = int(time.time())
        return self._signer.presign(method.upper(), self._key, signed_at=now, expires_in=60)


def stored_files(root: Path) -> int:
    return len([*root.glob("objects/*/*"), *root.glob("incoming/*")])


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/octet-stream"])
def test_the_app_uploads_and_downloads(
    signer: Presigner, http: httpx.Client, content_type: str
) -> None:
    body = bytes(range(256)) * 9000
    now = time.time()
    key = f"inputs/u/j/{len(content_type)}.jpg"
    put = http.put(signer.put(key, now=now), content=body, headers={"content-type": content_type})
    assert put.status_code == 200
    assert put.headers["etag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = http.get(signer.get(key, now=now))
    assert got.content == body
    assert got.headers["content-type"] == content_type
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["etag"] == put.headers["etag"]
    assert "last-modified" in got.headers


def test_urls_of_plain_boto3_are_accepted(boto: "S3Client", http: httpx.Client) -> None:
    def url(operation: str, **parameters: object) -> str:
        named = {"Bucket": "s3-images", "Key": "boto/ü 1.jpg", **parameters}
        return boto.generate_presigned_url(operation, Params=named, ExpiresIn=60)

    put = url("put_object", ContentType="image/jpeg", ContentLength=5)
    assert code(http.put(put, content=b"12345")) == "403 SignatureDoesNotMatch"
    assert code(http.put(put, content=b"123456", headers=JPEG)) == "403 SignatureDoesNotMatch"
    assert http.put(put, content=b"12345", headers=JPEG).status_code == 200
    assert http.get(url("get_object")).content == b"12345"
    shown = url("get_object", ResponseContentDisposition='attachment; filename="x.jpg"')
    assert http.get(shown).headers["content-disposition"] == 'attachment; filename="x.jpg"'
    assert http.head(url("head_object")).headers["content-length"] == "5"
    assert http.delete(url("delete_object")).status_code == 204
    assert http.head(url("head_object")).status_code == 404


def test_the_header_calls_of_boto3_with_its_default_checksums(boto: "S3Client") -> None:
    boto.put_object(
        Bucket="s3-images", Key="crc", Body=b"crc", ContentType="text/plain", Metadata={"job": "j1"}
    )
    got = boto.get_object(Bucket="s3-images", Key="crc")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (
        b"crc",
        "text/plain",
        {"job": "j1"},
    )
    with pytest.raises(boto.exceptions.ClientError, match="NotImplemented"):
        boto.copy_object(Bucket="s3-images", Key="copy", CopySource="s3-images/crc")
    with pytest.raises(boto.exceptions.ClientError, match="NotImplemented"):
        boto.create_multipart_upload(Bucket="s3-images", Key="parts")


def test_refusals_over_http(served: ServedStore, signer: Presigner, http: httpx.Client) -> None:
    url = Signed(signer, "refused.jpg")
    other = Presigner(served.endpoint, served.bucket, served.access_key, "wrong")
    stranger = Presigner(served.endpoint, served.bucket, "nobody", served.secret_key)
    foreign = Presigner(served.endpoint, "other", served.access_key, served.secret_key)
    now = int(time.time())
    late = signer.presign("PUT", "refused.jpg", signed_at=now - 61, expires_in=60)
    early = signer.presign("PUT", "refused.jpg", signed_at=now + 1000, expires_in=60)
    for target, expected in [
        (url.get, "403 SignatureDoesNotMatch"),
        (url.put[:-1] + ("0" if url.put[-1] != "0" else "1"), "403 SignatureDoesNotMatch"),
        (url.put.replace("refused", "other"), "403 SignatureDoesNotMatch"),
        (url.put.replace("Expires=60", "Expires=691200"), "400 AuthorizationQueryParametersError"),
        (late, "403 AccessDenied"),
        (early, "403 AccessDenied"),
        (other.put("refused.jpg", now=now), "403 SignatureDoesNotMatch"),
        (stranger.put("refused.jpg", now=now), "403 InvalidAccessKeyId"),
        (foreign.put("refused.jpg", now=now), "404 NoSuchBucket"),
        (f"{served.endpoint}/s3-images/refused.jpg", "403 AccessDenied"),
    ]:
        assert code(http.put(target, content=b"x" * 300_000, headers=JPEG)) == expected
    assert code(http.get(url.get)) == "404 NoSuchKey"


@pytest.mark.parametrize(
    "key",
    [
        "sp ace+plus%25.jpg",
        "ünï/日本.png",
        "a//b",
        "q?x=1&y=2#f",
        "nul\x00x",
        "tail/",
        "/",
        "한" * 341,
    ],
)
def test_odd_keys_are_keys_like_others(
    root: Path, signer: Presigner, http: httpx.Client, key: str
) -> None:
    url = Signed(signer, key)
    assert http.put(url.put, content=key.encode()).status_code == 200
    assert http.get(url.get).content == key.encode()
    assert http.delete(url.delete).status_code == 204
    assert code(http.get(url.get)) == "404 NoSuchKey"
    assert all(path.is_relative_to(root) for path in root.rglob("*"))


def test_a_key_is_never_a_path(root: Path, served: ServedStore, signer: Presigner) -> None:
    # HTTP clients take dot segments out, so these go over a bare socket.
    for key in ("../../../escape", "..", "./here", "x/../../../../tmp/escape"):
        target = Signed(signer, key).put.removeprefix(served.endpoint)
        status, _ = raw(served, f"PUT {target} HTTP/1.1", "Content-Length: 1", body=b"x")
        assert status == 200
        status, body = raw(
            served, f"GET {Signed(signer, key).get.removeprefix(served.endpoint)} HTTP/1.1"
        )
        assert (status, body) == (200, b"x")
    assert not list(root.parent.glob("*escape*"))


def test_keys_that_are_none(served: ServedStore, signer: Presigner, http: httpx.Client) -> None:
    assert code(http.put(Signed(signer, "x" * 1025).put, content=b"")) == "400 KeyTooLongError"
    target = Signed(signer, "k").put.removeprefix(served.endpoint).replace("/k?", "/%zz?")
    status, body = raw(served, f"PUT {target} HTTP/1.1", "Content-Length: 0")
    assert (status, b"InvalidURI" in body) == (400, True)


def raw(served: ServedStore, line: str, *headers: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send one request byte by byte as given; status and body of the answer."""
    address = urlsplit(served.endpoint)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 0), timeout=10) as connection:
        lines = [line, f"Host: {address.netloc}", "Connection: close", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest


def test_conditions_and_ranges(signer: Presigner, http: httpx.Client) -> None:
    url = Signed(signer, "range")
    body = bytes(range(100))
    etag = http.put(url.put, content=body).headers["etag"]

    def get(**headers: str) -> httpx.Response:
        return http.get(url.get, headers={k.replace("_", "-"): v for k, v in headers.items()})

    for asked, part in [
        ("bytes=0-9", body[:10]),
        ("bytes=90-", body[90:]),
        ("bytes=90-1000", body[90:]),
        ("bytes=-7", body[-7:]),
        ("bytes=-1000", body),
        ("bytes=99-99", body[99:]),
    ]:
        got = get(range=asked)
        assert got.content == part
        assert got.status_code == (200 if part == body else 206)
    assert get(range="bytes=10-19").headers["content-range"] == "bytes 10-19/100"
    for odd in ("bytes=-", "bytes=9-1", "bytes=0-1,5-6", "lines=0-1", "bytes=x-"):
        assert get(range=odd).content == body
    unsatisfiable = get(range="bytes=100-")
    assert code(unsatisfiable) == "416 InvalidRange"
    assert unsatisfiable.headers["content-range"] == "bytes */100"
    assert code(get(range="bytes=-0")) == "416 InvalidRange"
    assert get(range="bytes=0-1", if_range='"other"').content == body
    assert get(range="bytes=0-1", if_range=etag).content == body[:2]
    for matching in (etag, f'"x", W/{etag}', "*"):
        unchanged = get(if_none_match=matching)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert get(if_match=matching).content == body
    assert get(if_none_match='"other"').content == body
    assert code(get(if_match='"other"')) == "412 PreconditionFailed"
    head = http.head(url.head, headers={"range": "bytes=0-9"})
    assert (head.status_code, head.headers["content-length"], head.content) == (206, "10", b"")


def test_an_empty_object(signer: Presigner, http: httpx.Client) -> None:
    url = Signed(signer, "empty")
    assert http.put(url.put, content=b"").status_code == 200
    got = http.get(url.get)
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "0")
    assert got.headers["content-type"] == "binary/octet-stream"
    assert code(http.get(url.get, headers={"range": "bytes=0-0"})) == "416 InvalidRange"


def test_writing_once_and_replacing_what_is_known(signer: Presigner, http: httpx.Client) -> None:
    url = Signed(signer, "once")
    once = {"if-none-match": "*"}
    missing = http.put(url.put, content=b"0", headers={"if-match": '"x"'})
    assert code(missing) == "404 NoSuchKey"
    first = http.put(url.put, content=b"1", headers=once)
    assert first.status_code == 200
    assert code(http.put(url.put, content=b"2", headers=once)) == "412 PreconditionFailed"
    wrong = http.put(url.put, content=b"3", headers={"if-match": '"x"'})
    assert code(wrong) == "412 PreconditionFailed"
    assert http.get(url.get).content == b"1"
    right = http.put(url.put, content=b"4", headers={"if-match": first.headers["etag"]})
    assert right.status_code == 200
    assert http.get(url.get).content == b"4"
    odd = http.put(url.put, content=b"5", headers={"if-none-match": '"x"'})
    assert code(odd) == "501 NotImplemented"


def test_twenty_racing_writers_leave_one_whole_object(
    root: Path, signer: Presigner, http: httpx.Client
) -> None:
    before = stored_files(root)
    bodies = [bytes([number]) * 400_000 for number in range(20)]
    once, free = Signed(signer, "race/once"), Signed(signer, "race/free")
    start = threading.Barrier(20)

    def write(body: bytes) -> tuple[int, int]:
        start.wait()
        kept = http.put(once.put, content=body, headers={"if-none-match": "*"}).status_code
        got = http.get(free.get)
        assert got.status_code == 404 or got.content in bodies
        return kept, http.put(free.put, content=body).status_code

    with ThreadPoolExecutor(20) as threads:
        outcomes = list(threads.map(write, bodies))
    assert sorted(kept for kept, _ in outcomes) == [200] + [412] * 19
    assert {status for _, status in outcomes} == {200}
    winner = [kept for kept, _ in outcomes].index(200)
    assert http.get(once.get).content == bodies[winner]
    assert http.get(free.get).content in bodies
    assert stored_files(root) == before + 2


def test_what_is_being_read_stays_whole_while_it_is_replaced(
    signer: Presigner, http: httpx.Client
) -> None:
    url = Signed(signer, "replaced")
    http.put(url.put, content=b"a" * 20_000_000)
    with http.stream("GET", url.get) as reading:
        pieces = reading.iter_raw()
        got = [next(pieces)]
        assert http.put(url.put, content=b"b" * 10).status_code == 200
        assert http.get(url.get).content == b"b" * 10
        got += pieces
    assert b"".join(got) == b"a" * 20_000_000


def test_a_body_needs_a_length_within_the_limit(
    root: Path, served: ServedStore, signer: Presigner, http: httpx.Client
) -> None:
    before = stored_files(root)
    url = Signed(signer, "length")

    def chunks() -> Iterator[bytes]:
        yield b"x" * 1000

    assert code(http.put(url.put, content=chunks())) == "411 MissingContentLength"
    target = url.put.removeprefix(served.endpoint)
    too_large = f"Content-Length: {64 * 1024 * 1024 + 1}"
    status, body = raw(served, f"PUT {target} HTTP/1.1", too_large, "Expect: 100-continue")
    assert (status, b"EntityTooLarge" in body) == (400, True)
    assert code(http.get(url.get)) == "404 NoSuchKey"
    assert stored_files(root) == before


def test_an_upload_that_breaks_off_leaves_nothing(
    root: Path, served: ServedStore, signer: Presigner, http: httpx.Client
) -> None:
    before = stored_files(root)
    url = Signed(signer, "broken")
    http.put(url.put, content=b"whole")
    address = urlsplit(served.endpoint)
    target = url.put.removeprefix(served.endpoint)
    with socket.create_connection((str(address.hostname), address.port or 0)) as connection:
        head = f"PUT {target} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 9000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 3_000_000)
        wait_until(lambda: any(root.glob("incoming/*")))
    wait_until(lambda: stored_files(root) == before + 1)
    assert http.get(url.get).content == b"whole"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("content-md5", base64.b64encode(b"0" * 16).decode(), "400 BadDigest"),
        ("content-md5", "short", "400 InvalidDigest"),
        ("content-md5", "c2hvcnQ=", "400 InvalidDigest"),
        ("content-md5", base64.b64encode(hashlib.md5(b"body").digest()).decode(), ""),
    ],
)
def test_announced_digests(
    signer: Presigner, http: httpx.Client, name: str, value: str, refused: str
) -> None:
    url = Signed(signer, f"digest/{value[:3]}")
    put = http.put(url.put, content=b"body", headers={name: value})
    if refused:
        assert code(put) == refused
        assert code(http.get(url.get)) == "404 NoSuchKey"
    else:
        assert http.get(url.get).content == b"body"


@pytest.mark.parametrize(
    ("parameter", "good"),
    [
        ("ChecksumCRC32", zlib.crc32(b"body").to_bytes(4, "big")),
        ("ChecksumSHA1", hashlib.sha1(b"body").digest()),
        ("ChecksumSHA256", hashlib.sha256(b"body").digest()),
    ],
)
def test_announced_checksums(
    boto: "S3Client", http: httpx.Client, parameter: str, good: bytes
) -> None:
    header = f"x-amz-checksum-{parameter.removeprefix('Checksum').lower()}"
    for digest, accepted in ((good, True), (good[::-1], False)):
        value = base64.b64encode(digest).decode()
        named = {"Bucket": "s3-images", "Key": "sum", parameter: value}
        url = boto.generate_presigned_url("put_object", Params=named, ExpiresIn=60)
        put = http.put(url, content=b"body", headers={header: value})
        if accepted:
            assert put.status_code == 200
        else:
            assert code(put) == "400 BadDigest"


def test_a_signed_payload_hash_is_checked(served: ServedStore) -> None:
    boto = boto_of(served)

    def corrupt(request: object, **_: object) -> None:
        setattr(request, "body", b"BODY")  # noqa: B010

    boto.meta.events.register("before-send.s3.PutObject", corrupt)
    with pytest.raises(boto.exceptions.ClientError, match="XAmzContentSHA256Mismatch"):
        boto.put_object(Bucket="s3-images", Key="hashed", Body=b"body")


def test_only_the_object_itself_is_served(boto: "S3Client", http: httpx.Client) -> None:
    boto.put_object(Bucket="s3-images", Key="plain", Body=b"x")
    for operation in ("get_object_acl", "get_object_tagging", "put_object_acl"):
        url = boto.generate_presigned_url(operation, Params={"Bucket": "s3-images", "Key": "plain"})
        method = "PUT" if operation.startswith("put") else "GET"
        assert code(http.request(method, url)) == "501 NotImplemented"
    named = {"Bucket": "s3-images", "Key": "plain", "ResponseContentType": "text/html\r\nx: y"}
    url = boto.generate_presigned_url("get_object", Params=named)
    assert code(http.get(url)) == "400 InvalidArgument"


def test_metadata_has_a_limit(boto: "S3Client") -> None:
    with pytest.raises(boto.exceptions.ClientError, match="MetadataTooLarge"):
        boto.put_object(Bucket="s3-images", Key="meta", Body=b"", Metadata={"a": "x" * 9000})


def test_a_browser_may_put_from_any_origin(signer: Presigner, http: httpx.Client) -> None:
    url = Signed(signer, "cors.jpg")

    def ask(method: str, headers: str, origin: str = "https://app.example") -> httpx.Response:
        asked = {
            "origin": origin,
            "access-control-request-method": method,
            "access-control-request-headers": headers,
        }
        return http.options(url.put, headers=asked)

    for method in ("PUT", "GET", "HEAD", "DELETE"):
        answer = ask(method, "Content-Type, if-none-match,if-match")
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert method in answer.headers["access-control-allow-methods"]
        assert "content-type" in answer.headers["access-control-allow-headers"]
    assert code(ask("PUT", "authorization")) == "403 AccessForbidden"
    assert code(ask("PATCH", "")) == "403 AccessForbidden"
    assert code(http.options(url.put)) == "400 BadRequest"
    put = http.put(url.put, content=b"x", headers={"origin": "https://app.example"})
    assert put.headers["access-control-allow-origin"] == "*"
    assert put.headers["access-control-expose-headers"] == "ETag"
    assert http.put(url.get, content=b"x").headers["access-control-allow-origin"] == "*"


def test_other_methods(served: ServedStore, signer: Presigner, http: httpx.Client) -> None:
    for method in ("POST", "PATCH"):
        url = signer.presign(method, "k", signed_at=int(time.time()), expires_in=60)
        assert code(http.request(method, url, content=b"x")) == "405 MethodNotAllowed"
    assert code(http.get(served.endpoint)) == "403 AccessDenied"


def test_the_log_holds_no_query(
    signer: Presigner, http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="infra.local.store")
    url = Signed(signer, "logged")
    http.put(url.put, content=b"x")
    http.put(url.get, content=b"x")

    def logged() -> str:
        return "\n".join(r.getMessage() for r in caplog.records if r.name == "infra.local.store")

    wait_until(lambda: "PUT /s3-images/logged 403" in logged())
    assert "PUT /s3-images/logged 200" in logged()
    assert "X-Amz" not in logged()
