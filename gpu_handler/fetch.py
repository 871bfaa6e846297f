"""Fetches a photo from a URL that a stranger chose, without reaching anything that is not public.

Every address of the host is checked, the connection goes to a checked address (so a second DNS
answer changes nothing), and each redirect starts over.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

import httpx
from msgspec import Struct

from gpu_handler.imaging.probe import MAX_BYTES

MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})

GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is given out so far; NAT64 (64:ff9b::/96) and every local kind lie outside."""

# What is_global passes in one Python or another, from IANA's special-purpose address registries:
# protocol assignments (a cloud's metadata at 192.0.0.192), 6to4 relays and addresses, Teredo and
# its neighbours, documentation.
SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20"),
    )
)

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Host and port in, textual addresses out; raises OSError where the name does not resolve."""


class FetchError(Exception):
    """The photo could not be had. `code` is stable; `message` is for a person, without the URL."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def is_public(text: str) -> bool:
    """Whether `text` is an address that anybody on the internet could reach as well."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address not in GLOBAL_UNICAST:
            return False
    special = any(address.version == n.version and address in n for n in SPECIAL)
    return address.is_global and not (special or address.is_multicast or address.is_reserved)


async def resolve(host: str, port: int) -> list[str]:
    """Every address of `host`, in the system's order. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher(Struct, frozen=True, kw_only=True):
    """How photos are fetched: `seconds` bounds the whole exchange, redirects and body included.

    `transport` replaces the network in tests; pinning happens before it.
    """

    allow_private: bool = False
    max_bytes: int = MAX_BYTES
    seconds: float = 20.0
    resolver: Resolver = resolve
    transport: httpx.AsyncBaseTransport | None = None

    async def fetch(self, url: str) -> bytes:
        """The body behind `url`.

        Raises FetchError: URL_REFUSED, URL_UNREACHABLE, IMAGE_TOO_LARGE.
        """
        try:
            async with (
                asyncio.timeout(self.seconds),
                # trust_env off: through a proxy it would not be us who choose the address.
                httpx.AsyncClient(transport=self.transport, trust_env=False) as client,
            ):
                return await self._follow(client, url)
        except TimeoutError:
            raise FetchError("URL_UNREACHABLE", "The image took too long to arrive.") from None
        # httpx reads a redirect although we follow it ourselves: what is no URL raises the others.
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            message = f"The image could not be fetched ({type(error).__name__})."
            raise FetchError("URL_UNREACHABLE", message) from error

    async def _follow(self, client: httpx.AsyncClient, url: str) -> bytes:
        target = _checked(url)
        for _ in range(MAX_REDIRECTS + 1):
            location, body = await self._get(client, target)
            if location is None:
                return body
            target = _checked(location, base=target)
        raise FetchError("URL_REFUSED", f"The image is behind more than {MAX_REDIRECTS} redirects.")

    async def _get(self, client: httpx.AsyncClient, target: httpx.URL) -> tuple[str | None, bytes]:
        """One hop: where it redirects to, or its body."""
        async with aclosing(await self._open(client, target)) as response:
            if response.status_code in REDIRECTS and "location" in response.headers:
                return response.headers["location"], b""
            if response.status_code != 200:
                message = f"The image's server answered {response.status_code}."
                raise FetchError("URL_UNREACHABLE", message)
            return None, await self._read(response)

    async def _open(self, client: httpx.AsyncClient, target: httpx.URL) -> httpx.Response:
        """The answer of the first checked address that takes the connection, body unread."""
        failure: httpx.TransportError | None = None
        for address in await self._addresses(target):
            request = client.build_request(
                "GET",
                target.copy_with(host=address, fragment=None),
                headers={"host": target.netloc.decode(), "accept-encoding": "identity"},
                extensions={"sni_hostname": target.raw_host.decode()},
                timeout=self.seconds,
            )
            try:
                return await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure or httpx.ConnectError("the name has no address")

    async def _addresses(self, target: httpx.URL) -> list[str]:
        """Every address of the host; refused where one of them is not public."""
        port = target.port or (443 if target.scheme == "https" else 80)
        try:
            addresses = await self.resolver(target.raw_host.decode(), port)
        except (OSError, UnicodeError) as error:
            raise FetchError(
                "URL_UNREACHABLE", "The image's host name does not resolve."
            ) from error
        if not self.allow_private and not all(map(is_public, addresses)):
            raise FetchError("URL_REFUSED", "The image's host is not on the public internet.")
        return addresses

    async def _read(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            # Asked for identity: a body that unpacks to gigabytes is not worth the trouble.
            raise FetchError("URL_UNREACHABLE", "The image's server sent it compressed.")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self.max_bytes:
                limit = self.max_bytes // (1024 * 1024)
                raise FetchError("IMAGE_TOO_LARGE", f"The image is larger than {limit} MiB.")
        return bytes(body)


def _checked(url: str, base: httpx.URL | None = None) -> httpx.URL:
    """`url`, resolved against `base`, if its form alone is acceptable."""
    try:
        parsed = base.join(url) if base else httpx.URL(url)
        usable = parsed.scheme in ("http", "https") and parsed.host
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchError("URL_REFUSED", "The image address is not a valid URL.") from error
    if not usable:
        raise FetchError("URL_REFUSED", "The image address must be an http or https URL.")
    if parsed.userinfo:
        raise FetchError("URL_REFUSED", "The image address must not carry a password.")
    return parsed
