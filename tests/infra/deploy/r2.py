"""R2 played by the embedded store, with what it has not: many buckets and their own settings.

The signatures are verified by the store's own code; CORS answers follow the rules that were set.
"""

import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from infra.local.store.app import Store, create_store
from infra.local.store.http import Receive, Reply, Request, Scope, Send, send_reply
from infra.local.store.refusals import Refusal, S3Error
from infra.local.store.sigv4 import Credentials, verify

_SETTINGS = {
    "cors": ("NoSuchCORSConfiguration", "The CORS configuration does not exist."),
    "lifecycle": ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist."),
}
_S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class R2:
    """An ASGI application. It takes no header that begins like one of `refused_headers`: at first
    x-amz-checksum, as R2 did in 2025. With `denied` the key may not touch the settings of buckets,
    with `read_only` no objects; `clock` is the store's own."""

    def __init__(
        self,
        root: Path,
        access_key: str = "r2-access-key",
        secret_key: str = "r2-secret-key",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = root
        self._clock = clock
        self._keys = Credentials(access_key, secret_key)
        self._made = 0
        self.buckets: dict[str, Store] = {}
        self.reset()

    def reset(self) -> None:
        """An account that was just opened."""
        self.close()
        self.buckets.clear()
        self.settings: dict[tuple[str, str], bytes] = {}
        self.refused_headers: tuple[str, ...] = ("x-amz-checksum-",)
        self.denied = False
        self.read_only = False
        self.clock = self._clock
        self.writes: list[str] = []

    def shift(self, minutes: float) -> None:
        """Its clock runs ahead by so much."""
        self.clock = lambda: self._clock() + minutes * 60

    def close(self) -> None:
        for store in self.buckets.values():
            store.close()

    def add(self, name: str) -> None:
        self._made += 1
        self.buckets[name] = create_store(
            self._root / f"{name}-{self._made}",
            bucket=name,
            access_key=self._keys.access_key,
            secret_key=self._keys.secret_key,
            clock=lambda: self.clock(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        name, _, key = request.raw_path.removeprefix("/").partition("/")
        settings = next((part for part in _SETTINGS if _asks(request, part)), "")
        ours = not key and (settings or request.method in ("PUT", "DELETE"))
        strange = [one for one in request.headers if one.startswith(self.refused_headers)]
        writes = self.read_only and request.method not in ("GET", "HEAD")
        refused = request.method == "OPTIONS" or writes or bool(strange)
        if name in self.buckets and not ours and not refused:
            await self.buckets[name](scope, receive, send)
            return
        try:
            reply = await self._answer(request, name, settings, strange)
        except Refusal as refusal:
            headers = {"content-type": "application/xml"}
            body = refusal.document(request.raw_path, "request")
            reply = Reply(refusal.status, headers, body)
        await send_reply(send, request.method, reply)

    async def _answer(
        self, request: Request, name: str, settings: str, strange: list[str]
    ) -> Reply:
        if request.method == "OPTIONS":
            return self._preflight(request, name)
        body = await _body(request, verify(request, self._keys, self.clock()))
        if strange:
            raise Refusal(S3Error.NOT_IMPLEMENTED, f"Header '{strange[0]}' not implemented")
        if self.denied or self.read_only:
            raise Refusal(S3Error.ACCESS_DENIED)
        if request.method == "PUT" and not settings:
            return self._create(name)
        if name not in self.buckets:
            raise Refusal(S3Error.NO_SUCH_BUCKET)
        if settings:
            return self._setting(request, name, settings, body)
        return self._delete(name)

    def _create(self, name: str) -> Reply:
        if name in self.buckets:
            return _error(409, "BucketAlreadyOwnedByYou", "You have it.")
        self.add(name)
        self.writes.append(f"create {name}")
        return Reply(200, {})

    def _delete(self, name: str) -> Reply:
        if self.buckets[name]._shelf.index.page(b"", b"", 1):  # pyright: ignore[reportPrivateUsage]
            return _error(409, "BucketNotEmpty", "It is not empty.")
        self.buckets.pop(name).close()
        self.writes.append(f"delete {name}")
        return Reply(204, {})

    def _setting(self, request: Request, name: str, part: str, body: bytes) -> Reply:
        place = (name, part)
        match request.method:
            case "PUT":
                assert request.headers.get("content-md5") == _md5(body), "S3 wants a checksum"
                self.settings[place] = body
                self.writes.append(f"put {part}")
            case "DELETE":
                self.settings.pop(place, None)
                self.writes.append(f"delete {part}")
            case _:
                if place not in self.settings:
                    return _error(404, *_SETTINGS[part])
                return Reply(200, {"content-type": "application/xml"}, self.settings[place])
        return Reply(200, {})

    def _preflight(self, request: Request, name: str) -> Reply:
        origin = request.headers.get("origin", "")
        method = request.headers.get("access-control-request-method", "")
        asked = request.headers.get("access-control-request-headers", "")
        headers = {part.strip().lower() for part in asked.split(",") if part.strip()}
        document = self.settings.get((name, "cors"), b"<none/>")
        for rule in ElementTree.fromstring(document).iter(f"{_S3}CORSRule"):
            told = {tag: {one.text for one in rule.iter(f"{_S3}Allowed{tag}")} for tag in _PARTS}
            if origin in told["Origin"] and method in told["Method"] and headers <= told["Header"]:
                return Reply(204, {"access-control-allow-origin": origin})
        raise Refusal(S3Error.ACCESS_FORBIDDEN)


_PARTS = ("Origin", "Method", "Header")


def _asks(request: Request, part: str) -> bool:
    return any(name == part.encode() for name, _ in request.query)


def _error(status: int, code: str, message: str) -> Reply:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return Reply(status, {"content-type": "application/xml"}, body)


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


async def _body(request: Request, claimed: str) -> bytes:
    body = b"" if request.body_ended else b"".join([piece async for piece in request.body()])
    assert claimed == hashlib.sha256(body).hexdigest(), "the body is not what was signed"
    return body
