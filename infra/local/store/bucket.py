"""The calls on the bucket: HEAD, ListObjectsV2, DeleteObjects."""

import asyncio
import base64
import binascii
import re
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import quote_from_bytes
from xml.parsers import expat
from xml.sax.saxutils import escape

from infra.local.store.digests import Announced, Digests
from infra.local.store.http import Reply, Request
from infra.local.store.index import Record
from infra.local.store.refusals import Refusal, S3Error
from infra.local.store.shelf import Shelf

MAX_KEYS = 1000
MAX_KEY = 1024
MAX_DELETE_BODY = 8 * 1024 * 1024

_XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_KNOWN_PARAMETERS = frozenset(
    {"list-type", "prefix", "continuation-token", "start-after", "max-keys", "encoding-type"}
    | {"fetch-owner", "delimiter"}
)
_NUMBER = re.compile(r"[0-9]{1,9}")
_CONTROL = re.compile(r"[\x00-\x1f]")

_Parameters: TypeAlias = dict[str, bytes]


async def list_objects(request: Request, bucket: str, shelf: Shelf) -> Reply:
    """ListObjectsV2 without delimiters: every key of a prefix, in the order of its bytes."""
    asked = {name.decode("latin-1"): value for name, value in request.query}
    unknown = {name for name in asked if not name.lower().startswith("x-")} - _KNOWN_PARAMETERS
    if unknown or asked.get("list-type") != b"2" or asked.get("delimiter"):
        raise Refusal(S3Error.NOT_IMPLEMENTED, "The bucket answers ListObjectsV2, no delimiter.")
    limit = _limit(asked)
    prefix = asked.get("prefix", b"")
    after = _continued_after(asked) or asked.get("start-after", b"")
    found = await asyncio.to_thread(shelf.index.page, prefix, after, limit + 1)
    page = found[:limit]
    truncated = limit > 0 and len(found) > limit
    return _xml(_listing(asked, bucket, limit, page, truncated=truncated))


async def delete_objects(request: Request, payload: str, shelf: Shelf) -> Reply:
    """DeleteObjects: all named keys at once; one that is not there counts as deleted."""
    announced, digests = Announced(request.headers, payload), Digests()
    body = bytearray()
    async for piece in request.body(MAX_DELETE_BODY):
        digests.update(piece, announced)
        body += piece
    digests.check(announced)
    keys, quiet = _keys_to_delete(bytes(body))
    await asyncio.to_thread(shelf.remove, [key.encode() for key in keys])
    deleted = [] if quiet else [f"<Deleted><Key>{_text(key)}</Key></Deleted>" for key in keys]
    return _xml(f"<DeleteResult {_XMLNS}>{''.join(deleted)}</DeleteResult>")


def checked_key(key: bytes) -> bytes:
    """Raises `Refusal` for what S3 takes for no key."""
    try:
        key.decode()
    except UnicodeDecodeError:
        raise Refusal(S3Error.INVALID_URI, "A key is UTF-8.") from None
    if len(key) > MAX_KEY:
        raise Refusal(S3Error.KEY_TOO_LONG)
    return key


def _limit(asked: _Parameters) -> int:
    text = asked.get("max-keys", b"1000").decode("latin-1")
    if not _NUMBER.fullmatch(text):
        raise Refusal(S3Error.INVALID_ARGUMENT, "max-keys is not a number.")
    return min(int(text), MAX_KEYS)


def _continued_after(asked: _Parameters) -> bytes:
    """The last key of the page before. A token is that key in base64, and no secret."""
    token = asked.get("continuation-token")
    if token is None:
        return b""
    try:
        return checked_key(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, Refusal):
        raise Refusal(S3Error.INVALID_ARGUMENT, "The continuation token is incorrect.") from None


def _listing(
    asked: _Parameters, bucket: str, limit: int, page: list[Record], *, truncated: bool
) -> str:
    in_url = asked.get("encoding-type") == b"url"

    def shown(value: bytes) -> str:
        return quote_from_bytes(value, "/") if in_url else _text(value.decode(errors="replace"))

    parts = [
        f"<Name>{_text(bucket)}</Name><Prefix>{shown(asked.get('prefix', b''))}</Prefix>",
        f"<KeyCount>{len(page)}</KeyCount><MaxKeys>{limit}</MaxKeys>",
        f"<IsTruncated>{str(truncated).lower()}</IsTruncated>",
        "<EncodingType>url</EncodingType>" if in_url else "",
    ]
    if truncated:
        token = base64.b64encode(page[-1].key, altchars=b"-_").decode()
        parts.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
    parts += [
        f"<Contents><Key>{shown(record.key)}</Key><LastModified>{_moment(record.modified)}"
        f"</LastModified><ETag>&quot;{record.etag}&quot;</ETag><Size>{record.size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for record in page
    ]
    return f"<ListBucketResult {_XMLNS}>{''.join(parts)}</ListBucketResult>"


def _keys_to_delete(document: bytes) -> tuple[list[str], bool]:
    """The keys of a `<Delete>` document, and whether the answer is to be quiet."""
    path: list[str] = []
    text: list[str] = []
    keys: list[str] = []
    quiet = False

    def start(name: str, _attributes: object) -> None:
        path.append(name.rpartition(":")[2])
        text.clear()

    def end(_name: str) -> None:
        nonlocal quiet
        if path == ["Delete", "Object", "Key"]:
            keys.append("".join(text))
        elif path == ["Delete", "Quiet"]:
            quiet = "".join(text).strip().lower() == "true"
        elif path == ["Delete", "Object", "VersionId"]:
            raise Refusal(S3Error.NOT_IMPLEMENTED, "Objects have no versions here.")
        path.pop()

    def refuse_doctype(*_declaration: object) -> None:
        raise Refusal(S3Error.MALFORMED_XML)  # entities are how small XML becomes large

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(document, True)
    except expat.ExpatError:
        raise Refusal(S3Error.MALFORMED_XML) from None
    if not 1 <= len(keys) <= MAX_KEYS or not all(keys):
        raise Refusal(S3Error.MALFORMED_XML)
    return keys, quiet


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _text(value: str) -> str:
    return _CONTROL.sub(lambda found: f"&#{ord(found.group())};", escape(value))


def _xml(document: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{document}'.encode()
    return Reply(200, {"content-type": "application/xml"}, body)
