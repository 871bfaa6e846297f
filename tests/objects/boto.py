"""Plain boto3: for what our own clients do not do, or refuse to do."""

from typing import TYPE_CHECKING

from boto3.session import Session
from botocore.config import Config

from infra.local.store import ServedStore

if TYPE_CHECKING:  # the stubs are a tool of `make check`
    from types_boto3_s3.client import S3Client


def boto_of(served: ServedStore) -> "S3Client":
    return Session().client(
        "s3",
        endpoint_url=served.endpoint,
        region_name="auto",
        aws_access_key_id=served.access_key,
        aws_secret_access_key=served.secret_key,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            proxies={} if "://127." in served.endpoint else None,
        ),
    )
