"""A running API with everything around it, for one test."""

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
import jwt
from msgspec import Struct
from sqlalchemy import Connection, Engine, create_engine, event, text

from edge_api.domain.plans import Plan
from edge_api.services.accounts import open_account
from edge_api.settings import Settings
from infra.local.store import ServedStore
from tests.edge_api.books import assert_books_balance
from tests.edge_api.phone import Phone
from tests.edge_api.runpod_double import PATIENCE, RunpodDouble
from tests.edge_api.worker import Worker

Json = dict[str, Any]


def environment(store: ServedStore, database_url: str) -> dict[str, str]:
    """Every variable that the service needs; the callback secret is being rotated."""
    return {
        "DATABASE_URL": database_url,
        "JWT_SECRET": "jwt-secret-" + "j" * 32,
        "GPU_CALLBACK_SECRET": f"{'new-secret-' + 'n' * 32},{'old-secret-' + 'o' * 32}",
        "R2_ENDPOINT_URL": store.endpoint,
        "R2_ACCESS_KEY_ID": store.access_key,
        "R2_SECRET_ACCESS_KEY": store.secret_key,
        "RUNPOD_BASE_URL": "http://runpod.test/v2",
        "RUNPOD_API_KEY": "runpod-api-key",
        "RUNPOD_ENDPOINT_ID": "endpoint1",
        "PUBLIC_URL": "https://api.test",
        # All tests call from one address.
        "SIGNUPS_PER_HOUR": "0",
        "FREE_CREDITS_PER_DAY": "1000000",
        "CALLS_PER_MINUTE": "0",
    }


class Service(Struct, frozen=True):
    """`api` speaks to the app; `engine` looks into its database from beside."""

    api: httpx.Client
    runpod: RunpodDouble
    settings: Settings
    engine: Engine

    def phone(self) -> Phone:
        """A new account on the free plan."""
        return Phone(self.api).sign_up()

    def pro_phone(self) -> Phone:
        """A new account on the pro plan, which no call of the API gives."""
        with self.transaction() as connection:
            user, _ = open_account(connection, None, time.time(), Plan.PRO)
        return Phone(self.api, self.token(sub=user.id), user.id)

    def token(self, secret: str | None = None, algorithm: str = "HS256", **claims: object) -> str:
        """A token like the service's own, but for these claims; None leaves one out."""
        now = int(time.time())
        claims = {"iat": now, "exp": now + 3600} | claims
        whole = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(
            whole, self.settings.jwt_secret.reveal() if secret is None else secret, algorithm
        )

    def worker(self, job_id: str, attempt: int = 1) -> Worker:
        """Whoever got the message of that attempt."""
        message = self.runpod.wait_for_run(job_id, attempt)
        return Worker(self.api, message, self.settings.callback_secrets[0].reveal())

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    def rows(self, sql: str, **values: object) -> list[Json]:
        with self.transaction() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def change(self, sql: str, **values: object) -> None:
        with self.transaction() as connection:
            connection.execute(text(sql), values)

    def ledger(self, user_id: str) -> list[tuple[str, int]]:
        """A user's movements, oldest first."""
        rows = self.rows(
            "SELECT kind, amount FROM billing_events WHERE user_id = :user ORDER BY id",
            user=user_id,
        )
        return [(row["kind"], row["amount"]) for row in rows]

    def wait_until(self, sql: str, **values: object) -> None:
        """Until the query returns a row; the background loops get the time they need."""
        deadline = time.monotonic() + PATIENCE
        while not self.rows(sql, **values):
            assert time.monotonic() < deadline, f"never: {sql} {values}"
            time.sleep(0.01)

    def assert_balanced(self, since: float = 0.0) -> None:
        with self.transaction() as connection:
            assert_books_balance(connection, since)


def open_engine(database_url: str) -> Engine:
    if not database_url.startswith("sqlite"):
        _, _, address = database_url.partition("://")
        return create_engine(f"postgresql+psycopg://{address}", pool_size=2)
    engine = create_engine(database_url, connect_args={"timeout": 10})

    def enforce_foreign_keys(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys=ON")

    event.listen(engine, "connect", enforce_foreign_keys)
    return engine
