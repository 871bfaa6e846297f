"""Callbacks that must not be believed, made out of a true one."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from shared.signing import sign_headers

Json = dict[str, Any]


class Forgery(Struct, frozen=True):
    """One request to make: POST `body` with `headers` to `/jobs/{job_id}/callback`."""

    kind: str
    job_id: str
    headers: dict[str, str]
    body: bytes


class Forger:
    """Some forgeries need no secret; the others are an insider's, who has it."""

    def __init__(self, secret: str, luck: random.Random) -> None:
        self._secret = secret
        self._luck = luck
        self._kinds: Sequence[Callable[[str, Json], Forgery]] = (
            self._wrong_secret,
            self._changed_body,
            self._unsigned,
            self._old,
            self._early,
            self._other_jobs_keys,
            self._other_jobs_id,
            self._no_such_item,
            self._no_such_attempt,
        )
        self._other_job = self._last_job = "job_" + 32 * "0"

    def forge(self, job_id: str, body: bytes) -> Forgery:
        if job_id != self._last_job:
            self._other_job, self._last_job = self._last_job, job_id
        return self._luck.choice(self._kinds)(job_id, msgspec.json.decode(body))

    def resign(self, body: bytes, age: float) -> dict[str, str]:
        """Headers as a genuine worker whose clock is `age` seconds behind makes them."""
        return self._sign(body, age)

    def _sign(self, body: bytes, age: float = 0.0, secret: str | None = None) -> dict[str, str]:
        name = f"msg_{self._luck.getrandbits(64):x}"
        signed = sign_headers(secret or self._secret, name, body, now=time.time() - age)
        return signed | {"content-type": "application/json"}

    def _make(self, kind: str, job_id: str, told: Json, age: float = 0.0) -> Forgery:
        body = msgspec.json.encode(told)
        return Forgery(kind, job_id, self._sign(body, age), body)

    def _wrong_secret(self, job_id: str, told: Json) -> Forgery:
        body = msgspec.json.encode(told)
        return Forgery("wrong secret", job_id, self._sign(body, secret="x" * 43), body)

    def _changed_body(self, job_id: str, told: Json) -> Forgery:
        headers = self._sign(msgspec.json.encode(told))
        changed = told | {"status": "failed" if told["status"] == "done" else "done"}
        return Forgery("changed body", job_id, headers, msgspec.json.encode(changed))

    def _unsigned(self, job_id: str, told: Json) -> Forgery:
        headers = {"content-type": "application/json"}
        return Forgery("unsigned", job_id, headers, msgspec.json.encode(told))

    def _old(self, job_id: str, told: Json) -> Forgery:
        return self._make("old timestamp", job_id, told, self._luck.uniform(400, 4000))

    def _early(self, job_id: str, told: Json) -> Forgery:
        return self._make("future timestamp", job_id, told, -self._luck.uniform(400, 4000))

    def _other_jobs_keys(self, job_id: str, told: Json) -> Forgery:
        stranger = f"outputs/usr_0/{self._other_job}/0_result.png"
        return self._make("other job's keys", job_id, told | {"output_key": stranger})

    def _other_jobs_id(self, job_id: str, told: Json) -> Forgery:
        return self._make("other job's id", self._other_job, told)

    def _no_such_item(self, job_id: str, told: Json) -> Forgery:
        return self._make("no such item", job_id, told | {"idx": 999})

    def _no_such_attempt(self, job_id: str, told: Json) -> Forgery:
        return self._make("no such attempt", job_id, told | {"attempt": told["attempt"] + 1})
