"""The Idempotency-Key header of a POST, as a dependency of its handler."""

import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from litestar.di import NamedDependency, Provide
from litestar.params import HeaderParameter, QueryParameter

from edge_api.controllers.auth import Caller
from edge_api.domain.errors import InvalidRequest
from edge_api.services import Services
from edge_api.services.idempotency import NO_CLAIM, Claim
from shared.rules import Problem

_KEY = re.compile(r"[!-~]{1,255}")


KeyHeader = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description=(
            "Any text that is new for each request, a UUID for example. The same request sent "
            "again with it within 24 h has its effect once and answers as the first did."
        ),
        max_length=257,
    ),
]
DryRun = Annotated[
    bool,
    QueryParameter(
        description=(
            "Answer 200 with what would be executed and an estimate of its cost, and move "
            "nothing. An Idempotency-Key is ignored then."
        ),
    ),
]


async def hold_claim(
    request: Caller, services: NamedDependency[Services], idempotency_key: KeyHeader = None
) -> AsyncGenerator[Claim]:
    """Raises InvalidRequest, IdempotencyKeyReused or IdempotencyKeyInUse."""
    key = _check(idempotency_key)
    fingerprint = "" if key is None else await _fingerprint(request)
    async with services.idempotency.claim(request.user, key, fingerprint) as claim:
        yield claim


async def hold_claim_for_effect(
    request: Caller,
    services: NamedDependency[Services],
    idempotency_key: KeyHeader = None,
    dry_run: DryRun = False,
) -> AsyncGenerator[Claim]:
    """As `hold_claim`, but for a call that moves nothing: its key stays free for the real one."""
    if dry_run:
        yield NO_CLAIM
        return
    async with asynccontextmanager(hold_claim)(request, services, idempotency_key) as claim:
        yield claim


def _check(text: str | None) -> str | None:
    if text is None:
        return None
    # A structured-field string comes in quotation marks; many clients send the bare text.
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if _KEY.fullmatch(key) is None:
        problem = "must be 1..255 visible ASCII characters"
        raise InvalidRequest([Problem("Idempotency-Key", problem)])
    return key


async def _fingerprint(request: Caller) -> str:
    body = await request.body()
    return hashlib.sha256(b"\0".join((request.url.path.encode(), body))).hexdigest()


CLAIM = {"claim": Provide(hold_claim)}
CLAIM_FOR_EFFECT = {"claim": Provide(hold_claim_for_effect)}
