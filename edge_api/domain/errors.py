"""The error catalogue of the contract. Each error knows its status, code and details.

DomainError
├── 400 InvalidRequest
├── 401 AuthRequired, TokenExpired, TokenInvalid
├── 402 CreditsExhausted
├── 403 RuleSlotFull, ItemLimit, CallbackUnauthorized
├── 404 NotFound, PresetNotFound, JobNotFound, RuleNotFound
├── 409 InvalidTransition, AlreadyCanceled, Superseded, IdempotencyKeyInUse
├── 415 UnsupportedMediaType
├── 422 IdempotencyKeyReused
├── 429 ConcurrencyLimit, RateLimited
└── 503 Unavailable
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from shared.rules import Problem

Details = Mapping[str, object] | Sequence[object]


class DomainError(Exception):
    """An error that a caller may see. `message` is a sentence for a person."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    retry_after: int | None = None

    def __init__(self, message: str, details: Details | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidRequest(DomainError):
    status, code = 400, "VALIDATION_ERROR"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(f"{first.path}: {first.message}", list(problems))


class AuthRequired(DomainError):
    status, code = 401, "AUTH_REQUIRED"

    def __init__(self) -> None:
        super().__init__("Send the token from /auth/anon as 'Authorization: Bearer <token>'.")


class TokenExpired(DomainError):
    status, code = 401, "TOKEN_EXPIRED"

    def __init__(self) -> None:
        super().__init__("The token has expired; sign in again.")


class TokenInvalid(DomainError):
    status, code = 401, "TOKEN_INVALID"

    def __init__(self) -> None:
        super().__init__("The token is not valid; sign in again.")


class CreditsExhausted(DomainError):
    status, code = 402, "CREDITS_EXHAUSTED"

    def __init__(self, credits: int, needed: int) -> None:
        super().__init__(
            f"The job needs {needed} credits and {credits} are left.",
            {"credits": credits, "needed": needed},
        )


class RuleSlotFull(DomainError):
    status, code = 403, "RULE_SLOT_FULL"

    def __init__(self, limit: int) -> None:
        super().__init__(f"All {limit} rule slots are in use; delete a rule.", {"limit": limit})


class ItemLimit(DomainError):
    status, code = 403, "ITEM_LIMIT"

    def __init__(self, limit: int, asked: int) -> None:
        super().__init__(
            f"A job may have at most {limit} items on this plan.", {"limit": limit, "asked": asked}
        )


class CallbackUnauthorized(DomainError):
    status, code = 403, "CALLBACK_UNAUTHORIZED"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The callback is refused: {reason}.")


class NotFound(DomainError):
    status, code = 404, "NOT_FOUND"


class PresetNotFound(DomainError):
    status, code = 404, "INVALID_PRESET"

    def __init__(self, preset: str, known: Sequence[str]) -> None:
        super().__init__("There is no such preset.", {"preset": preset, "known": list(known)})


class JobNotFound(DomainError):
    status, code = 404, "JOB_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no such job.")


class RuleNotFound(DomainError):
    status, code = 404, "RULE_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no such rule.")


class InvalidTransition(DomainError):
    status, code = 409, "INVALID_TRANSITION"


class AlreadyCanceled(DomainError):
    status, code = 409, "ALREADY_CANCELED"

    def __init__(self) -> None:
        super().__init__("The job was canceled.")


class Superseded(DomainError):
    status, code = 409, "SUPERSEDED"

    def __init__(self) -> None:
        super().__init__("This attempt was replaced by a later one; stop working on it.")


class IdempotencyKeyInUse(DomainError):
    status, code = 409, "IDEMPOTENCY_KEY_IN_USE"

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is under way; ask again.")


class IdempotencyKeyReused(DomainError):
    status, code = 422, "IDEMPOTENCY_KEY_REUSED"

    def __init__(self) -> None:
        super().__init__("Another request was made with this Idempotency-Key; use a new one.")


class UnsupportedMediaType(DomainError):
    status, code = 415, "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self) -> None:
        super().__init__("Send the body as application/json.")


class ConcurrencyLimit(DomainError):
    status, code = 429, "CONCURRENCY_LIMIT"

    def __init__(self, limit: int, active_jobs: Sequence[str]) -> None:
        super().__init__(
            f"At most {limit} job(s) may be open at once on this plan.",
            {"limit": limit, "active_jobs": list(active_jobs)},
        )


class RateLimited(DomainError):
    """`wait` in seconds until the same call may succeed."""

    status, code = 429, "RATE_LIMITED"

    def __init__(self, rule: str, wait: float) -> None:
        self.retry_after = max(1, math.ceil(wait))
        super().__init__(f"Too many requests. {rule}", {"retry_after": self.retry_after})


class Unavailable(DomainError):
    status, code = 503, "UNAVAILABLE"
