"""Sends the calls of a page to a running service, and plays the worker where the page says so."""

import json
import re

import httpx
from msgspec import to_builtins

from edge_api.controllers.examples import ANSWERS
from edge_api.controllers.schemas import ItemData
from shared.objects import ObjectStore
from tests.docs.examples import Answer, Call, Part, Stage
from tests.docs.likeness import Likeness
from tests.edge_api.phone import PHOTO
from tests.edge_api.service import Service

PNG = b"\x89PNG the bytes of a result"


class Replay:
    """`outside` speaks to the object store, as the phone does."""

    def __init__(self, service: Service, objects: ObjectStore, outside: httpx.Client) -> None:
        self._service = service
        self._objects = objects
        self._outside = outside
        self._likeness = Likeness()
        self._repeats = 0
        self._token = ""
        self._last: httpx.Response | None = None
        self.calls: list[tuple[str, str]] = []

    def play(self, part: Part) -> None:
        """Raises AssertionError where what happens is not what the page says."""
        match part:
            case Call():
                self._answered()
                for _ in range(self._repeats + 1):
                    self._last = self._send(part)
                self._repeats = 0
            case Answer():
                self._compare(part)
            case Stage(name="worker"):
                self._work(part.words)
            case Stage(name="repeat"):
                self._repeats = int(part.words)
            case Stage():
                raise AssertionError(f"no such stage: {part.name}")

    def end(self) -> None:
        self._answered()

    def _answered(self) -> None:
        """A call without an answer on the page is one that succeeds."""
        if self._last is not None:
            assert self._last.is_success, self._last.text
        self._last = None

    def _send(self, call: Call) -> httpx.Response:
        target = self._likeness.real(call.target)
        headers = {name: self._likeness.real(text) for name, text in call.headers.items()}
        token = headers.get("Authorization", self._token)
        body = PHOTO if call.body.startswith("< ") else self._likeness.real(call.body).encode()
        if "://" in target:
            return self._outside.request(call.method, target, headers=headers, content=body)
        self.calls.append((call.method, target.partition("?")[0]))
        self._token = token
        if token and target != "/auth/anon":
            headers["Authorization"] = token
        return self._service.api.request(call.method, target, headers=headers, content=body)

    def _compare(self, shown: Answer) -> None:
        given, self._last = self._last, None
        assert given is not None, "an answer without a call"
        assert given.status_code == shown.status, given.text
        for name, text in shown.headers.items():
            assert _digitless(given.headers.get(name, "")) == _digitless(text), name
        whole = given.json()
        told = json.dumps(whole, indent=2, ensure_ascii=False)
        try:
            self._likeness.check(shown.body, {name: whole[name] for name in shown.body})
        except AssertionError as error:
            raise AssertionError(f"{error}\nThe answer:\n{told}") from None

    def _work(self, words: str) -> None:
        """`job_… 0 done, 1 failed`: the worker ends these photos of that job."""
        job, *outcomes = re.split(r",? (?=\d)|, ", self._likeness.real(words))
        worker = self._service.worker(job)
        for outcome in outcomes:
            index, _, status = outcome.partition(" ")
            if status == "done":
                self._store(worker.message["items"][int(index)])
            body = worker.result(int(index), status, **(_findings() if status == "done" else {}))
            assert worker.send(body).json()["data"] == {"processed": True}

    def _store(self, item: dict[str, str]) -> None:
        for key in (item["output_key"], item["preview_key"]):
            self._objects.put(key, PNG, "image/png")


def _findings() -> dict[str, object]:
    """What a worker tells of a photo beside its keys: as in the example of the document."""
    example = ANSWERS["GetItem"]
    assert isinstance(example, ItemData)
    item = example.item
    told = {"timings": item.timings, "report": item.report, "warnings": item.warnings}
    return to_builtins(told)


def _digitless(text: str) -> str:
    return re.sub(r"\d+", "0", text)
