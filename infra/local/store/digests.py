"""Digests of a body as it comes in, and the ones that its sender announced."""

import base64
import binascii
import hashlib
import zlib

from infra.local.store.refusals import Refusal, S3Error
from infra.local.store.sigv4 import UNSIGNED

_CHECKSUM = "x-amz-checksum-"
_VERIFIED = ("crc32", "sha1", "sha256")
_NOT_A_VALUE = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"})


class Announced:
    """What the request says its body is. Raises `Refusal` for a digest that cannot be one."""

    def __init__(self, headers: dict[str, str], payload: str) -> None:
        self.sha256 = None if payload == UNSIGNED else payload
        self.md5 = _decoded(headers["content-md5"], 16) if "content-md5" in headers else None
        self.checksums: dict[str, str] = {}
        for name, value in headers.items():
            if name.startswith(_CHECKSUM) and name not in _NOT_A_VALUE:
                kind = name.removeprefix(_CHECKSUM)
                if kind not in _VERIFIED:
                    raise Refusal(S3Error.NOT_IMPLEMENTED, f"No {kind} checksums here.")
                self.checksums[kind] = value


class Digests:
    """Everything that may have been announced, computed piece by piece."""

    def __init__(self) -> None:
        self.size = 0
        self._crc32 = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def update(self, piece: bytes, announced: Announced) -> None:
        self.size += len(piece)
        self._md5.update(piece)
        if announced.sha256 or "sha256" in announced.checksums:
            self._sha256.update(piece)
        if "sha1" in announced.checksums:
            self._sha1.update(piece)
        if "crc32" in announced.checksums:
            self._crc32 = zlib.crc32(piece, self._crc32)

    @property
    def etag(self) -> str:
        return self._md5.hexdigest()

    def check(self, announced: Announced) -> None:
        """Raises `Refusal` where the body is not what was announced."""
        if announced.sha256 is not None and announced.sha256 != self._sha256.hexdigest():
            raise Refusal(S3Error.CONTENT_MISMATCH)
        if announced.md5 is not None and announced.md5 != self._md5.digest():
            raise Refusal(S3Error.BAD_DIGEST)
        for kind, value in announced.checksums.items():
            if value != base64.b64encode(self._checksum(kind)).decode():
                raise Refusal(S3Error.BAD_DIGEST, f"The {kind} checksum does not match.")

    def _checksum(self, kind: str) -> bytes:
        match kind:
            case "crc32":
                return self._crc32.to_bytes(4, "big")
            case "sha1":
                return self._sha1.digest()
            case _:
                return self._sha256.digest()


def _decoded(value: str, length: int) -> bytes:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(S3Error.INVALID_DIGEST) from None
    if len(digest) != length:
        raise Refusal(S3Error.INVALID_DIGEST)
    return digest
