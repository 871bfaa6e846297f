"""Reports one finished item to the API: signed, tried again, given up with a log line."""

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpx
import msgspec
from msgspec import Struct

from shared.messages import ItemResult
from shared.signing import sign_headers

log = logging.getLogger(__name__)


class Superseded(Exception):
    """The API answered 409: another attempt has taken over, or the job is over. Stop working."""


class CallbackUrlRefused(ValueError):
    """This worker does not call that URL back; the message says why, without the URL."""


class Delivery(StrEnum):
    """How reporting ended; where it was given up, the job's summary still carries the item."""

    ACCEPTED = "accepted"
    GIVEN_UP = "given_up"


class RetryPlan(Struct, frozen=True):
    """Waits between tries, in seconds: `first`, doubled each time, ±25 %, at most `longest`.

    The default is five tries over about twenty seconds, so that an API that restarts is waited for.
    `longest` also caps what a `Retry-After` may ask for.
    """

    tries: int = 5
    first: float = 1.3
    longest: float = 30.0

    def wait(self, tried: int, retry_after: float | None) -> float:
        """Seconds to wait after the `tried`-th try failed (1 = the first)."""
        backoff = self.first * 2 ** (tried - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        return min(max(backoff, retry_after or 0.0), self.longest)


def check_callback_url(url: str, allowed_hosts: frozenset[str], *, encrypted: bool = False) -> None:
    """Raises CallbackUrlRefused unless `url` is http(s) to one of `allowed_hosts` (empty: any).

    `encrypted` leaves https alone.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise CallbackUrlRefused("is not a URL") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise CallbackUrlRefused("must be an http or https URL")
    if encrypted and parsed.scheme != "https":
        raise CallbackUrlRefused("must be an https URL in production")
    if parsed.userinfo:
        raise CallbackUrlRefused("must not carry a user name or password")
    if allowed_hosts and parsed.host.lower() not in allowed_hosts:
        raise CallbackUrlRefused("names a host that CALLBACK_ALLOWED_HOSTS does not list")


class CallbackClient:
    """Posts item results. Shared by all jobs of the worker; `client` is closed by its owner.

    `timeout` bounds one try, in seconds; with `encrypted` nothing goes over plain http.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        secret: str,
        *,
        timeout: float,
        allowed_hosts: frozenset[str] = frozenset(),
        encrypted: bool = False,
        retry: RetryPlan | None = None,
    ) -> None:
        self._client = client
        self._secret = secret
        self._timeout = timeout
        self._allowed_hosts = allowed_hosts
        self._encrypted = encrypted
        self._retry = retry or RetryPlan()

    def check(self, url: str) -> None:
        """Raises CallbackUrlRefused where `send` would never be accepted."""
        check_callback_url(url, self._allowed_hosts, encrypted=self._encrypted)

    async def send(
        self, url: str, result: ItemResult, headers: Mapping[str, str] | None = None
    ) -> Delivery:
        """POST `result` as JSON, signed anew for each try under one `webhook-id`.

        `headers` go along unsigned.

        Connect errors, timeouts, 429 and 5xx are tried again; any other answer but 2xx is final.
        Raises Superseded on 409 and CallbackUrlRefused for a URL that must not be called.
        """
        self.check(url)
        body = msgspec.json.encode(result)
        for tried in range(1, self._retry.tries + 1):
            answer = await self._try(url, result.idempotency_key, body, headers or {})
            if isinstance(answer, httpx.Response) and not _worth_repeating(answer):
                return _final(answer, result)
            if tried < self._retry.tries:
                await asyncio.sleep(self._retry.wait(tried, _retry_after(answer)))
        log.warning("callback of item %d given up after %d tries", result.idx, self._retry.tries)
        return Delivery.GIVEN_UP

    async def _try(
        self, url: str, webhook_id: str, body: bytes, more: Mapping[str, str]
    ) -> httpx.Response | None:
        headers = {**more, **sign_headers(self._secret, webhook_id, body, now=time.time())}
        headers["content-type"] = "application/json"
        try:
            async with asyncio.timeout(self._timeout):
                return await self._client.post(
                    url, content=body, headers=headers, follow_redirects=False
                )
        # A redirect is read although it is not followed, and may be to what is no URL at all.
        except (httpx.TransportError, httpx.InvalidURL, UnicodeError, TimeoutError) as error:
            log.info("callback did not get through: %s", type(error).__name__)
            return None


def _worth_repeating(answer: httpx.Response) -> bool:
    return answer.status_code == 429 or answer.status_code >= 500


def _final(answer: httpx.Response, result: ItemResult) -> Delivery:
    if answer.is_success:
        return Delivery.ACCEPTED
    if answer.status_code == 409:
        raise Superseded(f"the API refused item {result.idx} of attempt {result.attempt}")
    log.warning("callback of item %d refused with status %d", result.idx, answer.status_code)
    return Delivery.GIVEN_UP


def _retry_after(answer: httpx.Response | None) -> float | None:
    """Seconds from a `Retry-After` of either form (delta or HTTP date); None where unusable."""
    value = answer.headers.get("retry-after", "").strip() if answer is not None else ""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):  # not a date, or a date without a zone
        return None
