"""Runpod's job API as the service sees it: records what is sent and answers as it is told."""

import json
import threading
from collections import deque
from typing import Any

import httpx

Json = dict[str, Any]

PATIENCE = 10.0
"""Seconds to wait for the service's background loops."""


class RunpodDouble:
    """Takes every job unless `answers` holds what the next `/run` gets instead."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.requests: list[httpx.Request] = []
        self.runs: list[Json] = []
        self.canceled: list[str] = []
        self.workers: dict[str, int] = {}
        self.answers: deque[httpx.Response | httpx.RequestError] = deque()
        self.statuses: dict[str, httpx.Response] = {}
        self.transport = httpx.MockTransport(self._handle)

    def tell(self, runpod_job_id: str, status: str, output: object = None) -> None:
        """What `/status` says of a job from now on; IN_QUEUE before that."""
        body: Json = {"id": runpod_job_id, "status": status, "delayTime": 12}
        if output is not None:
            body["output"] = output
        self.statuses[runpod_job_id] = httpx.Response(200, json=body)

    def forget(self, runpod_job_id: str) -> None:
        self.statuses[runpod_job_id] = httpx.Response(404, json={"error": "job not found"})

    def runs_of(self, job_id: str) -> list[Json]:
        """The messages sent for a job, in the order of their sending."""
        return [run["input"] for run in self.runs if run["input"]["job_id"] == job_id]

    def wait_for_run(self, job_id: str, attempt: int = 1) -> Json:
        """The job message of that attempt, once it was sent."""

        def sent() -> list[Json]:
            return [m for m in self.runs_of(job_id) if m["attempt"] == attempt]

        with self._changed:
            assert self._changed.wait_for(sent, PATIENCE), f"{job_id} was not sent to Runpod"
            return sent()[0]

    def wait_for_requests(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE)

    def wait_for_cancel(self, runpod_job_id: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: runpod_job_id in self.canceled, PATIENCE)

    def runpod_id(self, message: Json) -> str:
        return f"rp-{message['dispatch_id']}"

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        with self._changed:
            self.requests.append(request)
            answer = self._answer(request)
            self._changed.notify_all()
        if isinstance(answer, httpx.RequestError):
            raise answer
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response | httpx.RequestError:
        _, _, _endpoint, verb, *rest = request.url.path.split("/")
        match verb:
            case "run":
                return self._run(json.loads(request.content))
            case "status":
                known = self.statuses.get(rest[0])
                return known or httpx.Response(200, json={"id": rest[0], "status": "IN_QUEUE"})
            case "cancel":
                self.canceled.append(rest[0])
                return httpx.Response(200, json={"id": rest[0], "status": "CANCELLED"})
            case "health":
                return httpx.Response(200, json={"jobs": {}, "workers": self.workers})
            case _:
                return httpx.Response(404)

    def _run(self, body: Json) -> httpx.Response | httpx.RequestError:
        if self.answers:
            return self.answers.popleft()
        self.runs.append(body)
        return httpx.Response(200, json={"id": self.runpod_id(body["input"]), "status": "IN_QUEUE"})
