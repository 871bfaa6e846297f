"""Signing 200 download URLs: our signer against botocore's, side by side."""

import statistics
import time

import boto3
from botocore.config import Config

from shared.keys import output_key
from shared.presign import Presigner
from tests.benchmarks.table import heading, repeated, row

URLS = 200
ROUNDS = 15


def run() -> None:
    """Print microseconds per URL and the ratio."""
    endpoint, bucket, access, secret = "https://account.example.com", "s3-images", "key", "secret"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name="auto",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    ours = Presigner(endpoint, bucket, access, secret)
    keys = [output_key("user", "job", idx) for idx in range(URLS)]
    moment = int(time.time())

    def sign_by_botocore() -> None:
        for key in keys:
            client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})

    def sign_anew() -> None:
        for key in keys:
            ours.presign("GET", key, signed_at=moment, expires_in=7200)

    def sign_as_polled() -> None:
        for key in keys:
            ours.get(key, now=moment)

    heading(f"Presigning, {URLS} URLs", "µs per URL", "ratio")
    reference = statistics.median(repeated(sign_by_botocore, ROUNDS))
    for name, call in {"ours, new": sign_anew, "ours, polled again": sign_as_polled}.items():
        seconds = statistics.median(repeated(call, ROUNDS))
        row(name, seconds / URLS * 1e6, reference / seconds)
    row("botocore", reference / URLS * 1e6, 1.0)
