"""The error catalogue of the contract."""

from collections.abc import Iterator

from edge_api.domain.errors import DomainError

CATALOGUE = {
    "VALIDATION_ERROR": 400,
    "AUTH_REQUIRED": 401,
    "TOKEN_EXPIRED": 401,
    "TOKEN_INVALID": 401,
    "CREDITS_EXHAUSTED": 402,
    "RULE_SLOT_FULL": 403,
    "ITEM_LIMIT": 403,
    "CALLBACK_UNAUTHORIZED": 403,
    "NOT_FOUND": 404,
    "INVALID_PRESET": 404,
    "JOB_NOT_FOUND": 404,
    "RULE_NOT_FOUND": 404,
    "INVALID_TRANSITION": 409,
    "ALREADY_CANCELED": 409,
    "SUPERSEDED": 409,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "IDEMPOTENCY_KEY_IN_USE": 409,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "CONCURRENCY_LIMIT": 429,
    "RATE_LIMITED": 429,
    "UNAVAILABLE": 503,
}


def kinds(base: type[DomainError]) -> Iterator[type[DomainError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_error_has_the_status_of_the_contract() -> None:
    # Those of the command line stand beside it.
    named = [kind for kind in kinds(DomainError) if kind.__module__ == DomainError.__module__]
    assert {kind.code: kind.status for kind in named} == CATALOGUE
