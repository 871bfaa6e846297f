"""The client against a small API in the same process: forms, errors, repeats."""

import json
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.client import (
    AnswerMalformed,
    ApiError,
    ClientError,
    Job,
    JobStillOpen,
    PaletteClient,
    RuleAction,
    TransferFailed,
    Unreachable,
)

META = {"request_id": "req-1", "timestamp": "2026-01-02T03:04:05Z"}
RULE = {
    "id": "r1",
    "name": "Sage",
    "preset_id": "interior",
    "created_at": "2026-01-02T03:04:05Z",
    "concepts": {"Wall": {"action": "recolor", "value": "sage"}},
    "protect": ["Grout"],
}
JOB = {
    "job_id": "j1",
    "status": "running",
    "preset": "interior",
    "total_items": 2,
    "done_items": 1,
    "failed_items": 1,
    "items": [{"idx": 0, "status": "done"}, {"idx": 1, "status": "failed", "error": "no photo"}],
    "download_urls": [{"idx": 0, "output_url": "http://s3/o?sig=1", "preview_url": "http://s3/p"}],
}


def success(data: object, status: int = 200, **meta: object) -> httpx.Response:
    body = {"success": True, "data": data, "error": None, "meta": META | meta, "more": 1}
    return httpx.Response(status, json=body)


def refusal(status: int, code: str, details: object = None, **headers: str) -> httpx.Response:
    error = {"code": code, "message": "No.", "details": details}
    body = {"success": False, "data": None, "error": error, "meta": META}
    return httpx.Response(status, json=body, headers=headers)


class FakeApi:
    """Answers in turn with what it was given, and keeps the requests and the pauses."""

    def __init__(self, *replies: httpx.Response | httpx.RequestError) -> None:
        self._replies: Iterator[httpx.Response | httpx.RequestError] = iter(replies)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.client = PaletteClient(
            "http://api.test/", transport=httpx.MockTransport(self._reply), sleep=self.pauses.append
        )

    def _reply(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = next(self._replies)
        if isinstance(reply, httpx.RequestError):
            raise reply
        return reply

    def body(self, number: int = -1) -> object:
        return json.loads(self.requests[number].content)


def test_every_call_has_a_json_content_type_and_the_token_follows_sign_up() -> None:
    account = {
        "user_id": "u",
        "plan": "free",
        "credits": 10,
        "rule_slots": 2,
        "concurrent_jobs": 1,
        "limits": {"items": 10},
    }
    api = FakeApi(success({"user_id": "u", "token": "t0k", "new_field": 1}), success(account))
    session = api.client.sign_up()
    assert api.client.me().credits == 10
    first, second = api.requests
    assert (first.method, first.url.path, first.content) == ("POST", "/auth/anon", b"")
    assert first.headers["Content-Type"] == second.headers["Content-Type"] == "application/json"
    assert "Authorization" not in first.headers
    assert second.headers["Authorization"] == "Bearer t0k"
    assert "t0k" not in repr(session)


def test_presets() -> None:
    entry = {"id": "interior", "name": "건축/인테리어", "concept_count": 12}
    full = entry | {
        "concepts": ["Wall"],
        "protect_defaults": ["Grout"],
        "output_templates": [{"id": "시안3안팩", "name": "시안", "description": "three"}],
    }
    api = FakeApi(success([entry]), success(full))
    assert [preset.id for preset in api.client.presets()] == ["interior"]
    assert api.client.preset("interior").output_templates[0].id == "시안3안팩"


def test_rules_from_creation_to_deletion() -> None:
    renamed = RULE | {"name": "Mint"}
    api = FakeApi(
        success({"rule": RULE}, 201),
        success({"rules": [RULE]}),
        success({"rule": renamed}),
        success({"rule": renamed}),
        success({"id": "r1", "deleted": True}),
    )
    wall = {"Wall": RuleAction("recolor", "sage")}
    rule = api.client.create_rule("Sage", "interior", wall)
    assert rule.concepts == wall
    assert api.body() == {
        "name": "Sage",
        "preset_id": "interior",
        "concepts": {"Wall": {"action": "recolor", "value": "sage"}},
    }
    assert api.client.rules() == [rule]
    assert api.client.update_rule("r1", name="Mint", protect=[]).name == "Mint"
    assert api.body() == {"name": "Mint", "protect": []}
    assert api.client.rule("r1").name == "Mint"
    api.client.delete_rule("r1")
    assert (api.requests[-1].method, api.requests[-1].url.path) == ("DELETE", "/rules/r1")


def test_a_job_from_creation_to_the_details_of_an_item() -> None:
    target = {"idx": 0, "url": "http://s3/in?sig=secret", "key": "inputs/u/j1/0.jpg"}
    notice = {"code": "PROTECT_DEFAULTS", "message": "Defaults hold.", "concept": None}
    item = {
        "item": {
            "idx": 0,
            "status": "done",
            "warnings": [{"code": "NOT_FOUND", "message": "No grout.", "concept": "Grout"}],
            "timings": {"segment": 0.5, "total": 1},
            "report": {"engine": "classical", "width": 4, "height": 3, "instances": {"Wall": 1}},
        },
        "output_url": "http://s3/o",
        "mask_urls": {"Wall": "http://s3/m"},
    }
    api = FakeApi(
        success({"job_id": "j1", "presigned_urls": [target], "expires_at": "2026"}, 201),
        success({"confirmed": True, "items": 1}),
        success({"queued": True, "warnings": [notice]}, 202),
        success({"job": JOB}),
        success(item),
        success({"canceled": True, "refunded": 1}),
    )
    client = api.client
    created = client.create_job("interior", 1)
    assert created.presigned_urls[0].key == "inputs/u/j1/0.jpg"
    assert "secret" not in repr(created)
    assert client.confirm_upload("j1").confirmed
    wall = {"Wall": RuleAction("recolor", "")}
    executed = client.execute("j1", wall, protect=["Grout"], protect_defaults=False)
    assert executed.warnings[0].code == "PROTECT_DEFAULTS"
    assert api.body() == {
        "concepts": {"Wall": {"action": "recolor", "value": ""}},
        "protect": ["Grout"],
        "protect_defaults": False,
    }
    assert client.job("j1").items[1].error == "no photo"
    detail = client.item("j1", 0)
    assert detail.item.report is not None
    assert detail.item.report.instances == {"Wall": 1}
    assert detail.item.warnings[0].concept == "Grout"
    assert detail.mask_urls == {"Wall": "http://s3/m"}
    assert client.cancel("j1").refunded == 1


def test_a_dry_run_says_what_would_run_and_cost() -> None:
    would = {
        "job_id": "j1",
        "status": "uploaded",
        "queued": False,
        "items": 3,
        "credits": 3,
        "concepts": {"Wall": {"action": "recolor", "value": "sage"}},
        "estimate": {"gpu_seconds": 6.0, "usd": 0.002, "basis": "assumed", "items_measured": 0},
    }
    api = FakeApi(success(would))
    rehearsed = api.client.execute("j1", {"Wall": RuleAction("recolor", "sage")}, dry_run=True)
    assert (rehearsed.items, rehearsed.credits) == (3, 3)
    assert rehearsed.estimate.usd == 0.002
    assert dict(api.requests[0].url.params) == {"dry_run": "true"}
    assert api.body() == {"concepts": {"Wall": {"action": "recolor", "value": "sage"}}}


def test_jobs_pages_with_the_cursor_of_meta() -> None:
    entry = {
        "job_id": "j1",
        "status": "done",
        "preset": "interior",
        "progress": {"done": 1, "failed": 0, "total": 1},
    }
    api = FakeApi(success([entry], next_cursor="a b&c"), success([]))
    page = api.client.jobs(limit=1)
    assert page.jobs[0].progress.done == 1
    assert page.next_cursor == "a b&c"
    assert api.client.jobs(cursor=page.next_cursor).next_cursor is None
    assert dict(api.requests[0].url.params) == {"limit": "1"}
    assert dict(api.requests[1].url.params) == {"cursor": "a b&c"}


def test_ids_cannot_leave_their_path_segment() -> None:
    api = FakeApi(success({"job": JOB}))
    api.client.job("../me?x=1")
    assert api.requests[0].url.raw_path == b"/jobs/..%2Fme%3Fx%3D1"


def test_an_error_envelope_becomes_an_api_error_with_all_its_parts() -> None:
    details = [{"path": "concepts.Wall.value", "message": "nearest: sage"}]
    api = FakeApi(refusal(400, "VALIDATION_ERROR", details))
    with pytest.raises(ApiError, match=r"VALIDATION_ERROR \(400\): No\.") as caught:
        api.client.execute("j1", {"Wall": RuleAction("recolor", "sgae")})
    assert caught.value.status == 400
    assert caught.value.details == details
    assert caught.value.request_id == "req-1"
    assert api.pauses == []


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(502, text="<html>Bad gateway</html>"),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"detail": "another API"}),
        httpx.Response(200, json={"success": False, "data": None, "error": None, "meta": {}}),
    ],
)
def test_what_is_no_envelope_is_said_to_be_none(response: httpx.Response) -> None:
    api = FakeApi(*[response] * 4)
    with pytest.raises(AnswerMalformed, match=r"GET /me answered .* not as this API does"):
        api.client.me()


def test_data_of_another_form_names_the_field_and_shows_no_secret() -> None:
    api = FakeApi(success({"user_id": None, "token": "s3cret"}))
    with pytest.raises(AnswerMalformed, match="user_id") as caught:
        api.client.sign_up()
    assert "s3cret" not in str(caught.value)


@given(st.binary(max_size=200), st.sampled_from([200, 201, 400, 404]))
def test_any_bytes_give_a_client_error(body: bytes, status: int) -> None:
    api = FakeApi(httpx.Response(status, content=body))
    with pytest.raises(ClientError):
        api.client.me()


def test_a_stumbling_server_is_asked_again_with_longer_pauses() -> None:
    api = FakeApi(
        refusal(503, "UNAVAILABLE"),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        success({"job": JOB}),
    )
    assert api.client.job("j1").job_id == "j1"
    assert api.pauses == [0.25, 0.5, 1.0]


def test_the_last_refusal_is_told_after_four_attempts() -> None:
    api = FakeApi(*[refusal(503, "UNAVAILABLE")] * 4)
    with pytest.raises(ApiError, match="UNAVAILABLE"):
        api.client.me()
    assert len(api.requests) == 4


def test_no_answer_at_all_is_unreachable() -> None:
    api = FakeApi(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(Unreachable, match=r"GET /me: no answer \(ConnectError\)"):
        api.client.me()


@pytest.mark.parametrize(
    "reply", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("broken off")]
)
def test_a_job_is_not_created_twice_when_the_answer_is_lost(reply: httpx.RequestError) -> None:
    api = FakeApi(reply)
    with pytest.raises(Unreachable):
        api.client.create_job("interior", 1)
    assert len(api.requests) == 1


def test_a_job_is_created_on_the_second_try_where_the_first_never_left() -> None:
    created: dict[str, object] = {"job_id": "j1", "presigned_urls": []}
    api = FakeApi(httpx.ConnectError("refused"), success(created, 201))
    assert api.client.create_job("interior", 1).job_id == "j1"


def test_too_many_requests_waits_as_long_as_asked() -> None:
    created: dict[str, object] = {"job_id": "j1", "presigned_urls": []}
    busy = refusal(429, "RATE_LIMITED", **{"Retry-After": "3"})
    api = FakeApi(busy, success(created, 201))
    api.client.create_job("interior", 1)
    assert api.pauses == [3.0]


def test_a_plan_limit_is_not_waited_for() -> None:
    api = FakeApi(
        refusal(429, "CONCURRENCY_LIMIT", {"active_jobs": ["j0"]}, **{"Retry-After": "5"})
    )
    with pytest.raises(ApiError) as caught:
        api.client.create_job("interior", 1)
    assert caught.value.details == {"active_jobs": ["j0"]}


def test_upload_sends_bytes_and_content_type_without_the_token() -> None:
    api = FakeApi(
        success({"user_id": "u", "token": "t"}),
        httpx.Response(503),
        httpx.WriteError("reset"),
        httpx.Response(200),
    )
    api.client.sign_up()
    api.client.upload(
        "http://s3/inputs/a%2Fb/0.jpg?X-Amz-Credential=a%2Fb", b"\xff\xd8", "image/jpeg"
    )
    last = api.requests[-1]
    assert (last.method, last.content) == ("PUT", b"\xff\xd8")
    assert last.url.raw_path == b"/inputs/a%2Fb/0.jpg?X-Amz-Credential=a%2Fb"
    assert last.headers["Content-Type"] == "image/jpeg"
    assert "Authorization" not in last.headers
    assert len(api.requests) == 4


def test_a_refused_transfer_is_told_without_the_presigned_query() -> None:
    api = FakeApi(httpx.Response(403, text="<Code>SignatureDoesNotMatch</Code>"))
    with pytest.raises(TransferFailed, match="SignatureDoesNotMatch") as caught:
        api.client.upload("http://s3/key?X-Amz-Signature=abc", b"")
    assert caught.value.status == 403
    assert "abc" not in str(caught.value)


def test_download_gives_the_bytes() -> None:
    api = FakeApi(httpx.Response(500), httpx.Response(200, content=b"\x89PNG"))
    assert api.client.download("http://s3/o?sig=1") == b"\x89PNG"


def test_wait_polls_until_the_job_ended_and_reports_each_answer() -> None:
    answers = [
        success({"job": JOB | {"status": status}}) for status in ("queued", "running", "done")
    ]
    api = FakeApi(*answers)
    seen: list[Job] = []
    job = api.client.wait("j1", poll=3.0, on_progress=seen.append)
    assert job.ended
    assert [job.status for job in seen] == ["queued", "running", "done"]
    assert api.pauses == [3.0, 3.0]


def test_wait_outlives_a_status_it_does_not_know() -> None:
    answers = [success({"job": JOB | {"status": status}}) for status in ("polishing", "canceled")]
    assert FakeApi(*answers).client.wait("j1", poll=0).status == "canceled"


def test_wait_gives_up_when_asked_to() -> None:
    api = FakeApi(success({"job": JOB}))
    with pytest.raises(JobStillOpen, match="still running"):
        api.client.wait("j1", poll=1.0, timeout=0.5)
