"""The service and the worker of the two programs' own tests."""

from tests.edge_api.conftest import (
    connection,
    database_kind,
    database_url,
    engine,
    launch,
    make_database,
    make_empty,
    objects,
    phone,
    served_service,
    service,
    shared_service,
    start,
    store,
)
from tests.gpu_handler.conftest import lab

__all__ = [
    "connection",
    "database_kind",
    "database_url",
    "engine",
    "lab",
    "launch",
    "make_database",
    "make_empty",
    "objects",
    "phone",
    "served_service",
    "service",
    "shared_service",
    "start",
    "store",
]
