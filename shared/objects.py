"""The object store client: boto3 against any S3 API. The only module here that knows boto3."""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as ConnectionFailed
from msgspec import Struct

from shared.s3_client import open_client, sum_with_md5

if TYPE_CHECKING:  # the stubs are a tool of `make check`, absent where this runs
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef

_CHUNK = 256 * 1024
_READ_ATTEMPTS = 3
_DELETE_BATCH = 1000


class ObjectInfo(Struct, frozen=True):
    """`size` in bytes; `etag` without its quotation marks."""

    key: str
    size: int
    etag: str


class StorageError(Exception):
    """What the object store could not do. The text holds no credential and no query string."""


class ObjectMissing(StorageError):
    """No object has this key."""


class ObjectChanged(StorageError):
    """The object is not the one that the caller knows: its ETag differs."""


class ObjectTooLarge(StorageError):
    """The object has more bytes than the caller wants to hold."""


class StorageUnavailable(StorageError):
    """The store did not do its part. `retryable`: the same call may succeed later."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class ObjectStore:
    """One bucket. Every method is synchronous and may be called from several threads at once.

    Calls are tried three times, with 5 s to connect and 30 s for each read. Every method raises
    `StorageUnavailable`; what else it raises, it says.
    """

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        access_key: str,
        secret_key: str,
        region: str = "auto",
    ) -> None:
        self._endpoint = endpoint
        self._bucket = bucket
        self._client = open_client(endpoint, access_key, secret_key, region)
        sum_with_md5(self._client, "DeleteObjects")

    def __repr__(self) -> str:
        return f"ObjectStore({self._endpoint!r}, bucket={self._bucket!r})"

    def get(self, key: str, *, max_bytes: int, etag: str | None = None) -> bytes:
        """Raises `ObjectMissing`, `ObjectTooLarge` before more than `max_bytes` are held, and
        `ObjectChanged` where the object has another ETag than `etag`."""
        for attempt in range(1, _READ_ATTEMPTS + 1):
            found = self._open(key, etag)
            try:
                return _read(found, key, max_bytes)
            except (BotoCoreError, OSError) as error:
                # botocore's own retries end where the body begins.
                if attempt == _READ_ATTEMPTS or not _may_pass(error):
                    raise _unavailable("get", key, error) from error
        raise AssertionError("unreachable")

    def put(self, key: str, body: bytes | memoryview, content_type: str) -> None:
        """Store the object whole, over whatever was there."""
        payload = bytes(body) if isinstance(body, memoryview) else body
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=payload, ContentType=content_type
            )
        except (BotoCoreError, ClientError) as error:
            raise _unavailable("put", key, error) from error

    def head(self, key: str) -> ObjectInfo | None:
        """None where no object has this key."""
        try:
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        except (BotoCoreError, ClientError) as error:
            if _is_missing(error):
                return None
            raise _unavailable("head", key, error) from error
        return ObjectInfo(key, found["ContentLength"], found["ETag"].strip('"'))

    def list(self, prefix: str) -> list[ObjectInfo]:
        """Every object whose key begins with `prefix`, in the order of their keys."""
        listed: list[ObjectInfo] = []
        pages = self._client.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                for found in page.get("Contents", []):
                    # The schema of a listing calls all three optional; every server sends them.
                    key, size = found.get("Key", ""), found.get("Size", 0)
                    listed.append(ObjectInfo(key, size, found.get("ETag", "").strip('"')))
        except (BotoCoreError, ClientError) as error:
            raise _unavailable("list", prefix, error) from error
        return listed

    def delete(self, keys: Sequence[str]) -> None:
        """Delete in batches of 1000; a key that is not there is no error."""
        for start in range(0, len(keys), _DELETE_BATCH):
            self._delete_batch(keys[start : start + _DELETE_BATCH])

    def ready(self) -> None:
        """Ask whether the bucket is there and these credentials open it."""
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable("open bucket", self._bucket, error) from error

    def _open(self, key: str, etag: str | None) -> "GetObjectOutputTypeDef":
        try:
            if etag is None:
                return self._client.get_object(Bucket=self._bucket, Key=key)
            return self._client.get_object(Bucket=self._bucket, Key=key, IfMatch=f'"{etag}"')
        except (BotoCoreError, ClientError) as error:
            if _is_missing(error):
                raise ObjectMissing(f"no such object: {key}") from error
            if isinstance(error, ClientError) and _status(error) == 412:
                raise ObjectChanged(f"not what it was: {key}") from error
            raise _unavailable("get", key, error) from error

    def _delete_batch(self, keys: Sequence[str]) -> None:
        try:
            answer = self._client.delete_objects(
                Bucket=self._bucket,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )
        except (BotoCoreError, ClientError) as error:
            raise _unavailable("delete", f"{len(keys)} objects", error) from error
        if refused := answer.get("Errors", []):
            first = refused[0]
            raise StorageUnavailable(
                f"delete {len(keys)} objects: {len(refused)} refused, "
                f"first {first.get('Key', '?')} ({first.get('Code', 'no code')})",
                retryable=True,
            )


def _read(found: "GetObjectOutputTypeDef", key: str, max_bytes: int) -> bytes:
    """The body, never more than one chunk beyond `max_bytes` of it."""
    size = 0
    chunks: list[bytes] = []
    # As a context manager a botocore body hands out the raw stream, which checks no length.
    with closing(found["Body"]) as body:
        if found.get("ContentLength", 0) > max_bytes:
            raise ObjectTooLarge(f"{key}: {found['ContentLength']} bytes, limit {max_bytes}")
        # The last, empty chunk is where botocore checks the length against Content-Length.
        while chunk := body.read(_CHUNK):
            size += len(chunk)
            if size > max_bytes:
                raise ObjectTooLarge(f"{key}: more than {max_bytes} bytes")
            chunks.append(chunk)
    return b"".join(chunks)


def _is_missing(error: Exception) -> bool:
    # HEAD has no body, so botocore gives its bare status for a code.
    return isinstance(error, ClientError) and _code(error) in ("NoSuchKey", "404")


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "unknown")


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ClientError):
        return _status(error) >= 500 or _status(error) in (408, 429)
    return isinstance(error, HTTPClientError | ConnectionFailed | IncompleteReadError | OSError)


def _unavailable(verb: str, subject: str, error: Exception) -> StorageUnavailable:
    # botocore's texts hold whole URLs, so only the kind of the failure is repeated.
    if isinstance(error, ClientError):
        reason = f"{_code(error)} (HTTP {_status(error)})"
    else:
        reason = type(error).__name__
    return StorageUnavailable(f"{verb} {subject}: {reason}", retryable=_may_pass(error))
