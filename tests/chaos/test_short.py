"""A campaign small enough for every run of the tests."""

from collections.abc import Generator
from pathlib import Path

import pytest
from msgspec import structs

from tests.chaos.campaign import run
from tests.chaos.plan import Odds, Plan
from tests.postgres import run_postgres

# Nobody waits here for the upload window of a job that was left behind.
ODDS = Odds(abandoned=0.0)
SHORT = Plan(
    jobs=12,
    items=3,
    kills=4,
    seed=7,
    processes=2,
    workers=1,
    customers=4,
    settle=25.0,
    tricks=1,
    allowance=6,
    poll=0.3,
    odds=ODDS,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Generator[str | None]:
    """The address of an empty database; None is SQLite in the campaign's own folder."""
    if request.param == "sqlite":
        yield None
        return
    with run_postgres() as server:
        yield server.create()


@pytest.mark.e2e
def test_nothing_is_lost_doubled_or_left_hanging(database_url: str | None, tmp_path: Path) -> None:
    report = run(structs.replace(SHORT, database_url=database_url), tmp_path)
    assert report.held, report.text()
    assert report.kills == SHORT.kills, report.text()
