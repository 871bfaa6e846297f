"""docs/app.md is played: every call is sent to the real service, every answer is compared.

The page is plain Markdown, and this is all there is to its format:

* A block ```` ```http ```` is a call: a line with method and target, headers, an empty line, a
  body. `< name` as a body stands for a photo's bytes. Every call to the service after the sign-in
  carries its token, whether the page shows it or not. A URL goes to the object store.
* A block ```` ```json ```` is the answer to the call above it: `// status`, then `// Name: value`
  for headers that are shown, then JSON. A call without such a block has to succeed.
* Of the envelope, what the block leaves out is not compared. Below that, keys are the answer's,
  and all of them, unless `"…": "…"` or a list's `"…"` says that there are more, and then there
  must be.
* Values are compared, but for what differs each time. An id is another one, and the same one
  wherever the page repeats it, also in later calls. Of a token and a time the form counts, of a URL
  the object it is of and that it is signed, of a number with a point that it is one, as of
  `retry_after`. Digits in headers may differ.
* `<!-- worker: job_…, 0 done, 1 failed -->` has a worker end these photos. `<!-- repeat: 29 -->`
  sends the next call so many times more, and the last answer is the one that is shown.
"""

import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.objects import ObjectStore
from tests.docs.examples import Answer, Call, Part, Stage, read_examples
from tests.docs.likeness import Likeness, Unlike
from tests.docs.pages import ROOT
from tests.docs.replay import Replay
from tests.edge_api.conftest import Launch, MakeDatabase

PAGE = ROOT / "docs" / "app.md"
DEFAULTS = {"SIGNUPS_PER_HOUR": "30", "CALLS_PER_MINUTE": "600", "FREE_CREDITS_PER_DAY": "10000"}
"""The limits that the page tells of, which other tests do without."""


@pytest.fixture
def replay(launch: Launch, make_database: MakeDatabase, objects: ObjectStore) -> Generator[Replay]:
    with (
        launch(make_database("sqlite"), **DEFAULTS) as service,
        httpx.Client(trust_env=False) as outside,
    ):
        yield Replay(service, objects, outside)
        service.assert_balanced()


def test_every_example_is_what_happens(replay: Replay) -> None:
    for part in read_examples(PAGE):
        try:
            replay.play(part)
        except AssertionError as error:
            pytest.fail(f"docs/app.md:{part.line}: {error}", pytrace=False)
    replay.end()
    assert forgotten(replay.calls) == set()


def forgotten(calls: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """What an app may call by the OpenAPI document and the page does not show."""
    paths: dict[str, dict[str, Any]] = json.loads(openapi())["paths"]
    return {
        (method.upper(), path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if set(operation["tags"]) & {"Accounts", "Catalogue", "Rules", "Jobs"}
        and not any(
            sent == method.upper() and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), target)
            for sent, target in calls
        )
    }


def openapi() -> str:
    return (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")


def test_a_call_that_is_not_shown_is_noticed() -> None:
    assert ("POST", "/jobs/{job_id}/cancel") in forgotten([("POST", "/jobs/x/execute")])
    assert ("POST", "/jobs/{job_id}/execute") not in forgotten([("POST", "/jobs/x/execute")])
    assert ("POST", "/jobs/{job_id}/callback") not in forgotten([])


def test_every_error_that_an_app_may_meet_has_its_row() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (`[A-Z_`, ]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    told = {(status, code) for status, codes in rows for code in re.findall("[A-Z_]+", codes)}
    of_the_app = {
        (status, code)
        for operations in json.loads(openapi())["paths"].values()
        for operation in operations.values()
        if set(operation["tags"]) & {"Accounts", "Catalogue", "Rules", "Jobs"}
        for status, answer in operation["responses"].items()
        for code in answer["content"]["application/json"].get("examples", {})
    }
    anywhere = {("404", "NOT_FOUND"), ("405", "METHOD_NOT_ALLOWED")}
    assert told == of_the_app | anywhere


def test_the_parts_of_a_page_are_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\n<!-- repeat: 2 -->\n\n```http\nPOST /jobs?x=1\nA: b\n\n{}\n```\n\n"
        '```json\n// 429 Too Many\n// Retry-After: 5\n{"error": null}\n```\n\n```\nPOST /no\n```\n'
    )
    assert list[Part](read_examples(page)) == [
        Stage(3, "repeat", "2"),
        Call(5, "POST", "/jobs?x=1", {"A": "b"}, "{}"),
        Answer(12, 429, {"Retry-After": "5"}, {"error": None}),
    ]


ID, OTHER = "job_" + "a" * 32, "job_" + "b" * 32
URL = "https://store/bucket/inputs/{}/0.jpg?X-Amz-Signature={}"


@pytest.mark.parametrize(
    ("shown", "given"),
    [
        ({"a": 1, "…": "…"}, {"a": 1, "b": 2}),
        (["x", "…"], ["x", "y"]),
        ([ID, ID], [OTHER, OTHER]),
        ([ID, f"inputs/{ID}/0.jpg"], [OTHER, f"inputs/{OTHER}/0.jpg"]),
        ([ID, URL.format(ID, "5f…")], [OTHER, URL.format(OTHER, "77")]),
        ("2026-11-20T09:30:00.000Z", "2030-01-02T03:04:05.678Z"),
        (0.5, 7.25),
        ({"retry_after": 120}, {"retry_after": 119}),
        (None, None),
    ],
)
def test_what_is_alike(shown: object, given: object) -> None:
    Likeness().check(shown, given)


@pytest.mark.parametrize(
    ("shown", "given"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": 1, "…": "…"}, {"a": 1}),
        (["x", "…"], ["x"]),
        (["x"], ["x", "y"]),
        ([ID, ID], [OTHER, ID]),
        (ID, "rule_" + "b" * 32),
        ([ID, f"inputs/{ID}/0.jpg"], [OTHER, f"inputs/{ID}/0.jpg"]),
        (URL.format("me", "5f…"), URL.format("you", "77")),
        (URL.format("me", "5f…"), "https://store/bucket/inputs/me/0.jpg"),
        ("2026-11-20T09:30:00.000Z", "2026-11-20"),
        ("canceled", "cancelled"),
        (1, 2),
        (1, True),
        (1, 1.0),
        (0.5, None),
        ({"retry_after": 120}, {"retry_after": "119"}),
        (0.5, 1),
        (None, ""),
        ({}, []),
        ("x", None),
    ],
)
def test_what_is_not_alike(shown: object, given: object) -> None:
    with pytest.raises(Unlike):
        Likeness().check(shown, given)


def test_a_page_that_tells_something_else_is_noticed(replay: Replay) -> None:
    replay.play(Call(1, "GET", "/health", {}, ""))
    with pytest.raises(AssertionError, match="status: the page shows 'fine'"):
        replay.play(Answer(2, 200, {}, {"data": {"status": "fine", "…": "…"}}))
    replay.play(Call(3, "GET", "/me", {}, ""))
    with pytest.raises(AssertionError, match="AUTH_REQUIRED"):
        replay.end()
