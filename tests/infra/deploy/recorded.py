"""The recorded part of Runpod's schema, and what it says of a body."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

import infra.deploy

SCHEMA = Path(infra.deploy.__file__).parent / "schema" / "runpod-rest-v2.json"
_RECORDED: dict[str, Any] = json.loads(SCHEMA.read_text())


def complaints(name: str, body: object) -> list[str]:
    """What is wrong with `body` as a `name` of the schema; nothing where it fits."""
    schema = {"$ref": f"#/$defs/{name}", "$defs": _RECORDED["$defs"]}
    validator = jsonschema_rs.Draft202012Validator(schema)
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(body)]
