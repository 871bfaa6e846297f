"""GET /jobs/{id} of ten photos, against a bare handler that asks the raw driver the same."""

import statistics
from collections.abc import Sequence

import httpx
from msgspec import Struct

from tests.benchmarks.api_accounts import prepare
from tests.benchmarks.api_client import follow
from tests.benchmarks.api_plans import Load
from tests.benchmarks.api_server import OURS, Server, fleet
from tests.benchmarks.table import heading, row

CEILING = "tests.benchmarks.api_ceiling"
ITEMS = 10
CONNECTIONS = 16
ROUNDS = 7
SECONDS = 1.5


class Pace(Struct, frozen=True):
    """Answers a second, and microseconds of the servers' processor time for each."""

    rate: float
    cpu: float
    client: float


def reading(database: str, url: str, processes: Sequence[int]) -> None:
    """Print answers a second, processor time for each answer, and their ratios to the ceiling."""
    account = prepare(url, [(ITEMS, False), (ITEMS, True)])
    created, done = (f"/jobs/{job_id}" for job_id in account.job_ids)
    for count in processes:
        title = f"GET /jobs/{{id}}, {ITEMS} photos, {database}, {count} API process(es)"
        heading(title, "answers/s", "CPU µs", "client %", "rate ratio", "CPU ratio")
        with fleet(OURS, url, count) as ours, fleet(CEILING, url, count) as bare:
            for name, path in {"created": created, f"{ITEMS} done": done}.items():
                _same(ours[0].base, bare[0].base, path, account.token)
                rivals = {
                    f"{name}: the service": (ours, path),
                    f"{name}: bare, token verified": (bare, f"/verified{path}"),
                    f"{name}: bare, token trusted": (bare, path),
                }
                _compare(rivals, account.token)


def _compare(rivals: dict[str, tuple[list[Server], str]], token: str) -> None:
    """Rounds in turn; the ratios are the first's to each, by the median of the rounds."""
    paces: dict[str, list[Pace]] = {name: [] for name in rivals}
    for _ in range(1 + ROUNDS):
        for name, (servers, path) in rivals.items():
            paces[name].append(_pace(servers, path, token))
    # The first round fills caches.
    ours = next(iter(paces.values()))[1:]
    for name, rounds in paces.items():
        pairs = list(zip(ours, rounds[1:], strict=True))
        row(
            name,
            statistics.median(pace.rate for pace in rounds[1:]),
            statistics.median(pace.cpu for pace in rounds[1:]),
            statistics.median(pace.client for pace in rounds[1:]),
            statistics.median(own.rate / other.rate for own, other in pairs),
            statistics.median(other.cpu / own.cpu for own, other in pairs),
        )


def _pace(servers: list[Server], path: str, token: str) -> Pace:
    before = sum(server.cpu() for server in servers)
    bases = [server.base for server in servers]
    report = follow(Load(bases, path, token, CONNECTIONS, SECONDS))
    assert not report.errors, report.errors[0]
    answers = len(report.calls["load"])
    cpu = sum(server.cpu() for server in servers) - before
    return Pace(answers / report.took, cpu / answers * 1e6, report.cpu / report.took * 100)


def _same(ours: str, bare: str, path: str, token: str) -> None:
    """The ceiling answers what we answer, or it is no ceiling."""
    headers = {"Authorization": f"Bearer {token}"}
    for base in (bare, f"{bare}/verified"):
        answers = [httpx.get(base + path, headers=headers).json() for base in (ours, base)]
        assert answers[0]["data"] == answers[1]["data"], answers
