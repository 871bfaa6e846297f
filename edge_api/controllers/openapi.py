"""The OpenAPI document: every error of every call, plain names, and a page to try it."""

import html
import importlib.util
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, cast

import msgspec
from litestar import Litestar, MediaType, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Example, SecurityScheme, Tag
from litestar.params import FromPath

from edge_api.controllers.envelope import Envelope, ErrorEnvelope, Meta
from edge_api.controllers.examples import ANSWERS, BODIES, MOMENT, OTHERWISE
from edge_api.domain import errors as catalogue
from shared.messages import ItemResult

Schema = dict[str, Any]

_STATUS = {
    error.code: error.status
    for error in vars(catalogue).values()
    if isinstance(error, type) and issubclass(error, catalogue.DomainError)
} | {"METHOD_NOT_ALLOWED": 405, "PAYLOAD_TOO_LARGE": 413}

_MEANING = {
    "VALIDATION_ERROR": "A field does not fit; `details` lists `{path, message, suggestions?}`.",
    "AUTH_REQUIRED": "No Authorization header.",
    "TOKEN_EXPIRED": "The token is past its `exp`.",
    "TOKEN_INVALID": "Anything else wrong with the token.",
    "CREDITS_EXHAUSTED": "Fewer credits than photos.",
    "RULE_SLOT_FULL": "The plan's rule slots are in use.",
    "ITEM_LIMIT": "More photos than the plan allows in a job.",
    "CALLBACK_UNAUTHORIZED": "The signature or a key does not verify.",
    "NOT_FOUND": "No such thing.",
    "INVALID_PRESET": "No such preset.",
    "JOB_NOT_FOUND": "No such job, or another user's.",
    "RULE_NOT_FOUND": "No such rule, or another user's.",
    "INVALID_TRANSITION": "The job's state does not allow this.",
    "ALREADY_CANCELED": "The job was canceled.",
    "SUPERSEDED": "The attempt was replaced by a later one.",
    "UNSUPPORTED_MEDIA_TYPE": "The body is not application/json.",
    "PAYLOAD_TOO_LARGE": "The body is too large.",
    "CONCURRENCY_LIMIT": "`details.active_jobs` names the open jobs that hold the limit.",
    "RATE_LIMITED": "Too many requests; `Retry-After` says when to try again.",
    "IDEMPOTENCY_KEY_IN_USE": "A request with this Idempotency-Key is under way.",
    "IDEMPOTENCY_KEY_REUSED": "Another request was made with this Idempotency-Key.",
    "INTERNAL_ERROR": "Something went wrong on our side.",
    "UNAVAILABLE": "A part of the service is down; try again.",
}

_TOKEN = ("AUTH_REQUIRED", "TOKEN_EXPIRED", "TOKEN_INVALID")
_KEYED = ("IDEMPOTENCY_KEY_IN_USE", "IDEMPOTENCY_KEY_REUSED")
_GROUPS = {"TOKEN": (*_TOKEN, "RATE_LIMITED"), "KEYED": _KEYED}
_ALWAYS = ("PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "INTERNAL_ERROR", "UNAVAILABLE")


def errors(*codes: str) -> Mapping[int, ResponseSpec]:
    """Response specifications for these error codes.

    `TOKEN` stands for what every call of an account may meet, `KEYED` for what one with an
    Idempotency-Key may.
    """
    named = [code for name in codes for code in _GROUPS.get(name, (name,))]
    by_status = defaultdict[int, list[str]](list)
    for code in (*named, "VALIDATION_ERROR", *_ALWAYS):
        if code not in by_status[_STATUS[code]]:
            by_status[_STATUS[code]].append(code)
    return {status: _specification(group) for status, group in sorted(by_status.items())}


def answers(data: type, description: str) -> ResponseSpec:
    """The specification of a successful answer that holds `data` in its envelope."""
    return ResponseSpec(
        data_container=Envelope[data],  # pyright: ignore[reportInvalidTypeArguments]
        description=description,
        generate_examples=False,
    )


def _specification(codes: list[str]) -> ResponseSpec:
    return ResponseSpec(
        data_container=ErrorEnvelope,
        description=" ".join(f"`{code}`: {_MEANING[code]}" for code in codes),
        generate_examples=False,
        examples=[Example(id=code, summary=_MEANING[code], value=_example(code)) for code in codes],
    )


def _example(code: str) -> Schema:
    error: Schema = {"code": code, "message": _MEANING[code]}
    if code == "VALIDATION_ERROR":
        error["details"] = [
            {
                "path": "concepts.Wall.value",
                "message": "unknown material 'ofwhite_b'",
                "suggestions": ["offwhite_b"],
            }
        ]
    if code == "CONCURRENCY_LIMIT":
        error["details"] = {"limit": 1, "active_jobs": ["job_0193…"]}
    meta = {"request_id": "b0d3c2f7e7f04a6f", "timestamp": "2026-11-20T09:30:00.000Z"}
    return {"success": False, "data": None, "error": error, "meta": meta}


def polish(document: Schema) -> Schema:
    """Give components plain names, write nullable types without `oneOf`, add the callback's body.

    A client generator sees `MeEnvelope` instead of a module path, and no union to discriminate.
    """
    schemas: Schema = document["components"]["schemas"]
    names = {name: _plain_name(name, schema) for name, schema in schemas.items()}
    text = msgspec.json.encode(document).decode()
    for old, new in names.items():
        text = text.replace(f'"#/components/schemas/{old}"', f'"#/components/schemas/{new}"')
    polished = cast("Schema", _without_one_of(msgspec.json.decode(text)))
    components = polished["components"]["schemas"]
    polished["components"]["schemas"] = {
        names[name]: {**schema, "title": names[name]} for name, schema in components.items()
    }
    _describe_callback(polished)
    for path in polished["paths"].values():
        for operation in path.values():
            _exemplify(operation)
    return polished


def _plain_name(name: str, schema: Schema) -> str:
    match = re.fullmatch(r"Envelope\[(list\[)?(\w+)\]?\]", str(schema.get("title", "")))
    if match:
        return f"{match[2]}{'List' if match[1] else ''}Envelope"
    return name.rsplit(".", 1)[-1].rstrip("_")


def _without_one_of(node: object) -> object:
    if isinstance(node, list):
        return [_without_one_of(entry) for entry in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    plain = {key: _without_one_of(value) for key, value in cast("Schema", node).items()}
    choices = plain.pop("oneOf", None)
    if choices is None:
        return plain
    choices = cast("list[Schema]", choices)
    simple = [choice["type"] for choice in choices if set(choice) == {"type"}]
    if len(choices) == 1:
        return {**choices[0], **plain}
    if len(simple) == len(choices):
        return {**plain, "type": simple}
    return {**plain, "anyOf": choices}


def _describe_callback(document: Schema) -> None:
    # Its own names: what the handler reports is not word for word what the API answers.
    (reference,), components = msgspec.json.schema_components(
        [ItemResult], ref_template="#/components/schemas/Callback{name}"
    )
    for name, schema in components.items():
        document["components"]["schemas"][f"Callback{name}"] = schema
    operation = document["paths"]["/jobs/{job_id}/callback"]["post"]
    operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": reference}},
    }


_BODY_OPTIONAL = {"SignUp", "UpdateRule"}
"""The framework calls every body required."""


def _exemplify(operation: Schema) -> None:
    name = operation["operationId"]
    for status in (code for code in operation["responses"] if code.startswith("2")):
        data = OTHERWISE.get((name, int(status)), ANSWERS[name])
        answer = Envelope(data, Meta("b0d3c2f7e7f04a6f9a35d9a8a3f0f2c1", MOMENT))
        media = operation["responses"][status]["content"]["application/json"]
        media["example"] = msgspec.to_builtins(answer)
    if name in _BODY_OPTIONAL:
        operation["requestBody"]["required"] = False
    if name in BODIES:
        media = operation["requestBody"]["content"]["application/json"]
        media["example"] = msgspec.to_builtins(BODIES[name])


class ContractJson(JsonRenderPlugin):
    """The polished document."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: Schema) -> bytes:
        return _rendered(request.app)


@cache
def _rendered(app: Litestar) -> bytes:
    return msgspec.json.encode(polish(app.openapi_schema.to_schema()))


_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_CDN = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.18.2"


def _bundled() -> Traversable | None:
    """Swagger UI's files where a package carries them; found without importing it."""
    found = importlib.util.find_spec("fastapi_swagger")
    if found is None or not found.submodule_search_locations:
        return None
    return files("fastapi_swagger") / "resources"


class TryItPage(OpenAPIRenderPlugin):
    """Swagger UI, from local files where they are installed and from a CDN elsewhere."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: Schema) -> bytes:
        base = "/docs/assets" if _bundled() is not None else _CDN
        title = html.escape(str(openapi_schema["info"]["title"]))
        return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="{base}/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="{base}/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({{
  url: "/docs/openapi.json", dom_id: "#docs", deepLinking: true, persistAuthorization: true,
  tryItOutEnabled: true, presets: [SwaggerUIBundle.presets.apis]
}});
</script>
</body>
</html>
""".encode()


@get("/docs/assets/{name:str}", include_in_schema=False, sync_to_thread=True)
def docs_asset(name: FromPath[str]) -> Response[bytes]:
    """A file of Swagger UI; only the two that the page names."""
    folder = _bundled()
    if folder is None or name not in _ASSETS:
        raise NotFoundException
    return Response(
        (folder / name).read_bytes(),
        media_type=_ASSETS[name],
        headers={"Cache-Control": "public, max-age=86400"},
    )


_QUEUE_TOKEN = SecurityScheme(type="http", scheme="bearer", description="One of QUEUE_TOKEN's.")


def openapi_config(version: str, *, queue: bool = False) -> OpenAPIConfig:
    """`/docs` and `/docs/openapi.json`; with `queue` workers pull from this service."""
    return OpenAPIConfig(
        title="Domain Palette Engine",
        version=version,
        description=(
            "Recolour every wall, floor or product body of an album as one consistent set. "
            "Sign up, create a job, PUT the photos to the presigned URLs, confirm, execute, "
            "poll, download."
        ),
        path="/docs",
        use_handler_docstrings=True,
        render_plugins=[
            ContractJson(path="/openapi.json", media_type=MediaType.JSON),
            TryItPage(path="/"),
        ],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
                "webhookSignature": SecurityScheme(
                    type="apiKey",
                    name="webhook-signature",
                    security_scheme_in="header",
                    description="Standard Webhooks: HMAC-SHA256 over id.timestamp.body.",
                ),
                **({"queueToken": _QUEUE_TOKEN} if queue else {}),
            }
        ),
        security=[{"bearer": []}],
        tags=[
            Tag("Accounts", "Anonymous accounts and limits."),
            Tag("Catalogue", "Presets, concepts and materials."),
            Tag("Rules", "Saved rules."),
            Tag("Jobs", "From upload to download."),
            Tag("Callback", "For the GPU handler alone."),
            *([Tag("Queue", "For GPU handlers that pull their jobs.")] if queue else []),
            Tag("Health", "For load balancers and operators."),
        ],
    )
