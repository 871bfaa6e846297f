"""boto3's S3 client, told what R2 and S3 servers of one's own need."""

import base64
import hashlib
import ipaddress
import threading
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from boto3.session import Session
from botocore.config import Config

if TYPE_CHECKING:  # the stubs are a tool of `make check`, absent where this runs
    from types_boto3_s3.client import S3Client

_POOL = 32

_opening = threading.Lock()


@cache
def _session() -> Session:
    """One for all: each would read boto3's description of S3 again, for 50 ms."""
    return Session()


def open_client(
    endpoint: str, access_key: str, secret_key: str, region: str = "auto"
) -> "S3Client":
    """A client of one server, which may be used by several threads."""
    with _opening:  # a session may not
        return _session().client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=_config(endpoint),
        )


def _config(endpoint: str) -> Config:
    """What boto3 needs to be told for R2 and for S3 servers of one's own."""
    return Config(
        # R2 refuses the checksum trailers that boto3 sends by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": 3},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=_POOL,
        tcp_keepalive=True,
        # An HTTP proxy of the environment could not reach this machine's own loopback.
        proxies={} if is_loopback(endpoint) else None,
    )


def sum_with_md5(client: "S3Client", *operations: str) -> None:
    """Have these calls carry Content-MD5 in place of boto3's own checksum.

    S3 wants one of the two for each of them, and every store takes this one; boto3's CRC32 headers
    R2 has refused with 501: https://github.com/cloudflare/cloudflare-docs/pull/19236.
    """
    for operation in operations:
        client.meta.events.register(f"before-call.s3.{operation}", _sum)


def is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sum(params: dict[str, Any], **_event: object) -> None:
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
    # Where this is gone, boto3 adds no header of its own to what is sent.
    params.get("context", {}).get("checksum", {}).pop("request_algorithm", None)
    params["headers"].pop("x-amz-sdk-checksum-algorithm", None)
