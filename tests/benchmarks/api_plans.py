"""What the callers are told to do, and what they report."""

from msgspec import Struct


class Load(Struct, frozen=True, tag=True):
    """Ask for the path over every connection, without a pause, for `seconds`; named `load`."""

    bases: list[str]
    path: str
    token: str
    connections: int
    seconds: float


class Reads(Struct, frozen=True, tag=True):
    """Read each path under each prefix in turn, one call at a time, timed by prefix."""

    base: str
    token: str
    prefixes: list[str]
    paths: list[str]
    rounds: int


class Creations(Struct, frozen=True, tag=True):
    """Create a job under each prefix in turn, timed by prefix; its cancelling is not timed."""

    base: str
    token: str
    prefixes: list[str]
    items: int
    rounds: int


class Visits(Struct, frozen=True, tag=True):
    """Every user signs up, creates a job, reads it and lists; `pause` seconds after each call."""

    bases: list[str]
    users: int
    sessions: int
    pause: float
    items: int = 10


Plan = Load | Reads | Creations | Visits


class Report(Struct, frozen=True):
    """Seconds of each call by its name; `cpu` is what the client itself took of `took`."""

    calls: dict[str, list[float]]
    errors: list[str]
    took: float
    cpu: float
