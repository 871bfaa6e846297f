"""The model on SQLite."""

from tests.edge_api.model.ground import on_sqlite
from tests.edge_api.model.machine import Machine
from tests.edge_api.model.world import check


def test_everything_adds_up_whatever_happens() -> None:
    with on_sqlite() as ground:
        check(lambda: Machine(ground))
