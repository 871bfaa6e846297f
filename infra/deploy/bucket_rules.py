"""The bucket's CORS and lifecycle rules, and how S3 spells them."""

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:  # the stubs are a tool of `make check`, absent where this runs
    from types_boto3_s3.type_defs import CORSRuleTypeDef, LifecycleRuleUnionTypeDef

OURS = "palette-"
"""What the id of every lifecycle rule of ours begins with. The others are left alone: R2 puts one
into each bucket that ends broken multipart uploads."""


class CorsRule(Struct, frozen=True):
    """What a page from these origins may do. Header names are in lower case."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...] = ()
    max_age: int = 0


def cors_rule(rule: CorsRule) -> "CORSRuleTypeDef":
    return {
        "AllowedOrigins": list(rule.origins),
        "AllowedMethods": list(rule.methods),
        "AllowedHeaders": list(rule.headers),
        "ExposeHeaders": list(rule.exposed),
        "MaxAgeSeconds": rule.max_age,
    }


def lifecycle_rule(prefix: str, days: int) -> "LifecycleRuleUnionTypeDef":
    return {
        "ID": OURS + prefix.rstrip("/"),
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": days},
    }


def is_ours(rule: "LifecycleRuleUnionTypeDef") -> bool:
    return rule.get("ID", "").startswith(OURS)


def prefix_of(rule: "LifecycleRuleUnionTypeDef") -> str:
    return rule.get("Filter", {}).get("Prefix", "") or rule.get("Prefix", "")


def days_of(rule: "LifecycleRuleUnionTypeDef") -> int:
    enabled = rule.get("Status") == "Enabled"
    return rule.get("Expiration", {}).get("Days", 0) if enabled else 0
