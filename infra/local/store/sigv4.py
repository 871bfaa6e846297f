"""Who signed this request? AWS Signature Version 4, verified from the wire.

Written from the specification and apart from the product's own signer, so that a mistake in one
is not hidden by the same mistake in the other:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime
from urllib.parse import quote_from_bytes

from msgspec import Struct

from infra.local.store.claim import ALGORITHM, Claim, read_claim
from infra.local.store.http import Request
from infra.local.store.refusals import Refusal, S3Error

UNSIGNED = "UNSIGNED-PAYLOAD"
MAX_SKEW = 900
REGIONS = frozenset({"auto", "us-east-1"})
"""As R2 has it: `auto`, and `us-east-1` as another name for it."""

_SAFE = "-_.~"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SPACES = re.compile(r" +")


class Credentials(Struct, frozen=True):
    """The one pair of keys that opens the store."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return "Credentials(…)"


def verify(request: Request, credentials: Credentials, now: float) -> str:
    """The payload's claim: `UNSIGNED-PAYLOAD` or the hex SHA-256 that the body must have.

    Raises `Refusal` for whatever S3 would refuse. The signature is checked before the times, so
    that nobody learns from an answer when a URL they cannot sign would have ended.
    """
    claim = read_claim(request)
    _check_scope(claim, credentials.access_key)
    payload = _payload(request, claim)
    expected = _signature(request, claim, payload, credentials.secret_key)
    if not hmac.compare_digest(expected.encode(), claim.signature.encode()):
        raise Refusal(S3Error.SIGNATURE_MISMATCH)
    _check_all_signed(request, claim)
    _check_time(claim, now)
    return payload


def _check_scope(claim: Claim, access_key: str) -> None:
    if not hmac.compare_digest(claim.access_key.encode(), access_key.encode()):
        raise Refusal(S3Error.UNKNOWN_ACCESS_KEY)
    if claim.region not in REGIONS:
        raise Refusal(claim.malformed, "The region is wrong; expecting 'auto'.")


def _payload(request: Request, claim: Claim) -> str:
    """What stands for the body in the canonical request."""
    declared = request.headers.get("x-amz-content-sha256")
    if declared is None:
        return UNSIGNED
    if declared.startswith("STREAMING-"):
        raise Refusal(
            S3Error.NOT_IMPLEMENTED,
            "aws-chunked bodies are not taken; set request_checksum_calculation=when_required.",
        )
    if declared != UNSIGNED and not _SHA256.fullmatch(declared):
        raise Refusal(S3Error.INVALID_ARGUMENT, "x-amz-content-sha256 is not a SHA-256.")
    return declared


def _signature(request: Request, claim: Claim, payload: str, secret_key: str) -> str:
    scope = f"{claim.day}/{claim.region}/s3/aws4_request"
    canonical = hashlib.sha256(canonical_request(request, claim, payload).encode("latin-1"))
    to_sign = f"{ALGORITHM}\n{claim.moment}\n{scope}\n{canonical.hexdigest()}"
    key = b"AWS4" + secret_key.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode("latin-1"), hashlib.sha256).hexdigest()


def canonical_request(request: Request, claim: Claim, payload: str) -> str:
    """The request as its signer saw it: escapes made uniform, parameters in order."""
    parameters = sorted(
        (quote_from_bytes(name, _SAFE), quote_from_bytes(value, _SAFE))
        for name, value in request.query
        if name != b"X-Amz-Signature" or claim.expires is None
    )
    headers = [f"{name}:{_header(request, name)}" for name in claim.signed_headers]
    return "\n".join(
        [
            request.method,
            quote_from_bytes(request.path, "/" + _SAFE),
            "&".join(f"{name}={value}" for name, value in parameters),
            *headers,
            "",
            ";".join(claim.signed_headers),
            payload,
        ]
    )


def _header(request: Request, name: str) -> str:
    if name not in request.headers:
        raise Refusal(S3Error.SIGNATURE_MISMATCH, f"The signed header {name} did not come.")
    return _SPACES.sub(" ", request.headers[name])


def _check_all_signed(request: Request, claim: Claim) -> None:
    """An x-amz header that nobody signed could have been added on the way."""
    unsigned = [
        name
        for name in request.headers
        if name.startswith("x-amz-") and name not in claim.signed_headers
    ]
    if unsigned:
        raise Refusal(
            S3Error.ACCESS_DENIED,
            f"There were headers present in the request which were not signed: {unsigned[0]}",
        )


def _check_time(claim: Claim, now: float) -> None:
    try:
        moment = datetime.strptime(claim.moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refusal(claim.malformed, "The date is no date.") from None
    if claim.expires is None:
        if abs(now - moment) > MAX_SKEW:
            raise Refusal(S3Error.TIME_SKEWED)
    elif now < moment - MAX_SKEW:
        raise Refusal(S3Error.ACCESS_DENIED, "Request is not valid yet")
    elif now > moment + claim.expires:
        raise Refusal(S3Error.ACCESS_DENIED, "Request has expired")
