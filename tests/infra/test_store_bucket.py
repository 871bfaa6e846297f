"""The store's calls on the bucket: listing and deleting many, with honest and hostile input."""

import sqlite3
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from boto3.session import Session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from infra.local.store import ServedStore, serve_store
from infra.local.store.index import Index, Record

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

ODD_KEYS = ["a b", "a+b", "a%2Fb", "<&>\"'", "ünï/日本", "x\x01y", "x\ty\nz\r", "~tilde", "🙂"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServedStore]:
    with serve_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture(scope="module")
def boto(served: ServedStore) -> "S3Client":
    return Session().client(
        "s3",
        endpoint_url=served.endpoint,
        region_name="auto",
        aws_access_key_id=served.access_key,
        aws_secret_access_key=served.secret_key,
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


def ask(served: ServedStore, method: str, query: str, body: bytes = b"") -> httpx.Response:
    """A header-signed request on the bucket, signed by botocore, sent by another client."""
    request = AWSRequest(method, f"{served.endpoint}/s3-images?{query}", data=body)
    credentials = Credentials(served.access_key, served.secret_key)
    S3SigV4Auth(credentials, "s3", "auto").add_auth(request)
    headers = {str(name): str(value) for name, value in request.headers.items()}
    return httpx.request(
        method, str(request.url), content=body, headers=headers, timeout=20, trust_env=False
    )


def code(response: httpx.Response) -> str:
    name = response.text.partition("<Code>")[2].partition("</Code>")[0]
    return f"{response.status_code} {name}"


def listed(boto: "S3Client", prefix: str, page: int = 1000) -> list[str]:
    pages = boto.get_paginator("list_objects_v2").paginate(
        Bucket="s3-images", Prefix=prefix, PaginationConfig={"PageSize": page}
    )
    return [found.get("Key", "") for page in pages for found in page.get("Contents", [])]


def test_pages_join_without_gap_or_repeat(boto: "S3Client") -> None:
    for number in range(25):
        boto.put_object(Bucket="s3-images", Key=f"list/{number:03d}", Body=b"")
    boto.put_object(Bucket="s3-images", Key="lisu", Body=b"")
    boto.put_object(Bucket="s3-images", Key="lis", Body=b"")
    expected = [f"list/{number:03d}" for number in range(25)]
    for page in (1, 10, 12, 24, 25, 26, 1000):
        assert listed(boto, "list/", page) == expected
    first = boto.list_objects_v2(Bucket="s3-images", Prefix="list/", MaxKeys=10)
    assert (first["KeyCount"], first["IsTruncated"]) == (10, True)
    # What is deleted between two pages does not shift the rest.
    boto.delete_object(Bucket="s3-images", Key="list/009")
    second = boto.list_objects_v2(
        Bucket="s3-images", Prefix="list/", ContinuationToken=first["NextContinuationToken"]
    )
    assert [found.get("Key") for found in second.get("Contents", [])] == expected[10:]
    assert not second["IsTruncated"]
    after = boto.list_objects_v2(Bucket="s3-images", Prefix="list/", StartAfter="list/022")
    assert [found.get("Key") for found in after.get("Contents", [])] == expected[23:]


def test_odd_keys_are_listed_as_they_are(boto: "S3Client", served: ServedStore) -> None:
    for key in ODD_KEYS:
        boto.put_object(Bucket="s3-images", Key=f"odd/{key}", Body=key.encode())
    expected = sorted((f"odd/{key}" for key in ODD_KEYS), key=str.encode)
    assert listed(boto, "odd/") == expected
    assert listed(boto, "odd/", page=2) == expected
    assert listed(boto, "odd/ünï/") == ["odd/ünï/日本"]
    plain = ask(served, "GET", "list-type=2&prefix=odd%2F%3C")
    assert "<Key>odd/&lt;&amp;&gt;\"'</Key>" in plain.text
    plain = ask(served, "GET", "list-type=2&prefix=odd%2Fx%09")
    assert "<Key>odd/x&#9;y&#10;z&#13;</Key>" in plain.text


def test_a_listing_says_what_an_object_is(boto: "S3Client") -> None:
    put = boto.put_object(Bucket="s3-images", Key="info/1", Body=b"12345")
    (found,) = boto.list_objects_v2(Bucket="s3-images", Prefix="info/").get("Contents", [])
    assert (found.get("Size"), found.get("ETag")) == (5, put["ETag"])
    modified = found.get("LastModified")
    assert modified is not None
    assert abs(modified.timestamp() - time.time()) < 60


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("list-type=2&max-keys=0", "200 "),
        ("list-type=2&max-keys=5000", "200 "),
        ("list-type=2&max-keys=-1", "400 InvalidArgument"),
        ("list-type=2&max-keys=x", "400 InvalidArgument"),
        ("list-type=2&continuation-token=%21%21", "400 InvalidArgument"),
        ("list-type=2&continuation-token=_w%3D%3D", "400 InvalidArgument"),
        ("list-type=2&delimiter=%2F", "501 NotImplemented"),
        ("list-type=1", "501 NotImplemented"),
        ("prefix=x", "501 NotImplemented"),
        ("versions=", "501 NotImplemented"),
        ("list-type=2&prefix=%zz", "400 InvalidURI"),
    ],
)
def test_listing_parameters(served: ServedStore, query: str, expected: str) -> None:
    answer = ask(served, "GET", query)
    assert code(answer) == expected
    if "max-keys=0" in query:
        assert "<KeyCount>0</KeyCount>" in answer.text
        assert "<IsTruncated>false</IsTruncated>" in answer.text


def test_many_are_deleted_at_once(boto: "S3Client") -> None:
    # No XML document can hold a control character, so such a key is deleted by itself.
    keys = [f"many/{key}" for key in ODD_KEYS if "\x01" not in key]
    for key in keys:
        boto.put_object(Bucket="s3-images", Key=key, Body=b"")
    boto.put_object(Bucket="s3-images", Key="many-others", Body=b"")
    answer = boto.delete_objects(
        Bucket="s3-images", Delete={"Objects": [{"Key": key} for key in [*keys, "many/none"]]}
    )
    assert [gone.get("Key") for gone in answer.get("Deleted", [])] == [*keys, "many/none"]
    assert listed(boto, "many") == ["many-others"]


def document(*keys: str, extra: str = "") -> bytes:
    objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    return f"<Delete>{objects}{extra}</Delete>".encode()


LAUGHS = b"""<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<Delete><Object><Key>&b;</Key></Object></Delete>"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "400 MalformedXML"),
        (b"not xml", "400 MalformedXML"),
        (b"<Delete><Object>", "400 MalformedXML"),
        (b"<Delete></Delete>", "400 MalformedXML"),
        (b"<Delete><Object><Key></Key></Object></Delete>", "400 MalformedXML"),
        (LAUGHS, "400 MalformedXML"),
        (b"\xff\xfe\x00", "400 MalformedXML"),
        (document(*map(str, range(1001))), "400 MalformedXML"),
        (
            b"<Delete><Object><Key>k</Key><VersionId>1</VersionId></Object></Delete>",
            "501 NotImplemented",
        ),
        (document("k", extra="<Quiet>true</Quiet>"), "200 "),
        (document(*map(str, range(1000))), "200 "),
        (b"<x>" * 100_000, "400 MalformedXML"),
    ],
)
def test_documents_of_deletes(served: ServedStore, body: bytes, expected: str) -> None:
    answer = ask(served, "POST", "delete=", body)
    assert code(answer) == expected
    if b"<Quiet>true" in body:
        assert "<Deleted>" not in answer.text


def test_other_calls_on_the_bucket(boto: "S3Client", served: ServedStore) -> None:
    assert boto.head_bucket(Bucket="s3-images")["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(boto.exceptions.ClientError, match="404"):
        boto.head_bucket(Bucket="other")
    assert code(ask(served, "PUT", "")) == "405 MethodNotAllowed"
    assert code(ask(served, "DELETE", "")) == "405 MethodNotAllowed"
    assert code(ask(served, "POST", "uploads=")) == "405 MethodNotAllowed"
    with pytest.raises(boto.exceptions.ClientError, match="NotImplemented"):
        boto.list_buckets()


def test_a_page_is_a_range_of_the_index_not_a_scan(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite3")
    for number in range(20):
        key = f"inputs/u{number % 4}/j/{number:02d}.jpg".encode()
        index.replace(Record(key, str(number), 1, "0" * 32, {}, 0.0), None)
    page = index.page(b"inputs/u3/", b"inputs/u3/j/03.jpg", 2)
    index.close()
    assert [record.key for record in page] == [b"inputs/u3/j/07.jpg", b"inputs/u3/j/11.jpg"]
    with closing(sqlite3.connect(tmp_path / "index.sqlite3")) as reader:
        plan = reader.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM objects"
            " WHERE key >= ? AND key > ? AND key < ? ORDER BY key LIMIT ?",
            (b"a", b"b", b"c", 1),
        ).fetchall()
    assert len(plan) == 1
    assert "SEARCH objects USING PRIMARY KEY" in plan[0][3]
