"""The model on PostgreSQL."""

from tests.edge_api.conftest import MakeDatabase
from tests.edge_api.model.ground import on_postgres
from tests.edge_api.model.machine import Machine
from tests.edge_api.model.world import check


def test_everything_adds_up_whatever_happens(make_database: MakeDatabase) -> None:
    with on_postgres(make_database("postgresql")) as ground:
        check(lambda: Machine(ground))
