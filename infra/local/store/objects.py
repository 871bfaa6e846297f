"""The calls on one object: PUT, GET, HEAD, DELETE."""

import asyncio
import re
from email.utils import formatdate

from infra.local.store.digests import Announced, Digests
from infra.local.store.http import FilePart, Reply, Request
from infra.local.store.index import Expectation, ExpectationFailed, Record
from infra.local.store.refusals import Refusal, S3Error
from infra.local.store.shelf import Shelf, Upload

_KEPT = frozenset(
    {"cache-control", "content-disposition", "content-encoding", "content-language", "expires"}
)
_META = "x-amz-meta-"
_MAX_KEPT = 8192
_DEFAULT_TYPE = "binary/octet-stream"
_OVERRIDES = frozenset({*_KEPT, "content-type"})
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


async def put(request: Request, key: bytes, payload: str, shelf: Shelf) -> Reply:
    """Store the body whole or not at all; `If-None-Match: *` writes once, `If-Match` replaces."""
    if "x-amz-copy-source" in request.headers:
        raise Refusal(S3Error.NOT_IMPLEMENTED, "Objects are not copied here.")
    if "aws-chunked" in request.headers.get("content-encoding", ""):
        raise Refusal(S3Error.NOT_IMPLEMENTED, "aws-chunked bodies are not taken.")
    announced = Announced(request.headers, payload)
    headers = _kept_headers(request.headers)
    expected = _expectation(request.headers)
    request.content_length()
    if expected is not None:
        # Refuse before the upload where that is possible; `keep` asks again.
        expected.check(await asyncio.to_thread(shelf.index.find, key))
    upload = await asyncio.to_thread(shelf.begin)
    try:
        digests = await _receive(request, upload, announced)
        record = await asyncio.to_thread(
            lambda: shelf.keep(
                upload,
                key,
                size=digests.size,
                etag=digests.etag,
                headers=headers,
                expected=expected,
            )
        )
    finally:
        upload.discard()
    return Reply(200, {"etag": f'"{record.etag}"'})


async def get(request: Request, key: bytes, shelf: Shelf) -> Reply:
    """GET and HEAD: the object or a part of it, under the conditions of RFC 9110."""
    overrides = _overrides(request)
    opened = await asyncio.to_thread(shelf.open, key)
    if opened is None:
        raise Refusal(S3Error.NO_SUCH_KEY)
    record, file = opened
    try:
        headers = {**_described(record), **overrides}
        if (status := _condition(request.headers, record)) is not None:
            file.close()
            return Reply(status, headers)
        start, length = _part(request.headers, record)
    except Refusal:
        file.close()
        raise
    if length == record.size:
        return Reply(200, headers, FilePart(file, 0, length))
    headers["content-range"] = f"bytes {start}-{start + length - 1}/{record.size}"
    return Reply(206, headers, FilePart(file, start, length))


async def delete(key: bytes, shelf: Shelf) -> Reply:
    """204 also where there was nothing, as S3 has it."""
    await asyncio.to_thread(shelf.remove, [key])
    return Reply(204, {})


def refused_write(failed: ExpectationFailed) -> Refusal:
    """`If-Match` on an object that is not there is its own error."""
    if failed.found is None:
        return Refusal(S3Error.NO_SUCH_KEY)
    return Refusal(S3Error.PRECONDITION_FAILED)


async def _receive(request: Request, upload: Upload, announced: Announced) -> Digests:
    digests = Digests()

    def take(piece: bytes) -> None:
        upload.write(piece)
        digests.update(piece, announced)

    async for piece in request.body():
        await asyncio.to_thread(take, piece)
    digests.check(announced)
    return digests


def _kept_headers(headers: dict[str, str]) -> dict[str, str]:
    """What comes back with the object: its type, its caching and the metadata of its writer."""
    kept = {
        name: value for name, value in headers.items() if name in _KEPT or name.startswith(_META)
    }
    kept["content-type"] = headers.get("content-type") or _DEFAULT_TYPE
    if sum(len(name) + len(value) for name, value in kept.items()) > _MAX_KEPT:
        raise Refusal(S3Error.METADATA_TOO_LARGE)
    return kept


def _expectation(headers: dict[str, str]) -> Expectation | None:
    once, etag = headers.get("if-none-match"), headers.get("if-match")
    if once is not None and etag is not None:
        raise Refusal(S3Error.NOT_IMPLEMENTED, "Only one condition on a write.")
    if once is not None:
        if once != "*":
            raise Refusal(S3Error.NOT_IMPLEMENTED, "A write takes If-None-Match: * alone.")
        return Expectation(None)
    return None if etag is None else Expectation(etag.strip('"'))


def _described(record: Record) -> dict[str, str]:
    return {
        **record.headers,
        "etag": f'"{record.etag}"',
        "last-modified": formatdate(record.modified, usegmt=True),
        "accept-ranges": "bytes",
    }


def _overrides(request: Request) -> dict[str, str]:
    """The `response-*` parameters of a signed URL, as headers."""
    headers: dict[str, str] = {}
    for name, value in request.query:
        header = name.decode("latin-1").removeprefix("response-")
        if not name.startswith(b"response-") or header not in _OVERRIDES:
            continue
        if _CONTROL.search(value):
            raise Refusal(S3Error.INVALID_ARGUMENT, f"response-{header} holds a control character.")
        headers[header] = value.decode("latin-1")
    return headers


def _condition(headers: dict[str, str], record: Record) -> int | None:
    """304 where the client has the object already. Raises `Refusal` for a failed If-Match."""
    if "if-match" in headers and not _names(headers["if-match"], record.etag):
        raise Refusal(S3Error.PRECONDITION_FAILED)
    if "if-none-match" in headers and _names(headers["if-none-match"], record.etag):
        return 304
    return None


def _names(etags: str, etag: str) -> bool:
    given = {part.strip().removeprefix("W/").strip('"') for part in etags.split(",")}
    return "*" in given or etag in given


def _part(headers: dict[str, str], record: Record) -> tuple[int, int]:
    """(start, length) of what was asked for; the whole object where Range is absent or odd."""
    whole = (0, record.size)
    asked = _RANGE.fullmatch(headers.get("range", ""))
    if asked is None or asked.group() == "bytes=-":
        return whole
    if "if-range" in headers and headers["if-range"].strip('"') != record.etag:
        return whole
    first, last = asked.groups()
    if first == "":
        start, end = max(0, record.size - int(last)), record.size
    else:
        start = int(first)
        if last and int(last) < start:
            return whole
        end = min(record.size, int(last) + 1) if last else record.size
    if start >= end:
        raise Refusal(S3Error.INVALID_RANGE, headers={"content-range": f"bytes */{record.size}"})
    return start, end - start
