"""The operators' commands: nobody outside reaches them, and they give nobody an account."""

import json
import re
from typing import Any, cast

import pytest
from litestar import Litestar

from infra.local.store import ServedStore
from tests.edge_api.admin.test_admin import Operator
from tests.edge_api.conftest import Launch, MakeDatabase
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service, environment


def test_no_address_leads_to_them(service: Service) -> None:
    app: object = cast("Any", service.api).app
    assert isinstance(app, Litestar)
    paths = {route.path for route in app.routes}
    assert "/jobs" in paths
    assert not any(re.search("admin|letter|ledger|reconcile|grant|replay", path) for path in paths)
    for path in ("/admin", "/admin/users", "/admin/ledger", "/me/credits", "/users"):
        assert service.phone().call("POST", path, {}).status_code == 404


def test_an_operator_learns_nothing_that_opens_an_account(
    launch: Launch,
    make_database: MakeDatabase,
    store: ServedStore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The device's hash is what its owner signs in with; a token is never kept at all."""
    url = make_database("sqlite")
    with launch(url) as service:
        phone = Phone(service.api).sign_up("canary-device")
        job_id = phone.queued_job(1)
        service.worker(job_id)
        operator = Operator(environment(store, url), capsys)
        words = [
            ["users", "show", phone.user_id],
            ["users", "grant", phone.user_id, "1"],
            ["jobs", "show", job_id],
            ["dead-letters", "list"],
            ["ledger"],
        ]
        told = json.dumps([operator.told(*typed) for typed in words])
        assert phone.user_id in told
        assert "canary" not in told
        assert not re.search(r"eyJ|X-Amz|token|secret|device_hash", told)
