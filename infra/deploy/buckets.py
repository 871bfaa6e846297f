"""The bucket's own settings through boto3: being there, CORS, lifecycle.

Objects are the business of `shared.objects`; what is here needs a key that may change the bucket.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from infra.deploy.bucket_rules import (
    CorsRule,
    cors_rule,
    days_of,
    is_ours,
    lifecycle_rule,
    prefix_of,
)
from infra.deploy.errors import StoreRefused
from shared.s3_client import open_client, sum_with_md5

if TYPE_CHECKING:  # the stubs are a tool of `make check`, absent where this runs
    from types_boto3_s3.type_defs import LifecycleRuleUnionTypeDef

_GONE = frozenset({"404", "NoSuchBucket"})
_UNSET = frozenset({"NoSuchCORSConfiguration", "NoSuchLifecycleConfiguration"})
_FOREIGN = frozenset({"BucketAlreadyExists"})
_KEY = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "Unauthorized"})
_DENIED = frozenset({"AccessDenied", "403"})


class Contents(Struct, frozen=True):
    """How many objects there are, and their bytes."""

    count: int
    size: int


class BucketSettings:
    """One bucket. Every method raises StoreRefused."""

    def __init__(self, endpoint: str, name: str, access_key: str, secret_key: str) -> None:
        self.name = name
        self._client = open_client(endpoint, access_key, secret_key)
        changing = ("PutBucketCors", "PutBucketLifecycleConfiguration", "DeleteObjects")
        sum_with_md5(self._client, *changing)

    def exists(self) -> bool:
        try:
            with self._told("open"):
                # HEAD has no body, and so no reason why.
                self._client.list_objects_v2(Bucket=self.name, MaxKeys=1)
        except StoreRefused as refused:
            if refused.code in _GONE:
                return False
            raise
        return True

    def create(self) -> None:
        """Does nothing where this account has it already."""
        try:
            with self._told("create"):
                self._client.create_bucket(Bucket=self.name)
        except StoreRefused as refused:
            if refused.code != "BucketAlreadyOwnedByYou":
                raise

    def delete(self) -> None:
        """Only where it is empty, as S3 has it; a bucket that is gone is no error."""
        try:
            with self._told("delete"):
                self._client.delete_bucket(Bucket=self.name)
        except StoreRefused as refused:
            if refused.code not in _GONE:
                raise

    def contents(self) -> Contents:
        """By listing it, a thousand objects a call."""
        count = size = 0
        with self._told("list"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name):
                found = page.get("Contents", [])
                count += len(found)
                size += sum(entry.get("Size", 0) for entry in found)
        return Contents(count, size)

    def empty(self) -> int:
        """Delete every object; how many there were."""
        deleted = 0
        with self._told("empty"):
            while found := self._client.list_objects_v2(Bucket=self.name).get("Contents", []):
                keys = [entry.get("Key", "") for entry in found]
                answer = self._client.delete_objects(
                    Bucket=self.name,
                    Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
                )
                if refused := answer.get("Errors", []):
                    code = refused[0].get("Code", "")
                    raise StoreRefused(f"The store does not delete every object ({code}).", code)
                deleted += len(keys)
        return deleted

    def cors(self) -> list[CorsRule]:
        """None where no page may do anything."""
        try:
            with self._told("read the CORS rules of"):
                found = self._client.get_bucket_cors(Bucket=self.name)
        except StoreRefused as refused:
            if refused.code in _UNSET:
                return []
            raise
        return [
            CorsRule(
                tuple(rule["AllowedOrigins"]),
                tuple(rule["AllowedMethods"]),
                tuple(name.lower() for name in rule.get("AllowedHeaders", [])),
                tuple(rule.get("ExposeHeaders", [])),
                rule.get("MaxAgeSeconds", 0),
            )
            for rule in found.get("CORSRules", [])
        ]

    def set_cors(self, rules: list[CorsRule]) -> None:
        """Instead of all that were there."""
        with self._told("set the CORS rules of"):
            if not rules:
                self._client.delete_bucket_cors(Bucket=self.name)
                return
            told = [cors_rule(rule) for rule in rules]
            self._client.put_bucket_cors(Bucket=self.name, CORSConfiguration={"CORSRules": told})

    def lifecycle(self) -> dict[str, int]:
        """Days by prefix, of our rules; a rule of ours that somebody changed is days 0."""
        return {prefix_of(rule): days_of(rule) for rule in self._rules() if is_ours(rule)}

    def set_lifecycle(self, days: dict[str, int]) -> None:
        """Ours anew; the others stay."""
        others = [rule for rule in self._rules() if not is_ours(rule)]
        ours = [lifecycle_rule(prefix, count) for prefix, count in days.items()]
        with self._told("set the lifecycle of"):
            if not (others or ours):
                self._client.delete_bucket_lifecycle(Bucket=self.name)
                return
            self._client.put_bucket_lifecycle_configuration(
                Bucket=self.name, LifecycleConfiguration={"Rules": [*others, *ours]}
            )

    def _rules(self) -> "list[LifecycleRuleUnionTypeDef]":
        try:
            with self._told("read the lifecycle of"):
                found = self._client.get_bucket_lifecycle_configuration(Bucket=self.name)
        except StoreRefused as refused:
            if refused.code in _UNSET:
                return []
            raise
        return [*found.get("Rules", [])]

    @contextmanager
    def _told(self, verb: str) -> Generator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise StoreRefused(_sentence(verb, self.name, code), code) from error
        except BotoCoreError as error:
            # botocore's own texts hold whole URLs.
            reason = type(error).__name__
            raise StoreRefused(
                f"The object store does not answer ({reason}): look at R2_ACCOUNT_ID, or "
                "R2_ENDPOINT_URL.",
                reason,
            ) from error


def _sentence(verb: str, name: str, code: str) -> str:
    if code in _KEY:
        return "The object store does not take this pair of R2 keys: check both of them."
    if code in _DENIED:
        return (
            f"This R2 key may not {verb} the bucket {name}: it takes a token with 'Admin Read & "
            "Write', in R2_ADMIN_ACCESS_KEY_ID and R2_ADMIN_SECRET_ACCESS_KEY."
        )
    if code in _FOREIGN:
        return f"The name {name} is taken by another account: choose another for the bucket."
    if code == "RequestTimeTooSkewed":
        return "This machine's clock is wrong by more than a quarter of an hour: set it."
    if code == "BucketNotEmpty":
        return f"The bucket {name} is not empty: --delete-objects deletes everything in it."
    return f"The store does not {verb} the bucket {name} ({code or 'no code'})."
