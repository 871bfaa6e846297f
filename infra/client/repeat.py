"""When a call is sent again, and how long to wait before that."""

from collections.abc import Callable

import httpx

from infra.client.errors import Unreachable

ATTEMPTS = 4
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 10.0
PASSING_STATUSES = frozenset({408, 500, 502, 503, 504})
TOO_MANY_REQUESTS = 429
PLAN_LIMIT = b'"CONCURRENCY_LIMIT"'

Send = Callable[[], httpx.Response]
Sleep = Callable[[float], None]


def send_repeated(call: str, send: Send, sleep: Sleep, *, idempotent: bool) -> httpx.Response:
    """Send up to ATTEMPTS times and give back the last answer, whatever its status.

    What is not idempotent is sent again only where the first one cannot have taken effect: no
    connection was made, or the answer is RATE_LIMITED with `Retry-After`. Raises Unreachable.
    """
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        delay = FIRST_DELAY_S * 2**attempt
        try:
            response = send()
        except httpx.RequestError as error:
            if last or not (idempotent or _never_sent(error)):
                raise Unreachable(call, _reason(error)) from error
        else:
            wanted = _wanted_delay(response, idempotent=idempotent)
            if last or wanted is None:
                return response
            delay = max(delay, wanted)
        sleep(min(delay, LONGEST_DELAY_S))
    raise AssertionError("the last attempt returns or raises")


def _never_sent(error: httpx.RequestError) -> bool:
    return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))


def _reason(error: httpx.RequestError) -> str:
    """Without the URL, which may be presigned and so a secret."""
    return type(error).__name__


def _wanted_delay(response: httpx.Response, *, idempotent: bool) -> float | None:
    """Seconds to wait before sending again, or None where the answer stands."""
    asked = response.headers.get("Retry-After", "")
    if response.status_code == TOO_MANY_REQUESTS:
        # A plan limit is 429 too; waiting some seconds does not help against that.
        plan_limit = PLAN_LIMIT in response.content
        return None if plan_limit or not asked.isdecimal() else float(asked)
    if response.status_code in PASSING_STATUSES and idempotent:
        return float(asked) if asked.isdecimal() else 0.0
    return None
