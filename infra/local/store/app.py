"""The store as an ASGI application: verify, route, answer, log."""

import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from infra.local.store import bucket, cors, objects
from infra.local.store.http import (
    Disconnected,
    FilePart,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    send_reply,
)
from infra.local.store.index import ExpectationFailed
from infra.local.store.refusals import Refusal, S3Error
from infra.local.store.shelf import Shelf
from infra.local.store.sigv4 import Credentials, verify
from shared.environment import means_production

_logger = logging.getLogger("infra.local.store")


class RefusedInProduction(RuntimeError):
    """The embedded store keeps one copy on one disk: it does not start in production."""


def create_store(
    root: Path,
    *,
    bucket: str,
    access_key: str,
    secret_key: str,
    environment: str = "development",
    clock: Callable[[], float] = time.time,
) -> "Store":
    """An ASGI application that serves one bucket from `root`, which is made where absent.

    `clock` gives Unix seconds. Raises `RefusedInProduction`, `shelf.AlreadyServed` where another
    process serves the folder, ValueError for an empty credential or an impossible bucket name.
    """
    if means_production(environment):
        raise RefusedInProduction("the embedded object store does not run in production")
    if not access_key or not secret_key:
        raise ValueError("the object store needs an access key and a secret key")
    if not bucket or "/" in bucket:
        raise ValueError("a bucket name is not empty and holds no slash")
    return Store(Shelf(root), bucket, Credentials(access_key, secret_key), clock)


class Store:
    """See `create_store`. The folder is given free at the end of the ASGI lifespan, or `close`."""

    def __init__(
        self, shelf: Shelf, bucket: str, credentials: Credentials, clock: Callable[[], float]
    ) -> None:
        self._shelf = shelf
        self._bucket = bucket
        self._credentials = credentials
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Request(scope, receive), send)
        else:
            raise RuntimeError(f"the store does not speak {scope['type']}")

    def close(self) -> None:
        self._shelf.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _serve(self, request: Request, send: Send) -> None:
        request_id = secrets.token_hex(8)
        started = time.perf_counter()
        try:
            reply = await self._answer(request, request_id)
        except Disconnected:
            _log_access(request, "broken off", 0, started)
            return
        headers = {
            **reply.headers,
            **cors.ON_EVERY_REPLY,
            "x-amz-request-id": request_id,
            "x-content-type-options": "nosniff",
        }
        if not await _is_read_to_the_end(request, reply):
            headers["connection"] = "close"
        await send_reply(send, request.method, Reply(reply.status, headers, reply.body))
        _log_access(request, str(reply.status), reply.length, started)

    async def _answer(self, request: Request, request_id: str) -> Reply:
        """The reply, refusals and faults included; `Disconnected` where nobody waits for it."""
        try:
            return await self._route(request)
        except Refusal as error:
            refusal = error
        except ExpectationFailed as error:
            refusal = objects.refused_write(error)
        except Disconnected:
            raise
        except Exception:
            _logger.exception("%s %s failed", request.method, request.raw_path)
            refusal = Refusal(S3Error.INTERNAL)
        headers = {**refusal.headers, "content-type": "application/xml"}
        return Reply(refusal.status, headers, refusal.document(request.raw_path, request_id))

    async def _route(self, request: Request) -> Reply:
        if request.method == "OPTIONS":
            return cors.preflight(request)
        payload = verify(request, self._credentials, self._clock())
        name, _, key = request.path.removeprefix(b"/").partition(b"/")
        if not name:
            raise Refusal(S3Error.NOT_IMPLEMENTED, "Buckets are not listed here.")
        if name != self._bucket.encode():
            raise Refusal(S3Error.NO_SUCH_BUCKET)
        if not key:
            return await self._on_bucket(request, payload)
        return await self._on_object(request, bucket.checked_key(key), payload)

    async def _on_bucket(self, request: Request, payload: str) -> Reply:
        match request.method:
            case "HEAD":
                return Reply(200, {"x-amz-bucket-region": "auto"})
            case "GET":
                return await bucket.list_objects(request, self._bucket, self._shelf)
            case "POST" if any(name == b"delete" for name, _ in request.query):
                return await bucket.delete_objects(request, payload, self._shelf)
            case _:
                raise Refusal(S3Error.METHOD_NOT_ALLOWED)

    async def _on_object(self, request: Request, key: bytes, payload: str) -> Reply:
        _refuse_subresource(request)
        match request.method:
            case "PUT":
                return await objects.put(request, key, payload, self._shelf)
            case "GET" | "HEAD":
                return await objects.get(request, key, self._shelf)
            case "DELETE":
                return await objects.delete(key, self._shelf)
            case _:
                raise Refusal(S3Error.METHOD_NOT_ALLOWED)


def _refuse_subresource(request: Request) -> None:
    """`?acl`, `?uploads`, `?partNumber=1`…: a plain call in their place would be a wrong answer."""
    for name, _ in request.query:
        if not name.lower().startswith((b"x-", b"response-")):
            raise Refusal(S3Error.NOT_IMPLEMENTED, "Only the object itself is served here.")


async def _is_read_to_the_end(request: Request, reply: Reply) -> bool:
    # A file is open behind a FilePart: it goes out at once.
    return request.body_ended if isinstance(reply.body, FilePart) else await request.discard_body()


def _log_access(request: Request, outcome: str, length: int, started: float) -> None:
    """Never the query: a presigned one is a bearer secret."""
    milliseconds = 1000 * (time.perf_counter() - started)
    _logger.info(
        "%s %s %s %d bytes %.1f ms",
        request.method,
        request.raw_path[:2048],
        outcome,
        length,
        milliseconds,
    )
