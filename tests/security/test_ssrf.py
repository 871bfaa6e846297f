"""Server-side request forgery: no URL of a stranger's makes the worker reach what is not public.

The plain list of hostile URLs is in tests/gpu_handler/test_fetch.py; here is what comes after it:
redirects to each of them, more spellings, names whose answers change, and what a refusal tells.
"""

import asyncio
import json
from collections import deque
from typing import Any

import httpx
import msgspec
import pytest

from edge_api.clients.runpod import RunpodClient, RunpodError
from gpu_handler.answering import make_handler
from gpu_handler.fetch import Fetcher, is_public
from tests.gpu_handler.conftest import Lab
from tests.gpu_handler.test_fetch import HOSTILE, PUBLIC, names, no_network, refusal

SPELLINGS = [
    "http://0177.0.0.01/",  # octal
    "http://0x7f.0x0.0x0.0x1/",
    "http://127.0.0.1.:80/",
    "http://127。0。0。1/",  # ideographic full stops
    "http://①②⑦.⓪.⓪.①/",
    "http://%31%32%37.0.0.1/",
    "http://localhost./",
    "http://127.0.0.1\\@example.com/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1?@example.com/",
    "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
    "http://[0:0:0:0:0:ffff:7f00:1]/",
    "http://[0000::1]/",
    "http://[::1%25lo]/",
    "http://[fe80::1%25eth0]/",
    "http://[::ffff:0:127.0.0.1]/",  # translated, RFC 2765
    "http://2852039166/latest/meta-data/",  # 169.254.169.254 as one number
    "http://0xa9fea9fe/",
    "http://169.254.43518/",
    "http://192.168.1/",
    "http://10.1/",
    "http://127.0.0.1:22/",
    "http://0:6379/",
    "http://[::]:2375/containers/json",
    "http://user@169.254.169.254/",
    "http:127.0.0.1/",
    "http:/127.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "///127.0.0.1/",
    "HTTP://LocalHost/",
    "http://127.0.0.1\t.example.com/",
    "http://127.0.0.1\r\nHost: example.com/",
    "jar:http://127.0.0.1!/",
    "dict://127.0.0.1:11211/stats",
    "ldap://127.0.0.1/",
    "javascript:alert(1)",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
]


@pytest.mark.parametrize("url", SPELLINGS, ids=repr)
def test_other_spellings_of_what_is_inside_are_refused(url: str) -> None:
    """Resolved by the system itself, as in production. What does not resolve is as good."""
    error = refusal(url, Fetcher(transport=httpx.MockTransport(no_network)))
    assert error.code in {"URL_REFUSED", "URL_UNREACHABLE"}


@pytest.mark.parametrize("target", [url for url in (*HOSTILE, *SPELLINGS) if url], ids=repr)
def test_a_redirect_to_any_of_them_is_refused(target: str) -> None:
    connected: list[str] = []

    async def system(host: str, port: int) -> list[str]:
        return [PUBLIC] if host == "photos.test" else await Fetcher().resolver(host, port)

    def reply(request: httpx.Request) -> httpx.Response:
        connected.append(request.url.host)
        if request.headers["host"] != "photos.test" or len(connected) > 4:
            raise AssertionError(f"followed to {request.url}")
        return httpx.Response(302, headers=[(b"location", target.encode())])

    error = refusal(
        "http://photos.test/album/",
        Fetcher(resolver=system, transport=httpx.MockTransport(reply)),
    )
    assert error.code in {"URL_REFUSED", "URL_UNREACHABLE"}
    assert set(connected) == {PUBLIC}


class Rebinding:
    """A name server of the attacker's: each question gets the next answer, then the last one."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = deque(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self._answers.popleft() if len(self._answers) > 1 else self._answers[0]


def test_a_name_that_is_bound_anew_after_the_check_changes_nothing() -> None:
    resolver = Rebinding([PUBLIC], ["127.0.0.1"])
    connected: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        connected.append(request.url.host)
        return httpx.Response(403)

    fetcher = Fetcher(resolver=resolver, transport=httpx.MockTransport(reply))
    assert refusal("http://rebind.test/photo.jpg", fetcher).code == "URL_UNREACHABLE"
    assert connected == [PUBLIC]
    assert resolver.asked == 1


def test_a_redirect_to_the_same_name_is_looked_up_and_checked_again() -> None:
    resolver = Rebinding([PUBLIC], ["169.254.169.254"])
    connected: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        connected.append(request.url.host)
        return httpx.Response(302, headers={"location": "/again"})

    fetcher = Fetcher(resolver=resolver, transport=httpx.MockTransport(reply))
    assert refusal("http://rebind.test/", fetcher).code == "URL_REFUSED"
    assert connected == [PUBLIC]


def test_of_several_addresses_none_but_the_checked_are_tried() -> None:
    """Where the first does not connect, the name is not asked again."""
    resolver = Rebinding(["2606:2800:21f:cb07:6820:80da:af6b:8b2c", PUBLIC], ["10.0.0.1"])
    connected: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        connected.append(request.url.host)
        raise httpx.ConnectError("no route", request=request)

    fetcher = Fetcher(resolver=resolver, transport=httpx.MockTransport(reply))
    assert refusal("http://rebind.test/", fetcher).code == "URL_UNREACHABLE"
    assert connected == ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", PUBLIC]
    assert resolver.asked == 1


@pytest.mark.parametrize("target", ["https://evil.test/", "javascript:alert(1)", "https://xn--/"])
def test_our_key_follows_no_redirect_of_runpod_s(target: str) -> None:
    asked: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"location": target})

    async def call() -> None:
        transport = httpx.MockTransport(reply)
        client = RunpodClient("https://runpod.test/v2", "key", transport=transport)
        try:
            await client.cancel("endpoint1", "job-1")
        finally:
            await client.close()

    with pytest.raises(RunpodError):
        asyncio.run(call())
    assert asked == ["runpod.test"]


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "168.63.129.16"],
    ids=["AWS, Google, Azure", "Alibaba", "Oracle", "AWS by IPv6", "Azure's wire server"],
)
def test_where_clouds_keep_their_credentials(address: str) -> None:
    """Azure's wire server has a public address: it answers only to who sends its own headers."""
    assert is_public(address) is (address == "168.63.129.16")


def test_the_request_carries_nothing_of_ours() -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404)

    fetcher = Fetcher(
        resolver=names({"photos.test": [PUBLIC]}), transport=httpx.MockTransport(reply)
    )
    refusal("http://photos.test/%0d%0aX-Evil:%201?a=%0d%0ab", fetcher)
    (request,) = seen
    assert set(request.headers) <= {"host", "accept", "accept-encoding", "connection", "user-agent"}
    assert b"\r" not in request.url.raw_path + request.headers["host"].encode()
    assert b"\n" not in request.url.raw_path


def call(lab: Lab, input_: object) -> dict[str, Any]:
    async def go() -> dict[str, Any]:
        async with lab.worker() as worker:
            return await make_handler(worker, Fetcher())({"id": "runpod-1", "input": input_})

    return json.loads(json.dumps(asyncio.run(go())))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/canary?canary=1", "http://canary@10.0.0.1/", "file:///canary"]
)
def test_the_worker_s_answer_repeats_no_url(lab: Lab, url: str) -> None:
    concepts = {"Wall": {"action": "recolor", "value": "navy"}}
    told = call(lab, {"image_url": url, "concepts": concepts})
    assert set(told) == {"error"}
    assert told["error"].startswith("URL_REFUSED: ")
    assert "canary" not in told["error"]
    assert "127.0.0.1" not in told["error"]


def test_a_job_message_names_no_url_but_the_callback(lab: Lab) -> None:
    """Photos and results are keys of our own bucket: nothing else can be asked for."""
    message = msgspec.to_builtins(lab.job(1))
    message["image_url"] = "http://127.0.0.1/"
    message["items"][0] |= {"input_url": "http://127.0.0.1/", "url": "file:///etc/passwd"}
    told = call(lab, message)
    assert told["items"][0]["status"] == "done"
    assert all(key.endswith((".jpg", ".png", ".json")) for _, key in lab.store.journal)


@pytest.mark.parametrize(
    "key",
    ["http://127.0.0.1/", "../../etc/passwd", "inputs/user-1/job-1/../../../x", "", "\x00"],
    ids=repr,
)
def test_a_key_of_a_message_that_is_none_is_never_asked_for(lab: Lab, key: str) -> None:
    message = msgspec.to_builtins(lab.job(1))
    message["items"][0]["input_key"] = key
    told = call(lab, message)
    assert told["items"][0]["error"]["code"] == "INVALID_KEY"
    assert lab.store.journal == []
