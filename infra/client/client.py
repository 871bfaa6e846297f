"""PaletteClient: one method for each call of the API, and the presigned transfers beside it."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Literal, Self, overload
from urllib.parse import quote

import httpx
from msgspec import UNSET

from infra.client import answers, bodies
from infra.client.calls import Calls
from infra.client.errors import JobStillOpen
from infra.client.repeat import Sleep
from infra.client.transfers import get_object, put_object

TIMEOUT_S = 10.0
POLL_S = 3.0


class PaletteClient:
    """A synchronous client, safe to use from several threads once it is signed up.

    Every method may raise `ClientError`: `ApiError` for what the API refuses, `Unreachable`,
    `AnswerMalformed`, and `TransferFailed` for uploads and downloads. Calls that may be repeated
    safely are repeated by themselves when the network or the server stumbles.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
        trust_env: bool = True,
        sleep: Sleep = time.sleep,
    ) -> None:
        """`timeout` in seconds, for each of connecting, sending and receiving.

        `trust_env=False` ignores proxies of the environment; `transport` and `sleep` are there
        for tests.
        """
        self._http = httpx.Client(timeout=timeout, transport=transport, trust_env=trust_env)
        self._calls = Calls(self._http, base_url, token, sleep)
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    @property
    def token(self) -> str | None:
        return self._calls.token

    def health(self) -> answers.Health:
        return self._calls.data("GET", "/health", answers.Health, idempotent=False)

    def sign_up(self, device_hash: str | None = None) -> answers.Session:
        """Make an account, or find the one of this device; later calls carry its token."""
        body = None if device_hash is None else bodies.SignUp(device_hash)
        session = self._calls.data(
            "POST", "/auth/anon", answers.Session, body, idempotent=device_hash is not None
        )
        self._calls.token = session.token
        return session

    def me(self) -> answers.Account:
        return self._calls.data("GET", "/me", answers.Account)

    def presets(self) -> list[answers.PresetEntry]:
        return self._calls.data("GET", "/presets", list[answers.PresetEntry])

    def preset(self, preset_id: str) -> answers.Preset:
        return self._calls.data("GET", f"/presets/{_segment(preset_id)}", answers.Preset)

    def rules(self) -> list[answers.Rule]:
        return self._calls.data("GET", "/rules", answers.RulesAnswer).rules

    def rule(self, rule_id: str) -> answers.Rule:
        return self._calls.data("GET", f"/rules/{_segment(rule_id)}", answers.RuleAnswer).rule

    def create_rule(
        self,
        name: str,
        preset_id: str,
        concepts: Mapping[str, answers.RuleAction],
        protect: Sequence[str] | None = None,
    ) -> answers.Rule:
        body = bodies.Rule(name, preset_id, concepts, UNSET if protect is None else protect)
        return self._calls.data("POST", "/rules", answers.RuleAnswer, body, idempotent=False).rule

    def update_rule(
        self,
        rule_id: str,
        *,
        name: str | None = None,
        concepts: Mapping[str, answers.RuleAction] | None = None,
        protect: Sequence[str] | None = None,
    ) -> answers.Rule:
        """Change what is given and leave the rest."""
        body = bodies.Rule(
            name=UNSET if name is None else name,
            concepts=UNSET if concepts is None else concepts,
            protect=UNSET if protect is None else protect,
        )
        return self._calls.data("PUT", f"/rules/{_segment(rule_id)}", answers.RuleAnswer, body).rule

    def delete_rule(self, rule_id: str) -> None:
        self._calls.data("DELETE", f"/rules/{_segment(rule_id)}", answers.Deleted, idempotent=False)

    def create_job(self, preset: str, item_count: int) -> answers.JobCreated:
        """Reserve `item_count` credits and a job slot."""
        body = bodies.CreateJob(preset, item_count)
        return self._calls.data("POST", "/jobs", answers.JobCreated, body, idempotent=False)

    def upload(self, url: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """PUT a photo's bytes, in whatever format, to a presigned URL."""
        put_object(self._http, url, data, content_type, self._sleep)

    def confirm_upload(self, job_id: str) -> answers.Confirmed:
        return self._calls.data("POST", _job(job_id, "/confirm-upload"), answers.Confirmed)

    @overload
    def execute(
        self,
        job_id: str,
        concepts: Mapping[str, answers.RuleAction] | None = None,
        *,
        protect: Sequence[str] | None = None,
        rule_id: str | None = None,
        output_template: str | None = None,
        protect_defaults: bool | None = None,
        dry_run: Literal[False] = False,
    ) -> answers.Executed: ...

    @overload
    def execute(
        self,
        job_id: str,
        concepts: Mapping[str, answers.RuleAction] | None = None,
        *,
        protect: Sequence[str] | None = None,
        rule_id: str | None = None,
        output_template: str | None = None,
        protect_defaults: bool | None = None,
        dry_run: Literal[True],
    ) -> answers.Rehearsed: ...

    def execute(
        self,
        job_id: str,
        concepts: Mapping[str, answers.RuleAction] | None = None,
        *,
        protect: Sequence[str] | None = None,
        rule_id: str | None = None,
        output_template: str | None = None,
        protect_defaults: bool | None = None,
        dry_run: bool = False,
    ) -> answers.Executed | answers.Rehearsed:
        """Queue the job. `rule_id` overrides the inline concepts and protect.

        Without `protect` the preset's defaults are protected, unless `protect_defaults` is False.
        With `dry_run` nothing moves, and the answer is what would run and cost.
        """
        body = bodies.Execute(concepts or {}, protect, rule_id, output_template, protect_defaults)
        path = _job(job_id, "/execute")
        if dry_run:
            params = {"dry_run": "true"}
            return self._calls.data("POST", path, answers.Rehearsed, body, params=params)
        return self._calls.data("POST", path, answers.Executed, body)

    def job(self, job_id: str) -> answers.Job:
        return self._calls.data("GET", _job(job_id), answers.JobAnswer).job

    def item(self, job_id: str, idx: int) -> answers.ItemDetail:
        return self._calls.data("GET", _job(job_id, f"/items/{idx}"), answers.ItemDetail)

    def jobs(self, limit: int | None = None, cursor: str | None = None) -> answers.JobPage:
        """A page of the jobs, newest first; the page's `next_cursor` asks for the one after."""
        params = {"limit": None if limit is None else str(limit), "cursor": cursor}
        entries, envelope = self._calls.answer(
            "GET",
            "/jobs",
            list[answers.JobListEntry],
            params={name: value for name, value in params.items() if value is not None},
        )
        return answers.JobPage(entries, envelope.meta.next_cursor)

    def cancel(self, job_id: str) -> answers.Canceled:
        return self._calls.data("POST", _job(job_id, "/cancel"), answers.Canceled)

    def wait(
        self,
        job_id: str,
        *,
        poll: float = POLL_S,
        timeout: float | None = None,
        on_progress: Callable[[answers.Job], None] | None = None,
    ) -> answers.Job:
        """Ask every `poll` seconds until the job ended; `on_progress` sees every answer.

        Raises JobStillOpen after `timeout` seconds.
        """
        started = time.monotonic()
        while True:
            job = self.job(job_id)
            if on_progress is not None:
                on_progress(job)
            if job.ended:
                return job
            waited = time.monotonic() - started
            if timeout is not None and waited + poll > timeout:
                raise JobStillOpen(job_id, job.status, waited)
            self._sleep(poll)

    def download(self, url: str) -> bytes:
        return get_object(self._http, url, self._sleep)


def _segment(text: str) -> str:
    return quote(text, safe="")


def _job(job_id: str, rest: str = "") -> str:
    return f"/jobs/{_segment(job_id)}{rest}"
