"""A run of schemathesis over the served document, and what it saw."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import schemathesis
from msgspec import Struct, field
from schemathesis import AuthContext, Config, HookContext, hooks
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from tests.edge_api.contract.stage import AnyCase, Stage

Json = dict[str, Any]

SEED = 20261120

ALONE = ("examples", "coverage", "fuzzing")
FUZZING = ("fuzzing",)
LINKED = ("stateful",)

# Guessed links crowd out those of the document.
STEPS: dict[str, Json] = {"stateful": {"inference": {"algorithms": []}, "max-steps": 8}}

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
)
"""Not `positive_data_acceptance`: the schema cannot tell which action or material exists."""


class Report(Struct):
    """`answers` counts (operation, status); `failures` are whole stories, each told once."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    failures: dict[str, str] = field(default_factory=dict[str, str])

    def statuses(self, label: str) -> set[int]:
        return {status for known, status in self.answers if known == label}

    def take(self, recorder: ScenarioRecorder) -> None:
        """Add what was sent and found; calls of undocumented methods are checked, not counted."""
        for case_id, interaction in recorder.interactions.items():
            case = cast("AnyCase", recorder.cases[case_id].value)
            documented = case.method.upper() == case.operation.method.upper()
            if documented and interaction.response is not None:
                self.answers[case.operation.label, interaction.response.status_code] += 1
            for check in recorder.checks.get(case_id, []):
                if check.failure_info is not None:
                    self._fail(case, check.name, interaction, check.failure_info.failure)

    def _fail(self, case: AnyCase, check: str, interaction: Any, failure: Exception) -> None:
        response = interaction.response
        status = None if response is None else response.status_code
        request = interaction.request
        told = f"{request.method} {request.uri} {request.body!r}\n  -> {status} "
        told += "" if response is None else repr(response.content[:600])
        self.failures.setdefault(f"{case.operation.label} {check} {status}", f"{failure}\n{told}")


def campaign(
    document: Json, address: str, stage: Stage, phases: tuple[str, ...], *, examples: int, seed: int
) -> Report:
    """Run those phases against a service; `examples` bounds the fuzzing of each operation."""
    config = Config.from_dict(_settings(address, phases, examples, seed))
    schema = schemathesis.openapi.from_dict(document, config=config)
    if not stage.anonymous:
        schema.auth(refresh_interval=None)(_bearer(stage))
    report = Report()
    with _staged(stage):
        for event in from_schema(schema).execute():
            match event:
                case events.ScenarioFinished():
                    report.take(event.recorder)
                case events.NonFatalError():
                    report.failures[event.label] = str(event.value)
                case events.FatalError():
                    raise event.exception
                case _:
                    pass
    return report


def _settings(address: str, phases: tuple[str, ...], examples: int, seed: int) -> Json:
    return {
        "seed": seed,
        "base-url": address,
        "workers": 1,
        "continue-on-failure": True,
        "generation": {
            "max-examples": examples,
            "deterministic": True,
            "no-shrink": True,
            "database": "none",
            # A made-up token is a 401 and tells nothing else; `ignored_auth` sends its own.
            "with-security-parameters": False,
        },
        "phases": {"enabled": False}
        | {name: {"enabled": True} | STEPS.get(name, {}) for name in phases},
        "checks": {"enabled": False} | {name: {"enabled": True} for name in CHECKS},
    }


@contextmanager
def _staged(stage: Stage) -> Generator[None]:
    def before_call(context: HookContext, case: AnyCase, kwargs: Json) -> None:
        stage.before_call(context, case, kwargs)

    # Hooks of this kind are there for all documents, so this one leaves again.
    schemathesis.hook("before_call")(before_call)
    try:
        yield
    finally:
        hooks.unregister(before_call)


def _bearer(stage: Stage) -> type:
    """A token in the only shape that schemathesis takes it."""

    class Bearer:
        def get(self, case: AnyCase, ctx: AuthContext) -> str:
            return stage.visitor.token

        def set(self, case: AnyCase, data: str, ctx: AuthContext) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    return Bearer
