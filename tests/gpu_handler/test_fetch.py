"""Fetching a stranger's URL: hostile ones are refused, addresses pinned, bodies bounded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_handler.fetch import Fetcher, FetchError, is_public
from tests.gpu_handler.test_callback import api

PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
Resolver = Callable[[str, int], Awaitable[list[str]]]
Reply = Callable[[httpx.Request], httpx.Response]


def names(table: dict[str, list[str]]) -> Resolver:
    async def resolver(host: str, port: int) -> list[str]:
        if host not in table:
            raise OSError("no such name")
        return table[host]

    return resolver


def no_network(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"connected to {request.url}")


def fetch(url: str, fetcher: Fetcher) -> bytes:
    return asyncio.run(fetcher.fetch(url))


def refusal(url: str, fetcher: Fetcher) -> FetchError:
    with pytest.raises(FetchError) as refused:
        fetch(url, fetcher)
    return refused.value


HOSTILE = [
    "http://127.0.0.1/",
    "http://2130706433/",  # 127.0.0.1 as one number
    "http://0x7f.1/",
    "http://0x7f000001/",
    "http://017700000001/",
    "http://127.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://１２７.0.0.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",  # NAT64 of 127.0.0.1
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",  # 6to4 of 127.0.0.1
    "http://[2001:0:53aa:64c::]/",  # Teredo
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[fd00:ec2::254]/",  # a cloud's metadata service
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://192.88.99.1/",
    "http://203.0.113.7/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[100::1]/",
    "http://224.0.0.1/",
    "http://[ff02::1]/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "https://127.0.0.1:443/",
    "file:///etc/passwd",
    "ftp://example.com/photo.jpg",
    "gopher://example.com/",
    "data:image/png;base64,AAAA",
    "//example.com/photo.jpg",
    "example.com/photo.jpg",
    "http:///photo.jpg",
    "http://user:password@93.184.215.14/",
    "http://example.com@127.0.0.1/",
    "http://exam\nple.com/",
    "https://xn--/",
    "http://[::1",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_hostile_url_is_refused_before_anything_is_connected(url: str) -> None:
    """Resolved by the system itself, as in production: it is what reads the odd spellings."""
    error = refusal(url, Fetcher(transport=httpx.MockTransport(no_network)))

    assert error.code == "URL_REFUSED"
    assert "password" not in error.message.replace("carry a password", "")


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.7"],
        [PUBLIC_6, "fe80::1%eth0"],
        ["not an address"],
    ],
)
def test_name_with_any_private_address_is_refused(addresses: list[str]) -> None:
    fetcher = Fetcher(
        resolver=names({"rebind.test": addresses}), transport=httpx.MockTransport(no_network)
    )

    assert refusal("http://rebind.test/photo.jpg", fetcher).code == "URL_REFUSED"


def test_connection_goes_to_the_checked_address_under_the_name_that_was_asked() -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=_Bytes(b"photo"))

    fetcher = Fetcher(
        resolver=names({"photos.test": [PUBLIC]}), transport=httpx.MockTransport(reply)
    )

    assert fetch("https://photos.test:8443/a b.jpg?size=1#top", fetcher) == b"photo"
    (request,) = seen
    assert str(request.url) == f"https://{PUBLIC}:8443/a%20b.jpg?size=1"
    assert request.headers["host"] == "photos.test:8443"
    assert request.extensions["sni_hostname"] == "photos.test"
    assert request.headers["accept-encoding"] == "identity"


def test_next_address_is_tried_where_one_does_not_connect() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        if request.url.host == PUBLIC_6:
            raise httpx.ConnectError("no route", request=request)
        return httpx.Response(200, stream=_Bytes(b"photo"))

    resolver = names({"photos.test": [PUBLIC_6, PUBLIC]})
    fetcher = Fetcher(resolver=resolver, transport=httpx.MockTransport(reply))

    assert fetch("http://photos.test/", fetcher) == b"photo"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/",
        "http://inside.test/",
        "//inside.test/photo.jpg",
        "file:///etc/passwd",
        "http://user@photos.test/",
    ],
)
def test_redirect_is_checked_like_the_first_url(target: str) -> None:
    visited: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        visited.append(request.url.host)
        return httpx.Response(302, headers={"location": target})

    resolver = names(
        {"photos.test": [PUBLIC], "inside.test": ["10.0.0.7"], "127.0.0.1": ["127.0.0.1"]}
    )
    fetcher = Fetcher(resolver=resolver, transport=httpx.MockTransport(reply))

    assert refusal("http://photos.test/", fetcher).code == "URL_REFUSED"
    assert visited == [PUBLIC]


def test_redirects_are_followed_three_times_and_relative_to_where_they_came_from() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        step = int(request.url.path.rpartition("/")[2])
        if step == 3:
            return httpx.Response(200, stream=_Bytes(request.headers["host"].encode()))
        return httpx.Response(307, headers={"location": str(step + 1)})

    resolver = names({"photos.test": [PUBLIC]})
    fetcher = Fetcher(resolver=resolver, transport=httpx.MockTransport(reply))

    assert fetch("http://photos.test/album/0", fetcher) == b"photos.test"
    assert refusal("http://photos.test/album/-1", fetcher).code == "URL_REFUSED"


@pytest.mark.parametrize("status", [204, 304, 401, 403, 404, 500])
def test_other_answers_are_named(status: int) -> None:
    fetcher = Fetcher(
        resolver=names({"photos.test": [PUBLIC]}),
        transport=httpx.MockTransport(lambda request: httpx.Response(status)),
    )

    error = refusal("http://photos.test/?token=canary", fetcher)

    assert error.code == "URL_UNREACHABLE"
    assert str(status) in error.message
    assert "canary" not in error.message


def test_body_is_cut_off_at_the_limit_whatever_its_header_says() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield b"x" * 1000

    fetcher = Fetcher(
        max_bytes=10_000,
        resolver=names({"photos.test": [PUBLIC]}),
        transport=httpx.MockTransport(lambda request: httpx.Response(200, content=endless())),
    )

    assert refusal("http://photos.test/", fetcher).code == "IMAGE_TOO_LARGE"
    assert sent <= 12_000


def test_compressed_body_is_refused() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=_Bytes(b"\x1f\x8b"))

    fetcher = Fetcher(
        resolver=names({"photos.test": [PUBLIC]}), transport=httpx.MockTransport(reply)
    )

    assert refusal("http://photos.test/", fetcher).code == "URL_UNREACHABLE"


class _Bytes(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def test_name_that_does_not_resolve_is_unreachable() -> None:
    fetcher = Fetcher(resolver=names({}), transport=httpx.MockTransport(no_network))

    assert refusal("http://nowhere.test/", fetcher).code == "URL_UNREACHABLE"


def test_whole_exchange_has_one_time_limit() -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(10)
        return httpx.Response(200)

    fetcher = Fetcher(
        seconds=0.1,
        resolver=names({"photos.test": [PUBLIC]}),
        transport=httpx.MockTransport(slow),
    )

    assert refusal("http://photos.test/", fetcher).code == "URL_UNREACHABLE"


def test_loopback_is_reached_where_private_addresses_are_allowed() -> None:
    """The real transport, to the end of a real refusal: this server knows POST alone."""
    with api(lambda n: (200, {})) as (url, _):
        error = refusal(url.replace("127.0.0.1", "localhost"), Fetcher(allow_private=True))
        assert error.code == "URL_UNREACHABLE"
        assert "501" in error.message
        assert refusal(url, Fetcher()).code == "URL_REFUSED"


@pytest.mark.parametrize("text", [PUBLIC, PUBLIC_6, "8.8.8.8", "1.1.1.1", "2a00:1450:4001::1"])
def test_public_addresses_pass(text: str) -> None:
    assert is_public(text)


@given(st.ip_addresses(v=4))
def test_ipv4_inside_ipv6_is_judged_as_itself_or_refused(address: IPv4Address) -> None:
    assert is_public(f"::ffff:{address}") == is_public(str(address))
    assert not is_public(f"64:ff9b::{address}")
    assert not is_public(str(IPv6Address((0x2002 << 112) | (int(address) << 80))))
