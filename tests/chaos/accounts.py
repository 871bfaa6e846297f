"""Customers with the pro plan and more credits than they need."""

import time

from sqlalchemy import Connection, update

from edge_api.domain.plans import Plan as Tariff
from edge_api.storage.ledger import Kind, move_credits
from edge_api.storage.tables import users


def make_professional(connection: Connection, user_id: str, credits: int) -> None:
    connection.execute(update(users).where(users.c.id == user_id).values(plan=Tariff.PRO))
    assert move_credits(connection, user_id, Kind.ADJUST, credits, time.time(), None)
