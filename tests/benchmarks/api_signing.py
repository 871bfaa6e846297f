"""Jobs of 200 photos created and read, against the same service with botocore's URLs."""

import statistics
from collections.abc import Sequence

from tests.benchmarks.api_accounts import prepare
from tests.benchmarks.api_boto3 import PREFIX
from tests.benchmarks.api_client import follow
from tests.benchmarks.api_plans import Creations, Reads, Report
from tests.benchmarks.api_server import serving
from tests.benchmarks.table import heading, row

MODULE = "tests.benchmarks.api_boto3"
ITEMS = 200
ROUNDS = 30
MANY = 24
"""Done jobs read one after another: more URLs than the presigner remembers."""


def signing(database: str, url: str, processes: Sequence[int]) -> None:
    """Print milliseconds of a call alone, median and largest, and botocore's times ours."""
    account = prepare(url, [(ITEMS, True)] * MANY)
    paths = [f"/jobs/{job_id}" for job_id in account.job_ids]
    prefixes = ["", PREFIX]
    title = f"{ITEMS} photos, {database}, calls one by one, ms"
    heading(title, "ours", "max", "botocore", "max", "ratio")
    with serving(MODULE, url) as server:
        base, token = server.base, account.token
        follow(Reads(base, token, prefixes, paths[:2], 2))
        _row("POST /jobs", follow(Creations(base, token, prefixes, ITEMS, ROUNDS)))
        _row("GET, first of the hour", follow(Reads(base, token, prefixes, paths, 2)))
        _row("GET, polled again", follow(Reads(base, token, prefixes, paths[:1], ROUNDS)))


def _row(name: str, report: Report) -> None:
    assert not report.errors, report.errors[0]
    ours, theirs = report.calls[""], report.calls[PREFIX]
    medians = [statistics.median(calls) for calls in (ours, theirs)]
    row(
        name,
        medians[0] * 1000,
        max(ours) * 1000,
        medians[1] * 1000,
        max(theirs) * 1000,
        medians[1] / medians[0],
    )
