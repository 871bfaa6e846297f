"""The operations of the served document, and how to fill each with somebody's ids."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from tests.edge_api.contract.cast import Owner

Json = dict[str, Any]

OWNED = {"job_id": "job_" + "0" * 32, "rule_id": "rule_" + "0" * 32}
"""Names of what belongs to somebody, each with an id that nobody has."""

PUBLIC = {"preset_id": "interior", "idx": 0}
"""Names of what is the same for everyone, or only a place within something owned."""

OPTIONAL = {"limit", "cursor", "Idempotency-Key", "dry_run"}
"""Parameters that a call can do without."""


class Operation(Struct, frozen=True):
    """One method of one path; `schemes` is how callers prove who they are, empty for nobody."""

    method: str
    path: str
    definition: Json
    schemes: set[str]

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def owned(self) -> set[str]:
        """The path parameters that name something of somebody."""
        return {name for name in self._names("path") if name in OWNED}

    def headers(self) -> set[str]:
        return self._names("header")

    def about(self, owner: Owner, idx: int = 0) -> str:
        """The path to that owner's things."""
        return self._fill({"job_id": owner.job_id, "rule_id": owner.rule_ids[0]}, idx)

    def about_nothing(self, idx: int = 0) -> str:
        """The path to things that do not exist."""
        return self._fill(OWNED, idx)

    def body(self) -> Json | None:
        """The documented example, which is valid as it stands; None where there is no body."""
        request = self.definition.get("requestBody")
        return None if request is None else request["content"]["application/json"]["example"]

    def body_fields(self, document: Json) -> set[str]:
        request = self.definition.get("requestBody")
        if request is None:
            return set()
        return set(_properties(request["content"]["application/json"]["schema"], document))

    def _fill(self, ids: Json, idx: int) -> str:
        known = PUBLIC | ids | {"idx": idx}
        return self.path.format(**{name: known[name] for name in self._names("path")})

    def _names(self, place: str) -> set[str]:
        return {p["name"] for p in self.definition.get("parameters", []) if p["in"] == place}

    def check_known(self) -> None:
        """Fail for a parameter that these tests have never heard of."""
        strange = self._names("path") - set(OWNED) - set(PUBLIC)
        strange |= (self._names("query") | self._names("header")) - OPTIONAL
        assert not strange, (
            f"{self.label}: say in {__name__} whether {sorted(strange)} belongs to somebody"
        )


def operations(document: Json) -> list[Operation]:
    return [
        Operation(method.upper(), path, definition, _schemes(definition, document))
        for path, methods in document["paths"].items()
        for method, definition in methods.items()
    ]


def _schemes(definition: Json, document: Json) -> set[str]:
    ways: list[Json] = definition.get("security", document["security"])
    return {name for way in ways for name in way}


def _properties(schema: Json, document: Json) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from _properties(document["components"]["schemas"][name], document)
    for choice in schema.get("anyOf", []):
        yield from _properties(choice, document)
    yield from schema.get("properties", {})
