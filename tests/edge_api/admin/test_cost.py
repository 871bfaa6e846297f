"""`python -m edge_api admin cost`, as an operator types it."""

from datetime import UTC, datetime

import pytest

from infra.local.store import ServedStore
from tests.edge_api.admin.test_admin import Operator
from tests.edge_api.conftest import StartService
from tests.edge_api.service import environment


@pytest.fixture
def operator(store: ServedStore, database_url: str, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(environment(store, database_url), capsys)


def test_what_photos_cost(start: StartService, operator: Operator) -> None:
    service = start(GPU_USD_PER_SECOND="0.001")
    phone = service.phone()
    job_id = phone.queued_job(2)
    worker = service.worker(job_id)
    assert worker.report(0, timings={"total": 1.0}).is_success
    assert worker.report(1, "failed", timings={"total": 0.5}).is_success
    row = {
        "items": 1,
        "gpu_seconds": 1.0,
        "billed_seconds": 0.0,
        "usd": 0.001,
        "usd_per_item": 0.001,
    }
    today = datetime.now(UTC).date().isoformat()
    for by, key in (("day", today), ("preset", "interior"), ("user", phone.user_id)):
        told = operator.told("cost", "--by", by, "--since", "2024-01-31")
        assert told == {
            "by": by,
            "since": "2024-01-31",
            "rows": [{"key": key, **row}],
            "total": {"key": "total", **row},
        }


def test_nothing_was_spent_yet(start: StartService, operator: Operator) -> None:
    start()
    told = operator.told("cost")
    assert (told["by"], told["since"], told["rows"]) == ("day", None, [])
    assert told["total"]["usd"] == 0


@pytest.mark.parametrize("words", [("--by", "weather"), ("--since", "yesterday")])
def test_what_it_does_not_understand(operator: Operator, words: tuple[str, str]) -> None:
    assert "invalid" in operator.refused("cost", *words)
