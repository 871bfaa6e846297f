"""What a call made is what a later call may be about: OpenAPI links, added to the document."""

import copy
from typing import Any

Json = dict[str, Any]

MADE = {
    "/jobs": ("job_id", "$response.body#/data/job_id"),
    "/rules": ("rule_id", "$response.body#/data/rule/id"),
}
"""By the path that makes a thing: the parameter it becomes, and where the answer names it."""


def with_links(document: Json, path: str) -> Json:
    """The calls below `path` alone; its POST leads to every call about what it made."""
    parameter, expression = MADE[path]
    linked = copy.deepcopy(document)
    linked["paths"] = {
        known: operations for known, operations in linked["paths"].items() if known.startswith(path)
    }
    linked["paths"][path]["post"]["responses"]["201"]["links"] = {
        operation["operationId"]: {
            "operationId": operation["operationId"],
            "parameters": {f"path.{parameter}": expression},
        }
        for about, operations in linked["paths"].items()
        if f"{{{parameter}}}" in about
        for operation in operations.values()
    }
    return linked
