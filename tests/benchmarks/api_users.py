"""200 people at once: each signs up, creates a job of ten photos, reads it and lists."""

import statistics
from collections.abc import Sequence

import psutil

from tests.benchmarks.api_accounts import prepare
from tests.benchmarks.api_client import follow
from tests.benchmarks.api_plans import Report, Visits
from tests.benchmarks.api_server import OURS, fleet
from tests.benchmarks.table import heading, line, row

USERS = 200
CALLS = ("sign-up", "create", "read", "list")
PACES = {"without a pause": (0.0, 6), "a second between calls": (1.0, 3)}
"""Seconds of pause, and how often each user comes with a new account."""


def visiting(database: str, url: str, processes: Sequence[int]) -> None:
    """Print percentiles of each call in milliseconds, and how many calls failed."""
    prepare(url, [])
    for count in processes:
        for name, (pause, sessions) in PACES.items():
            title = f"{USERS} users {name}, {database}, {count} API process(es), ms"
            heading(title, "p50", "p95", "p99", "max")
            with fleet(OURS, url, count) as servers:
                bases = [server.base for server in servers]
                before = sum(server.cpu() for server in servers)
                psutil.cpu_percent()
                report = follow(Visits(bases, USERS, sessions, pause))
                _print(report, sum(server.cpu() for server in servers) - before)


def _print(report: Report, cpu: float) -> None:
    for name in CALLS:
        calls = report.calls.get(name, [])
        if len(calls) > 1:
            cuts = statistics.quantiles(calls, n=100)
            row(name, *(value * 1000 for value in (cuts[49], cuts[94], cuts[98], max(calls))))
    total = sum(map(len, report.calls.values()))
    line("errors", str(len(report.errors)))
    row("calls a second", total / report.took)
    # What neither took went to the database's server, the kernel, and other work on the machine.
    whole = psutil.cpu_percent() * (psutil.cpu_count() or 1)
    shares = (cpu / report.took * 100, report.cpu / report.took * 100, whole)
    row("CPU %: service, client, all", *shares)
    if report.errors:
        print(f"the first: {report.errors[0]}")
