"""Standard Webhooks: sign a callback, and verify one.

The scheme: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

# A full stop separates the signed parts, so an id that held one could be read in two ways.
_MESSAGE_ID = re.compile(r"[!-\-/-~]{1,256}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MAX_SIGNATURE_HEADER = 4096
_BASE64_PREFIX = "whsec_"


class InvalidSignature(Exception):
    """The message is not from whom it says. The text names the reason and repeats no input."""


def sign_headers(secret: str, message_id: str, body: bytes, *, now: float) -> dict[str, str]:
    """The three headers to send with `body`; `now` is in Unix seconds.

    The same `message_id` for every try of one message: it is what makes a repeat recognisable.
    Raises ValueError for an unusable secret or id.
    """
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("a message id is 1-256 visible ASCII characters without a full stop")
    timestamp = str(int(now))
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: _signature(signing_key(secret), message_id, timestamp, body),
    }


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float,
    tolerance: int = 300,
) -> str:
    """The message id of a genuine message. `body` is the raw body, before any parsing.

    Any of `secrets` may have signed (rotation), and one good signature among those sent is
    enough. `tolerance` is in seconds, both ways. Raises `InvalidSignature`; ValueError where a
    secret itself is unusable, which is a fault of the configuration, not of the message.
    """
    keys = [signing_key(secret) for secret in secrets]
    if not keys:
        raise ValueError("no callback secret to verify with")
    message_id, timestamp, signatures = _sent(headers)
    if abs(now - int(timestamp)) > tolerance:
        raise InvalidSignature("timestamp is outside the tolerance")
    genuine = False
    # No early exit: how long this takes must not tell which secret or signature came close.
    for key in keys:
        expected = _signature(key, message_id, timestamp, body).encode()
        for signature in signatures:
            genuine |= hmac.compare_digest(expected, signature)
    if not genuine:
        raise InvalidSignature("no signature matches")
    return message_id


def signing_key(secret: str) -> bytes:
    """The HMAC key that a configured secret stands for. Raises ValueError, without the secret."""
    if not secret.startswith(_BASE64_PREFIX):
        key = secret.encode()
    else:
        try:
            key = base64.b64decode(secret.removeprefix(_BASE64_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("what follows whsec_ in a callback secret must be base64") from None
    if not key:
        raise ValueError("a callback secret must not be empty")
    return key


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _sent(headers: Mapping[str, str]) -> tuple[str, str, list[bytes]]:
    message_id = _header(headers, ID_HEADER)
    timestamp = _header(headers, TIMESTAMP_HEADER)
    signatures = _header(headers, SIGNATURE_HEADER)
    if not _MESSAGE_ID.fullmatch(message_id):
        raise InvalidSignature(f"{ID_HEADER} is malformed")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise InvalidSignature(f"{TIMESTAMP_HEADER} is malformed")
    if len(signatures) > _MAX_SIGNATURE_HEADER or not signatures.isascii():
        raise InvalidSignature(f"{SIGNATURE_HEADER} is malformed")
    return message_id, timestamp, [part.encode() for part in signatures.split()]


def _header(headers: Mapping[str, str], name: str) -> str:
    values = [value for key, value in headers.items() if key.lower() == name]
    if len(values) != 1:
        raise InvalidSignature(f"{name} is {'repeated' if values else 'missing'}")
    return values[0]
