"""The embedded object store: an S3 API with real SigV4 on the local disk, for development.

It stands in for R2 where there is no account: the same URLs, the same refusals. Not for
production, where it does not start.
"""

from infra.local.store.app import RefusedInProduction, create_store
from infra.local.store.serving import ServedStore, serve_store

__all__ = ["RefusedInProduction", "ServedStore", "create_store", "serve_store"]
