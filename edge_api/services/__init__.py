"""Use cases: one transaction each, then clients."""

from msgspec import Struct

from edge_api.domain.addresses import Proxies
from edge_api.services.accounts import Accounts
from edge_api.services.callbacks import Callbacks
from edge_api.services.cost import Previews
from edge_api.services.erasure import Eraser
from edge_api.services.export import Exports
from edge_api.services.health import Health
from edge_api.services.idempotency import Idempotency
from edge_api.services.jobs import Jobs
from edge_api.services.leases import Leases
from edge_api.services.limits import CallLimiter
from edge_api.services.links import Links
from edge_api.services.metrics import Metrics
from edge_api.services.rules import Rules


class Services(Struct, frozen=True):
    """What the controllers may call."""

    accounts: Accounts
    rules: Rules
    jobs: Jobs
    previews: Previews
    links: Links
    callbacks: Callbacks
    health: Health
    calls: CallLimiter
    idempotency: Idempotency
    proxies: Proxies
    eraser: Eraser
    exports: Exports
    metrics: Metrics
    leases: Leases
