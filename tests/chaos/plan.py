"""What a campaign is to do: how much work, which faults and how often, and how long it may take."""

from msgspec import Struct


class Odds(Struct, frozen=True, kw_only=True):
    """Chances in 0..1 that a message meets a fault.

    The first block is about callbacks: lost on the way, answered with 200 and thrown away, lost
    answer, delivered twice, held back, sent once more much later, signed by a clock that is off
    within or beyond the tolerance, and accompanied by a forgery. `run_*`: a `/run` that fails, and
    one whose answer is lost; `status_fails`: any other call to Runpod. `answer_lost` and `doubled`
    are the phone's: it never sees the answer to POST /jobs, or sends it twice at once.
    """

    lost: float = 0.05
    swallowed: float = 0.02
    unanswered: float = 0.04
    doubled_callback: float = 0.08
    held: float = 0.06
    late: float = 0.04
    skewed: float = 0.04
    stale: float = 0.02
    forged: float = 0.06
    run_fails: float = 0.04
    run_unanswered: float = 0.05
    status_fails: float = 0.03
    answer_lost: float = 0.10
    doubled: float = 0.05
    canceled: float = 0.06
    abandoned: float = 0.02


CALM = Odds(**dict.fromkeys(Odds.__struct_fields__, 0.0))
"""After the last kill."""


class Plan(Struct, frozen=True, kw_only=True):
    """`database_url` None: SQLite in the campaign's own folder.

    `minutes` bounds the stormy part: after it no further job is begun and no further kill made.
    `settle` is how many seconds everything may take to be final once all faults have stopped.
    `tricks` is about how many times each of the disk, the clocks and the emulator misbehaves.
    `allowance` is how many re-executed items beyond 30 % are forgiven for each kill.
    """

    jobs: int
    items: int
    kills: int
    seed: int
    database_url: str | None = None
    processes: int = 2
    workers: int = 2
    customers: int = 16
    minutes: float = 60.0
    settle: float = 120.0
    tricks: int = 6
    allowance: int = 0
    poll: float = 1.0
    odds: Odds = Odds()
    api_env: dict[str, str] = {}

    @property
    def database(self) -> str:
        """The kind of database, for tables."""
        return "SQLite" if self.database_url is None else "PostgreSQL"
