"""Uploads to and downloads from presigned URLs: no token, no header of our own."""

from urllib.parse import urlsplit

import httpx

from infra.client.envelope import excerpt
from infra.client.errors import TransferFailed
from infra.client.repeat import Sleep, send_repeated


def put_object(http: httpx.Client, url: str, data: bytes, content_type: str, sleep: Sleep) -> None:
    """PUT the bytes as they are. Raises TransferFailed and Unreachable."""
    call = f"PUT {_without_query(url)}"
    request = http.build_request("PUT", url, content=data, headers={"Content-Type": content_type})
    _succeeded(call, send_repeated(call, lambda: http.send(request), sleep, idempotent=True))


def get_object(http: httpx.Client, url: str, sleep: Sleep) -> bytes:
    """The object's bytes. Raises TransferFailed and Unreachable."""
    call = f"GET {_without_query(url)}"
    request = http.build_request("GET", url)
    response = send_repeated(call, lambda: http.send(request), sleep, idempotent=True)
    _succeeded(call, response)
    return response.content


def _succeeded(call: str, response: httpx.Response) -> None:
    if not response.is_success:
        raise TransferFailed(call, response.status_code, excerpt(response))


def _without_query(url: str) -> str:
    """The query of a presigned URL is a secret and stays out of messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
