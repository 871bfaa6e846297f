"""Dashboard, alerts and runbook ask for what the service really exposes, in real PromQL."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from edge_api.clients.runpod import Workers
from edge_api.services.attempts import Lost
from edge_api.services.counters import Counters, Submit
from edge_api.services.metrics import Access, Metrics, Promises
from edge_api.storage.addresses import open_database
from edge_api.storage.jobs import Purge
from edge_api.storage.migrate import upgrade
from tests.infra.rules import ROOT, RUNBOOK, Json, rules

DASHBOARD = ROOT / "infra" / "grafana" / "dashboard.json"

Exposed = dict[str, dict[str, set[str]]]
"""Values by label by the name of a sample, as a query would find it."""

SCRAPED = {"job": {"palette"}, "instance": {"edge-1:8787"}}
"""What Prometheus adds to every sample."""


class Selector(Struct, frozen=True):
    """One place of an expression that reads a metric."""

    metric: str
    matchers: tuple[tuple[str, str], ...]


def parse(expression: str) -> Any:
    """Its syntax tree. Raises ValueError where Prometheus would refuse it."""
    parser = pytest.importorskip("promql_parser", reason="promql-parser is not installed")
    # Grafana fills these in before Prometheus sees them.
    return parser.parse(expression.replace("$__rate_interval", "5m"))


def walk(expression: str) -> Iterator[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        found.append(node)
        return True

    parser = pytest.importorskip("promql_parser", reason="promql-parser is not installed")
    parser.walk(parse(expression), visit)
    yield from found


def selectors(expression: str) -> list[Selector]:
    kind = pytest.importorskip("promql_parser").VectorSelector
    return [
        Selector(
            node.name,
            tuple((one.name, one.value) for one in node.matchers.matchers),
        )
        for node in walk(expression)
        if isinstance(node, kind)
    ]


def panels() -> list[Json]:
    return cast(list[Json], json.loads(DASHBOARD.read_text())["panels"])


def expressions() -> dict[str, str]:
    """By the name of the alert, or the title of the panel and its query."""
    dashboard = cast(Json, json.loads(DASHBOARD.read_text()))
    found = {rule["alert"]: rule["expr"] for rule in rules()}
    for panel in panels():
        for target in panel.get("targets", []):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        found[f"annotation {annotation['name']}"] = annotation["expr"]
    return found


EXPRESSIONS = expressions()


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Exposed:
    """The page of a service on a new database to which everything has happened once."""
    url = f"sqlite:///{tmp_path_factory.mktemp('database') / 'edge.db'}"
    upgrade(url)
    counters = Counters("0.0.0")
    happen(counters)

    async def render() -> str:
        database = open_database(url)
        access, promises = Access(public=True), Promises(10_000, {Purge.INPUTS: 60.0})
        metrics = Metrics(
            database, "endpoint1", counters, access, promises=promises, workers=ask_workers
        )
        try:
            return (await metrics.expose()).decode()
        finally:
            await metrics.close()
            await database.close()

    found: Exposed = {"up": dict(SCRAPED)}
    for family in text_string_to_metric_families(asyncio.run(render())):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {k: set(v) for k, v in SCRAPED.items()})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


async def ask_workers() -> Workers:
    return Workers(idle=1)


def happen(counters: Counters) -> None:
    for status, route in ((200, "/me"), (404, None), (503, "/health"), (0, "/jobs")):
        counters.observe_request("GET", route, status, 0.1)
    counters.observe_lag(0.001)
    counters.count_callback("refused", "CALLBACK_UNAUTHORIZED")
    for outcome in Submit:
        counters.count_submit(outcome)
    counters.count_lost(Lost("stalled", again=True))
    counters.observe_begin(20.0)
    counters.count_failed_step("dispatch")


def test_every_query_is_promql() -> None:
    for name, expression in EXPRESSIONS.items():
        try:
            parse(expression)
        except ValueError as error:
            pytest.fail(f"{name}: {error}")


def unexposed(selector: Selector, exposed: Exposed) -> list[str]:
    """What it asks for and never finds; of values those that are spelt out."""
    labels = exposed.get(selector.metric)
    if labels is None:
        return [selector.metric]
    absent = list[str]()
    for label, value in selector.matchers:
        words = [word for word in value.split("|") if re.fullmatch(r"[A-Za-z_]+", word)]
        if label not in labels:
            absent.append(f"{selector.metric}: {label}")
        else:
            absent += [f"{label}={word}" for word in words if word not in labels[label]]
    return absent


def test_every_query_reads_what_is_exposed(exposed: Exposed) -> None:
    found = {
        name: [part for one in selectors(text) for part in unexposed(one, exposed)]
        for name, text in EXPRESSIONS.items()
    }
    assert {name: absent for name, absent in found.items() if absent} == {}


def test_what_is_grouped_by_is_a_label(exposed: Exposed) -> None:
    for name, expression in EXPRESSIONS.items():
        labels = {label for one in selectors(expression) for label in exposed[one.metric]}
        for clause in re.findall(r"\bby \(([^)]*)\)", expression):
            assert {part.strip() for part in clause.split(",")} <= labels, name


@pytest.mark.parametrize(
    ("expression", "absent"),
    [
        ("rate(palette_requests_total[5m])", ["palette_requests_total"]),
        ('max(palette_jobs{state="queued"})', ["palette_jobs: state"]),
        ('max(palette_jobs{status="lost"})', ["status=lost"]),
        ('max(palette_jobs{status=~"queued|lost"})', ["status=lost"]),
        ('max(palette_jobs{status="queued"})', []),
    ],
)
def test_what_is_not_exposed_is_noticed(
    expression: str, absent: list[str], exposed: Exposed
) -> None:
    [selector] = selectors(expression)
    assert unexposed(selector, exposed) == absent


def test_what_is_no_promql_is_noticed() -> None:
    with pytest.raises(ValueError):
        parse("sum(rate(palette_jobs[5m])")


def test_legends_name_labels_of_their_query(exposed: Exposed) -> None:
    for panel in panels():
        for target in panel.get("targets", []):
            labels = {
                label
                for selector in selectors(target["expr"])
                for label in exposed[selector.metric]
            }
            legend = target.get("legendFormat", "")
            assert set(re.findall(r"{{(\w+)}}", legend)) <= labels, panel["title"]


def test_panels_lie_side_by_side() -> None:
    taken = set[tuple[int, int]]()
    for panel in panels():
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    identifiers = [panel["id"] for panel in panels()]
    assert len(set(identifiers)) == len(identifiers)


def test_a_dashboard_asks_for_its_prometheus() -> None:
    dashboard = cast(Json, json.loads(DASHBOARD.read_text()))
    assert dashboard["id"] is None
    assert [one["name"] for one in dashboard["templating"]["list"]] == ["datasource"]
    for panel in panels():
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]


def test_every_alert_says_who_what_and_where() -> None:
    for rule in rules():
        assert re.fullmatch(r"Palette[A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        slug = re.sub(r"(?<!^)([A-Z])", r"-\1", rule["alert"].removeprefix("Palette")).lower()
        assert rule["annotations"]["runbook_url"] == f"docs/runbook/{slug}.md"


def test_figures_that_are_named_exist(exposed: Exposed) -> None:
    families = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in exposed}
    for page in RUNBOOK.glob("*.md"):
        named = set(re.findall(r"`(palette_[a-z_]+)", page.read_text()))
        assert named <= exposed.keys() | families, page.name
