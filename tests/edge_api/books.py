"""What must be true of the whole database after every transaction."""

from sqlalchemy import Connection, text

_BALANCES = """
SELECT u.id, u.credits, u.open_jobs,
       (SELECT coalesce(sum(amount), 0) FROM billing_events b WHERE b.user_id = u.id) AS ledger,
       (SELECT count(*) FROM jobs j WHERE j.user_id = u.id
           AND j.status IN ('created', 'uploaded', 'queued', 'running')) AS open,
       u.rules, (SELECT count(*) FROM rules r WHERE r.user_id = u.id) AS saved
FROM users u WHERE u.created_at >= :since
"""

_JOBS = """
SELECT j.id, j.status, j.total_items, j.done_items, j.failed_items, j.refunded,
       count(*) AS items, count(*) FILTER (WHERE i.status = 'done') AS done,
       count(*) FILTER (WHERE i.status = 'failed') AS failed,
       (SELECT coalesce(sum(amount), 0) FROM billing_events b WHERE b.job_id = j.id) AS paid,
       (SELECT count(*) FROM dispatches d WHERE d.job_id = j.id
           AND d.state IN ('new', 'submitting', 'uncertain', 'submitted')) AS live
FROM jobs j JOIN items i ON i.job_id = j.id WHERE j.created_at >= :since GROUP BY j.id
"""


def assert_books_balance(connection: Connection, since: float = 0.0) -> None:
    """Money, counters, items and dispatches tell one story, for what was made since then."""
    for user in connection.execute(text(_BALANCES), {"since": since}).mappings():
        assert user["credits"] == user["ledger"], dict(user)
        assert user["credits"] >= 0, dict(user)
        assert user["open_jobs"] == user["open"], dict(user)
        assert user["rules"] == user["saved"], dict(user)
    for job in connection.execute(text(_JOBS), {"since": since}).mappings():
        row = dict(job)
        assert job["items"] == job["total_items"], row
        assert (job["done_items"], job["failed_items"]) == (job["done"], job["failed"]), row
        assert job["done"] + job["failed"] <= job["total_items"], row
        _assert_settled(row)


def _assert_settled(job: dict[str, int | str]) -> None:
    status, total, done = job["status"], job["total_items"], job["done"]
    assert isinstance(total, int)
    assert isinstance(done, int)
    working = status in {"queued", "running"}
    assert job["live"] == (1 if working else 0), job
    match status:
        case "done":
            assert done > 0, job
            assert job["failed"] == total - done, job
        case "failed":
            assert job["failed"] == total, job
        case "canceled":
            assert total - done > 0, job
        case _:
            assert job["refunded"] == 0, job
            assert job["paid"] == -total, job
            return
    assert job["refunded"] == total - done, job
    assert job["paid"] == -done, job
