"""Object keys are built from ids alone: nothing that anybody writes becomes part of a path."""

import asyncio
import re
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_api.clients.runpod import RunpodClient
from shared.keys import (
    InvalidKey,
    KeyKind,
    input_key,
    input_prefix,
    instances_key,
    mask_key,
    output_key,
    parse_key,
    preview_key,
    result_prefixes,
    user_prefixes,
)
from shared.presign import Presigner
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service

Json = dict[str, Any]

HOSTILE_NAMES = [
    "../../etc/passwd", "..", ".", "a/b", "a\\b", "a\x00b", "a\nb", "a\r\nX-Evil: 1", "%2e%2e%2f",
    "%00", "a?X-Amz-Signature=1", "a#b", "a%b", "a;b", "a&b", "a+b", "a b", "C:\\x", "~", "*",
    "instances", "result", "0_result", "../0_result.png", "\u202e", "．．／", "\ud800", "é",
    "벽/../벽",
    "x" * 64, "-", "--", "_x_", "aux", "nul", ".htaccess", "<script>", "'; DROP TABLE jobs; --",
]  # fmt: skip

SHAPE = re.compile(
    r"(inputs|outputs|previews|masks)/[\w-]{1,64}/[\w-]{1,64}/[\w.-]{1,80}", re.ASCII
)


def paths(url: str) -> str:
    return unquote(urlsplit(url).path).removeprefix("/s3-images/")


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=repr)
def test_a_concept_of_any_name_is_a_mask_of_its_own_job(name: str) -> None:
    try:
        key = mask_key("user_1", "job_1", 0, name)
    except InvalidKey:
        return
    assert SHAPE.fullmatch(key)
    assert key.startswith("masks/user_1/job_1/0_")
    assert parse_key(key).kind is KeyKind.MASK


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, ""], ids=repr)
@pytest.mark.parametrize("build", [input_key, output_key, preview_key, instances_key])
def test_an_id_of_any_name_stays_one_segment(build: Any, name: str) -> None:
    for user, job in ((name, "job_1"), ("user_1", name)):
        try:
            key = build(user, job, 0)
        except InvalidKey:
            continue
        assert SHAPE.fullmatch(key)
        assert (parse_key(key).user, parse_key(key).job) == (user, job)


@given(st.text(max_size=80), st.text(max_size=80), st.integers())
def test_whatever_is_put_together_is_a_key_or_refused(user: str, job: str, idx: int) -> None:
    for build in (input_key, output_key, preview_key, instances_key):
        try:
            key = build(user, job, idx)
        except InvalidKey:
            continue
        assert SHAPE.fullmatch(key)


@given(st.text(min_size=1, max_size=70), st.text(min_size=1, max_size=70))
def test_a_folder_is_deleted_with_nothing_near_it(user: str, job: str) -> None:
    """What erasure and retention delete by: a prefix that ended early would take others along."""
    for build in (
        lambda: [input_prefix(user, job), *result_prefixes(user, job)],
        lambda: user_prefixes(user),
    ):
        try:
            prefixes = build()
        except InvalidKey:
            continue
        for prefix in prefixes:
            assert re.fullmatch(
                r"(inputs|outputs|previews|masks)(/[\w-]{1,64}){1,2}/", prefix, re.ASCII
            )


def test_every_url_that_is_handed_out_is_for_a_key_of_its_owner(service: Service) -> None:
    phone = Phone(service.api).sign_up("../../user_other/device")
    job = phone.create(3)
    own = f"{phone.user_id}/{job['job_id']}"
    assert [paths(target["url"]) for target in job["presigned_urls"]] == [
        f"inputs/{own}/{idx}.jpg" for idx in range(3)
    ]
    assert [target["key"] for target in job["presigned_urls"]] == [
        paths(target["url"]) for target in job["presigned_urls"]
    ]
    phone.upload(job)
    phone.data("POST", f"/jobs/{job['job_id']}/confirm-upload")
    phone.execute(job["job_id"])
    worker = service.worker(job["job_id"])
    assert worker.processed(0)
    urls = phone.job(job["job_id"])["download_urls"]
    assert [paths(urls[0][name]) for name in ("output_url", "preview_url")] == [
        f"outputs/{own}/0_result.png",
        f"previews/{own}/0_thumb.jpg",
    ]


def report(masks: list[str]) -> Json:
    return {"engine": "half", "width": 1, "height": 1, "instances": {}, "masks": masks}


@pytest.mark.parametrize("name", [n for n in HOSTILE_NAMES if n != "\ud800"], ids=repr)
def test_a_mask_that_a_worker_names_leads_nowhere_else(
    service: Service, phone: Phone, name: str
) -> None:
    job_id = phone.queued_job(1)
    worker = service.worker(job_id)
    worker.send(worker.result(0, report=report([name])))
    response = phone.call("GET", f"/jobs/{job_id}/items/0")
    assert response.status_code == 200
    for url in response.json()["data"]["mask_urls"].values():
        assert paths(url).startswith(f"masks/{phone.user_id}/{job_id}/0_")
        assert SHAPE.fullmatch(paths(url))


@pytest.mark.parametrize("name", ["", " ", "_"], ids=repr)
def test_a_mask_without_a_name_breaks_no_page(service: Service, phone: Phone, name: str) -> None:
    job_id = phone.queued_job(1)
    worker = service.worker(job_id)
    worker.send(worker.result(0, report=report([name])))
    assert phone.call("GET", f"/jobs/{job_id}/items/0").status_code == 200


RUNPOD_IDS = [
    "../purge-queue",
    "..%2fpurge-queue",
    "x/../../other/run",
    "..",
    "a?b=c",
    "a#b",
    "a\n",
    "a\x00",
    "",
    "x" * 999,
]


@pytest.mark.parametrize("runpod_id", RUNPOD_IDS, ids=lambda name: repr(name[:20]))
def test_a_worker_s_runpod_id_chooses_no_other_call(
    service: Service, phone: Phone, runpod_id: str
) -> None:
    """It becomes part of a path that is called with our key."""
    job_id = phone.queued_job(2)
    worker = service.worker(job_id)
    service.wait_until(
        "SELECT 1 FROM dispatches WHERE job_id = :j AND state = 'submitted'", j=job_id
    )
    service.change(
        "UPDATE dispatches SET runpod_job_id = NULL, state = 'uncertain' WHERE job_id = :j",
        j=job_id,
    )
    told = worker.send(worker.result(0, runpod_job_id=runpod_id))
    assert (told.status_code, told.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert told.json()["error"]["details"][0]["path"] == "runpod_job_id"
    (row,) = service.rows("SELECT runpod_job_id FROM dispatches WHERE job_id = :j", j=job_id)
    assert row["runpod_job_id"] is None
    assert phone.statuses(job_id) == ["pending", "pending"]
    phone.cancel(job_id)


@pytest.mark.parametrize("runpod_id", [n for n in RUNPOD_IDS if n], ids=lambda n: repr(n[:20]))
def test_whatever_an_id_of_runpod_s_holds_it_is_one_segment_of_a_path(runpod_id: str) -> None:
    """The second wall: what is in the database already, or what Runpod itself answers."""
    called: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        called.append(request.url.raw_path)
        return httpx.Response(200, json={"status": "CANCELLED"})

    async def call() -> None:
        transport = httpx.MockTransport(answer)
        client = RunpodClient("https://runpod.test/v2", "key", transport=transport)
        await client.status("endpoint1", runpod_id)
        await client.cancel("endpoint1", runpod_id)
        await client.close()

    asyncio.run(call())
    for path, name in zip(called, (b"status", b"cancel"), strict=True):
        found = re.fullmatch(rb"/v2/endpoint1/%s/([\w%%-]+)" % name, path)
        assert found is not None, path
        assert unquote(found[1].decode()) == runpod_id


PRESIGNER = Presigner("https://r2.test", "s3-images", "access", "s" * 32)


@pytest.mark.parametrize(
    "key", ["a?b", "a#b", "a%2fb", "a b", "é", "a\r\nX: 1", "a&X-Amz-Expires=9"]
)
def test_a_signed_url_holds_its_key_and_nothing_else_of_it(key: str) -> None:
    url = urlsplit(PRESIGNER.get(key, now=1_800_000_000))
    assert (url.scheme, url.netloc, url.fragment) == ("https", "r2.test", "")
    assert unquote(url.path) == f"/s3-images/{key}"
    assert url.query.count("X-Amz-Expires") == 1
    assert not re.search(r"[\s\r\n]", url.geturl())
