"""Runpod's REST v2 played by a small service, which takes no body that the schema refuses."""

import json
from typing import Any

from litestar import Litestar, Request, Response, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from tests.infra.deploy.recorded import complaints

Json = dict[str, Any]
HttpRequest = Request[object, object, State]

POOLS = {"ADA_24": ("NVIDIA GeForce RTX 4090", 1.10), "AMPERE_24": ("NVIDIA RTX A5000", 0.69)}
_TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
_DEFAULTS: Json = {
    "args": "",
    "disk": 20,
    "env": {},
    "registry": None,
    "dataCenterIds": [],
    "networkVolumes": [],
    "timeout": 300_000,
    "flashboot": "OFF",
    "createdAt": "2026-11-21T12:00:00Z",
}


class RunpodAccount:
    """One account. What a test puts into `failures` is answered instead, oldest first; with
    `lose_answers` a write happens and is answered with 500. `writes` are those that happened."""

    def __init__(self, api_key: str = "rest-api-key") -> None:
        self._first_key = api_key
        self.reset()

    def reset(self) -> None:
        """An account that was just opened."""
        self.api_key = self._first_key
        self.endpoints: dict[str, Json] = {}
        self.workers: dict[str, list[Json]] = {}
        self.logs: dict[str, list[str]] = {}
        self.stock = dict.fromkeys(POOLS, "HIGH")
        self.failures: list[Json] = []
        self.lose_answers = 0
        self.forbidden = False
        self.writes: list[str] = []

    def add_worker(self, endpoint_id: str, status: str, *lines: str) -> None:
        workers = self.workers.setdefault(endpoint_id, [])
        worker_id = f"worker{len(workers)}"
        workers.append({"id": worker_id, "status": status, "isStale": False, "gpuCount": 1})
        self.logs[worker_id] = list(lines)

    def create(self, body: Json) -> Json:
        _check("CreateEndpointRequest", body)
        if not body.get("image") or not body.get("gpu"):
            raise HTTPException(status_code=400, detail="image and gpu are required")
        endpoint = _DEFAULTS | body | {"id": f"ep{len(self.writes)}x"}
        endpoint["workers"] = {"min": 0, "max": 3, "idleTimeout": 10} | body.get("workers", {})
        endpoint["gpu"] = _gpu({"count": 1}, body["gpu"])
        self.endpoints[endpoint["id"]] = endpoint
        return endpoint

    def change(self, endpoint_id: str, body: Json) -> Json:
        _check("UpdateEndpointRequest", body)
        endpoint = self.find(endpoint_id)
        for name, value in body.items():
            match name:
                case "workers":
                    endpoint["workers"] |= value
                case "gpu":
                    endpoint["gpu"] = _gpu(endpoint["gpu"], value)
                case _:
                    endpoint[name] = value
        return endpoint

    def find(self, endpoint_id: str) -> Json:
        if endpoint_id not in self.endpoints:
            raise HTTPException(status_code=404, detail="resource not found")
        return self.endpoints[endpoint_id]

    def wrote(self, call: str) -> None:
        self.writes.append(call)
        if self.lose_answers:
            self.lose_answers -= 1
            raise HTTPException(status_code=500, detail="something went wrong")


Account = NamedDependency[RunpodAccount]


def create_app(account: RunpodAccount) -> Litestar:
    """Everything below `/v2`."""

    def the_account() -> RunpodAccount:
        return account

    return Litestar(
        [listed, created, one, updated, deleted, workers, logs, gpus],
        dependencies={"account": Provide(the_account, sync_to_thread=False)},
        before_request=_refuse_strangers,
        exception_handlers={HTTPException: _told},
        state=State({"account": account}),
        openapi_config=None,
        logging_config=None,
    )


def _refuse_strangers(request: HttpRequest) -> Response[Json] | None:
    account: RunpodAccount = request.app.state.account
    if request.headers.get("authorization") != f"Bearer {account.api_key}":
        return _problem(401, "invalid bearer token")
    if account.forbidden:
        return _problem(403, "access denied")
    if account.failures:
        failure = account.failures.pop(0)
        return _problem(failure["status"], failure["detail"], failure.get("retry_after"))
    return None


@get("/v2/serverless")
async def listed(account: Account) -> Json:
    return _answer("ListEndpointsResponse", {"endpoints": [*account.endpoints.values()]})


@post("/v2/serverless")
async def created(request: HttpRequest, account: Account) -> Json:
    endpoint = account.create(json.loads(await request.body()))
    account.wrote("POST")
    return _answer("Endpoint", endpoint)


@get("/v2/serverless/{endpoint_id:str}")
async def one(endpoint_id: FromPath[str], account: Account) -> Json:
    return _answer("Endpoint", account.find(endpoint_id))


@patch("/v2/serverless/{endpoint_id:str}")
async def updated(request: HttpRequest, endpoint_id: FromPath[str], account: Account) -> Json:
    endpoint = account.change(endpoint_id, json.loads(await request.body()))
    account.wrote("PATCH")
    return _answer("Endpoint", endpoint)


@delete("/v2/serverless/{endpoint_id:str}")
async def deleted(endpoint_id: FromPath[str], account: Account) -> None:
    account.find(endpoint_id)
    del account.endpoints[endpoint_id]
    account.wrote("DELETE")


@get("/v2/serverless/{endpoint_id:str}/workers")
async def workers(endpoint_id: FromPath[str], account: Account) -> Json:
    account.find(endpoint_id)
    found = account.workers.get(endpoint_id, [])
    names = ("running", "idle", "initializing", "throttled", "unhealthy")
    summary = {name: sum(one["status"] == name.upper() for one in found) for name in names}
    summary["total"] = len(found)
    return _answer("ListEndpointWorkersResponse", {"workers": found, "summary": summary})


@get("/v2/serverless/{endpoint_id:str}/workers/{worker_id:str}/logs")
async def logs(
    endpoint_id: FromPath[str], worker_id: FromPath[str], account: Account
) -> Response[str]:
    account.find(endpoint_id)
    events = [
        {"source": "container", "line": line, "ts": "2026-11-21T12:00:00Z"}
        for line in account.logs.get(worker_id, [])
    ]
    text = "".join(f"data: {json.dumps(_answer('WorkerLogEvent', event))}\n\n" for event in events)
    return Response(text, media_type="text/event-stream")


@get("/v2/catalog/gpus")
async def gpus(request: HttpRequest, account: Account) -> Json:
    if request.url.query != "include=AVAILABILITY&product=SERVERLESS":
        raise HTTPException(status_code=400, detail="product is required")
    found = [
        _gpu_type(pool, name, price, account.stock[pool]) for pool, (name, price) in POOLS.items()
    ]
    return _answer("ListGpusResponse", {"gpus": found})


def _gpu(before: Json, change: Json) -> Json:
    """`pools` takes the exclusions with it, and an empty floor is none."""
    after: Json = {"allowedCudaVersions": [], "minCudaVersion": None}
    after |= before | change
    if "pools" in change and "excludedTypes" not in change:
        after.pop("excludedTypes", None)
    return after | {"minCudaVersion": after["minCudaVersion"] or None}


def _gpu_type(pool: str, name: str, price: float, stock: str) -> Json:
    return {
        "id": name,
        "name": name.removeprefix("NVIDIA "),
        "pool": pool,
        "manufacturer": "NVIDIA",
        "memory": 24,
        "secure": True,
        "community": True,
        "price": {"secure": 0.44, "community": 0.31, "serverless": price},
        "maxCount": {"secure": 8, "community": 4},
        "availability": stock,
    }


def _check(name: str, body: Json) -> None:
    if wrong := complaints(name, body):
        raise HTTPException(status_code=422, detail="Request validation failed.", extra=wrong)


def _answer(name: str, body: Json) -> Json:
    """An emulator that answers what the service never would is a fault of the test."""
    wrong = complaints(name, body)
    assert not wrong, wrong
    return body


def _told(_: HttpRequest, error: HTTPException) -> Response[Json]:
    errors = error.extra if isinstance(error.extra, list) else []
    return _problem(error.status_code, error.detail, errors=errors)


def _problem(
    status: int, detail: str, retry_after: int | None = None, errors: list[Any] | None = None
) -> Response[Json]:
    body: Json = {"title": _TITLES.get(status, "Error"), "status": status, "detail": detail}
    if errors:
        body["errors"] = [str(error) for error in errors]
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(
        _answer("ErrorResponse", body),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )
