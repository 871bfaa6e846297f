"""What `ObjectStore` sends: nothing in it is what R2 refuses.

https://developers.cloudflare.com/r2/examples/aws/boto3/
"""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from infra.local.store import ServedStore
from shared.objects import ObjectStore
from tests.objects.boto import boto_of
from tests.objects.recorder import Asked, Recorder, recording

SIGNING = {"x-amz-content-sha256", "x-amz-date"}
CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "PUT": lambda store: store.put("inputs/u/j/0.jpg", b"x" * 100_000, "image/jpeg"),
    "GET": lambda store: store.get("inputs/u/j/0.jpg", max_bytes=1000),
    "HEAD": lambda store: store.head("inputs/u/j/0.jpg"),
    "GET list": lambda store: store.list("inputs/u/j/"),
    "HEAD bucket": lambda store: store.ready(),
    "POST delete": lambda store: store.delete(["inputs/u/j/0.jpg", "inputs/u/j/1.jpg"]),
}


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Recorder]:
    with recording(tmp_path) as recorder:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(recorder.authority))
        yield recorder


def refused_by_r2(asked: Asked) -> list[str]:
    """A checksum in a trailer, and the chunked body that carries it."""
    sent = asked.headers
    found = [name for name in ("x-amz-trailer", "transfer-encoding") if name in sent]
    if "aws-chunked" in sent.get("content-encoding", ""):
        found.append("aws-chunked")
    if sent["x-amz-content-sha256"].startswith("STREAMING-"):
        found.append(sent["x-amz-content-sha256"])
    return found


@pytest.mark.parametrize("call", CALLS)
def test_no_call_carries_what_r2_refuses(recorder: Recorder, call: str) -> None:
    CALLS[call](ObjectStore(recorder.endpoint, "s3-images", "ak", "sk"))
    (asked,) = recorder.asked
    assert asked.method == call.split()[0]
    assert asked.path.split("?")[0].startswith("/s3-images")
    assert refused_by_r2(asked) == []
    amazons = {name for name in asked.headers if name.startswith("x-amz-")}
    assert amazons == SIGNING
    # S3 wants a checksum with DeleteObjects, and every store takes this one.
    assert ("content-md5" in asked.headers) == (call == "POST delete")
    if asked.method in ("PUT", "POST"):
        assert int(asked.headers["content-length"]) > 0


def test_boto3_by_itself_would(recorder: Recorder) -> None:
    """So the recorder sees it where it is sent."""
    client = boto_of(ServedStore(recorder.endpoint, "s3-images", "ak", "sk"))
    client.put_object(Bucket="s3-images", Key="k", Body=b"x" * 100_000)
    (asked,) = recorder.asked
    assert refused_by_r2(asked) == [
        "x-amz-trailer",
        "transfer-encoding",
        "aws-chunked",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ]
