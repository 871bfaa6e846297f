"""The service of the API's own tests, for the examples."""

from tests.edge_api.conftest import (
    launch,
    make_database,
    make_empty,
    objects,
    shared_service,
    store,
)

__all__ = ["launch", "make_database", "make_empty", "objects", "shared_service", "store"]
