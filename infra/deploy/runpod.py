"""Runpod's REST v2 over httpx: typed answers, and one clear sentence for every failure."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from infra.deploy.bodies import (
    CreateEndpoint,
    Endpoint,
    EndpointList,
    GpuList,
    GpuType,
    Problem,
    UpdateEndpoint,
    WorkerList,
)
from infra.deploy.errors import RunpodDenied, RunpodDown, RunpodMissing, RunpodRefused
from shared.s3_client import is_loopback

T = TypeVar("T")

READ_TRIES = 3
LONGEST_PAUSE_S = 60.0
# Cloudflare stands in front of Runpod and turns away clients without a name.
_HEADERS = {"User-Agent": "domain-palette-engine-deploy/1", "Accept": "application/json"}


class RunpodRest:
    """`base_url` ends in `/v2`; `secrets` are struck out of whatever Runpod says.

    A read is tried three times, a write once: after a `RunpodDown` it may have happened.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        secrets: Sequence[str] = (),
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url,
            headers=_HEADERS | {"Authorization": f"Bearer {api_key}"},
            timeout=timeout,
            # A line that was idle for longer may be closed under a write, which is not repeated.
            limits=httpx.Limits(keepalive_expiry=2.0),
            trust_env=not is_loopback(base_url),
        )
        self._secrets = (api_key, *secrets)
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def endpoints(self) -> list[Endpoint]:
        return self._read("/serverless", EndpointList).endpoints

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Raises RunpodMissing."""
        return self._read(_path(endpoint_id), Endpoint)

    def create(self, body: CreateEndpoint) -> Endpoint:
        return _decoded(self._send("POST", "/serverless", body), Endpoint)

    def update(self, endpoint_id: str, body: UpdateEndpoint) -> Endpoint:
        """What is UNSET stays as it is. A change of image or env is a new release, which workers
        take up as they are replaced."""
        return _decoded(self._send("PATCH", _path(endpoint_id), body), Endpoint)

    def delete(self, endpoint_id: str) -> None:
        """Ends its workers and jobs. Raises RunpodMissing where it is gone already."""
        self._send("DELETE", _path(endpoint_id))

    def workers(self, endpoint_id: str) -> WorkerList:
        """Those that are there; one that was scaled down is not."""
        return self._read(f"{_path(endpoint_id)}/workers", WorkerList)

    def gpus(self) -> list[GpuType]:
        """Every type with its stock for serverless workers at this moment."""
        query = "?include=AVAILABILITY&product=SERVERLESS"
        return self._read(f"/catalog/gpus{query}", GpuList).gpus

    def log_lines(self, endpoint_id: str, worker_id: str, *, seconds: float = 5.0) -> list[str]:
        """What a worker last said, as far as it comes within `seconds`; none where nothing does.

        The stream of server-sent events, each `{"source", "line", "ts"}`, is documented; whether
        it tells of a worker that has just ended is not, so nothing may depend on this.
        """
        path = f"{_path(endpoint_id)}/workers/{quote(worker_id, safe='')}/logs"
        lines: list[str] = []
        until = time.monotonic() + seconds
        try:
            with self._http.stream(
                "GET", path, params={"source": "container", "tail": "200"}, timeout=seconds
            ) as stream:
                for text in stream.iter_lines() if stream.is_success else ():
                    if text.startswith("data:"):
                        lines.append(_log_line(text.removeprefix("data:").strip()))
                    if time.monotonic() > until:
                        break
        except httpx.HTTPError:
            pass  # a live stream ends by our patience
        return lines

    def _read(self, path: str, answer: type[T]) -> T:
        for left in reversed(range(READ_TRIES)):
            try:
                return _decoded(self._send("GET", path), answer)
            except RunpodDown:
                if not left:
                    raise
                self._sleep(1.0)
        raise AssertionError("unreachable")

    def _send(self, method: str, path: str, body: UpdateEndpoint | None = None) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = self._http.build_request(method, path, content=content, headers=headers)
        response = self._answer(request)
        for _ in range(READ_TRIES):
            if response.status_code != 429:
                break
            # Nothing was done: a write may go again as well.
            self._sleep(_pause(response))
            response = self._answer(request)
        self._check(method, path, response)
        return response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._http.send(request)
        except httpx.HTTPError as error:
            call = f"{request.method} {request.url.path}: {type(error).__name__}"
            raise RunpodDown(f"Runpod does not answer ({call}).") from error

    def _check(self, method: str, path: str, response: httpx.Response) -> None:
        status = response.status_code
        if response.is_success:
            return
        said, call = self._said(response), f"{method} {path.partition('?')[0]}"
        if status == 401:
            raise RunpodDenied("Runpod does not know this RUNPOD_API_KEY: make one in its console.")
        if status == 403:
            raise RunpodDenied(
                f"RUNPOD_API_KEY may not do this ({call}): give the key the right to manage "
                f"serverless endpoints. {said}".strip()
            )
        if status == 404:
            raise RunpodMissing(f"Runpod has nothing at {call}: it was deleted, or never there.")
        if status == 429:
            raise RunpodRefused("Runpod takes no more calls for now: try again in a minute.")
        if 400 <= status < 500:
            raise RunpodRefused(f"Runpod refuses {call} ({status}). {said}".strip())
        raise RunpodDown(f"Runpod is in trouble ({call} answered {status}). {said}".strip())

    def _said(self, response: httpx.Response) -> str:
        """The problem in Runpod's words, in one line, without our secrets."""
        try:
            problem = msgspec.json.decode(response.content, type=Problem)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return ""
        said = "; ".join(filter(None, (problem.detail or problem.title, *problem.errors)))
        for secret in self._secrets:
            said = said.replace(secret, "***") if secret else said
        return " ".join(said.split())[:500]


def _decoded(response: httpx.Response, answer: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # The text of a MsgspecError names a place, never a value.
        raise RunpodDown(f"Runpod answered something else than documented: {error}.") from error


def _log_line(data: str) -> str:
    try:
        event = msgspec.json.decode(data, type=dict[str, object])
    except msgspec.MsgspecError:
        return data
    return str(event.get("line", ""))


def _pause(response: httpx.Response) -> float:
    told = response.headers.get("Retry-After", "")
    return min(float(told), LONGEST_PAUSE_S) if told.isascii() and told.isdigit() else 5.0


def _path(endpoint_id: str) -> str:
    return f"/serverless/{quote(endpoint_id, safe='')}"
