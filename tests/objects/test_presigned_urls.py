"""URLs of our `Presigner` open every server: one key, one method, no other header needed."""

import time
from urllib.parse import urlsplit

import pytest

from shared.presign import MAX_EXPIRES
from tests.objects.odd_keys import ODD_KEYS
from tests.objects.servers import Server

BODY = bytes(range(256)) * 100


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/octet-stream"])
def test_the_app_uploads_as_either_type(server: Server, folder: str, content_type: str) -> None:
    key, now = f"{folder}0.jpg", time.time()
    sent = {"content-type": content_type}
    put = server.http.put(server.signer.put(key, now=now), content=BODY, headers=sent)
    assert put.status_code == 200
    got = server.http.get(server.signer.get(key, now=now))
    assert got.status_code == 200
    assert got.content == BODY
    assert got.headers["content-type"] == content_type
    assert got.headers["content-length"] == str(len(BODY))
    assert got.headers["etag"] == put.headers["etag"]
    assert "last-modified" in got.headers


def test_no_header_is_needed_but_the_host(server: Server, folder: str) -> None:
    for method, status, body in [("PUT", 200, BODY), ("GET", 200, None), ("DELETE", 204, None)]:
        target = server.url(method, f"{folder}bare").removeprefix(server.served.endpoint)
        with server.connection() as connection:
            connection.putrequest(method, target, skip_accept_encoding=True)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (status, BODY if method == "GET" else b"")
    assert server.store.head(f"{folder}bare") is None


def test_a_url_works_again_until_its_end(server: Server, folder: str) -> None:
    put, get, delete = (server.url(method, f"{folder}k") for method in ("PUT", "GET", "DELETE"))
    for body in (b"first", b"second"):
        server.put_over(put, body)
        assert [server.http.get(get).content for _ in range(2)] == [body, body]
    assert [server.http.delete(delete).status_code for _ in range(2)] == [204, 204]
    assert server.http.get(get).status_code == 404


def test_head_tells_what_get_would(server: Server, folder: str) -> None:
    server.store.put(f"{folder}k", BODY, "image/jpeg")
    got = server.http.get(server.url("GET", f"{folder}k"))
    told = server.http.head(server.url("HEAD", f"{folder}k"))
    assert (told.status_code, told.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "last-modified"):
        assert told.headers[name] == got.headers[name]
    assert server.http.head(server.url("HEAD", f"{folder}missing")).status_code == 404


@pytest.mark.parametrize("name", ODD_KEYS)
def test_odd_keys(server: Server, folder: str, name: str) -> None:
    key = folder + name
    assert server.http.put(server.url("PUT", key), content=key.encode()).status_code == 200
    assert server.http.get(server.url("GET", key)).content == key.encode()
    assert [info.key for info in server.store.list(folder)] == [key]
    assert server.http.delete(server.url("DELETE", key)).status_code == 204
    assert server.store.list(folder) == []


def test_the_longest_life(server: Server, folder: str) -> None:
    server.store.put(f"{folder}k", BODY, "image/jpeg")
    almost_ended = int(time.time()) - MAX_EXPIRES + 3600
    for signed_at in (None, almost_ended):
        url = server.url("GET", f"{folder}k", signed_at=signed_at, lasts=MAX_EXPIRES)
        assert server.http.get(url).content == BODY


def test_a_url_shows_neither_secret_nor_more_than_its_key(server: Server, folder: str) -> None:
    url = server.url("GET", f"{folder}k")
    assert server.served.secret_key not in url
    assert urlsplit(url).path == f"/{server.served.bucket}/{folder}k"


def test_headers_of_the_answer_that_the_url_asks_for(server: Server, folder: str) -> None:
    server.store.put(f"{folder}k", BODY, "image/jpeg")
    asked = {
        "ResponseContentDisposition": 'attachment; filename="result.png"',
        "ResponseContentType": "image/png",
        "ResponseCacheControl": "no-store",
    }
    where = {"Bucket": server.served.bucket, "Key": f"{folder}k", **asked}
    url = server.boto.generate_presigned_url("get_object", Params=where, ExpiresIn=60)
    got = server.http.get(url)
    assert got.content == BODY
    assert got.headers["content-disposition"] == asked["ResponseContentDisposition"]
    assert got.headers["content-type"] == "image/png"
    assert got.headers["cache-control"] == "no-store"
