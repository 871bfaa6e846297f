"""What a request says about its signature, before any of it is believed."""

import re

from msgspec import Struct

from infra.local.store.http import Request
from infra.local.store.refusals import Refusal, S3Error

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_EXPIRES = 604_800

_MOMENT = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_NUMBER = re.compile(r"[0-9]{1,10}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Claim(Struct, frozen=True):
    """The parts of a signature, in the form they must have.

    `moment` is X-Amz-Date; `signed_headers` lower-case names in order; `expires` seconds, or None
    for a signature in the header, which holds while the clocks agree.
    """

    access_key: str
    day: str
    region: str
    moment: str
    signed_headers: tuple[str, ...]
    signature: str
    expires: int | None
    malformed: S3Error


def read_claim(request: Request) -> Claim:
    """Take the signature's parts out of the query or the Authorization header."""
    query = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.query]
    in_query = any(name in ("X-Amz-Signature", "X-Amz-Algorithm") for name, _ in query)
    header = request.headers.get("authorization")
    if in_query and header is not None:
        raise Refusal(S3Error.INVALID_ARGUMENT, "Only one auth mechanism allowed.")
    if in_query:
        return _claim_of_query(query)
    if header is not None:
        return _claim_of_header(header, request.headers)
    raise Refusal(S3Error.ACCESS_DENIED)


def _claim_of_query(query: list[tuple[str, str]]) -> Claim:
    part: dict[str, str] = {}
    for name, value in query:
        if name.startswith("X-Amz-") and name in part:
            raise Refusal(S3Error.QUERY_MALFORMED, f"{name} stands there twice.")
        part[name] = value
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"):
        if f"X-Amz-{name}" not in part:
            raise Refusal(S3Error.QUERY_MALFORMED, f"X-Amz-{name} is missing.")
    if part["X-Amz-Algorithm"] != ALGORITHM:
        raise Refusal(S3Error.QUERY_MALFORMED, f"X-Amz-Algorithm must be {ALGORITHM}.")
    expires = part["X-Amz-Expires"]
    if not _NUMBER.fullmatch(expires) or not 1 <= int(expires) <= MAX_EXPIRES:
        raise Refusal(S3Error.QUERY_MALFORMED, f"X-Amz-Expires must be 1 to {MAX_EXPIRES} seconds.")
    return _claim(
        part["X-Amz-Credential"],
        part["X-Amz-Date"],
        part["X-Amz-SignedHeaders"],
        part["X-Amz-Signature"],
        int(expires),
        S3Error.QUERY_MALFORMED,
    )


def _claim_of_header(header: str, headers: dict[str, str]) -> Claim:
    algorithm, _, rest = header.partition(" ")
    part: dict[str, str] = {}
    for field in rest.split(","):
        name, _, value = field.strip().partition("=")
        part[name] = value
    if algorithm != ALGORITHM or part.keys() != {"Credential", "SignedHeaders", "Signature"}:
        raise Refusal(S3Error.HEADER_MALFORMED)
    if "x-amz-content-sha256" not in headers:
        raise Refusal(S3Error.BAD_REQUEST, "x-amz-content-sha256 is missing.")
    return _claim(
        part["Credential"],
        headers.get("x-amz-date", ""),
        part["SignedHeaders"],
        part["Signature"],
        None,
        S3Error.HEADER_MALFORMED,
    )


def _claim(
    credential: str,
    moment: str,
    signed_headers: str,
    signature: str,
    expires: int | None,
    malformed: S3Error,
) -> Claim:
    # An access key may hold a slash; the scope behind it may not.
    scope = credential.rsplit("/", 4)
    if len(scope) != 5 or scope[3:] != ["s3", "aws4_request"]:
        raise Refusal(malformed, "The credential is not <key>/<day>/<region>/s3/aws4_request.")
    if not _MOMENT.fullmatch(moment) or not moment.startswith(scope[1]) or len(scope[1]) != 8:
        raise Refusal(malformed, "The date does not fit the credential's scope.")
    names = tuple(signed_headers.split(";"))
    if "host" not in names or list(names) != sorted({name.lower() for name in names}):
        raise Refusal(malformed, "SignedHeaders are sorted lower-case names, host among them.")
    if not _SHA256.fullmatch(signature):
        raise Refusal(S3Error.SIGNATURE_MISMATCH)
    return Claim(scope[0], scope[1], scope[2], moment, names, signature, expires, malformed)
