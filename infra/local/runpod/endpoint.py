"""One endpoint id: its jobs, its workers, and what the passing of time does to both."""

from collections import Counter
from collections.abc import Callable

from infra.local.runpod.backlog import Backlog
from infra.local.runpod.crew import Crew
from infra.local.runpod.faults import Faults
from infra.local.runpod.jobs import Job, JobStatus
from infra.local.runpod.settings import RunpodSettings


class Endpoint:
    """State only: no I/O, and no clock but the one passed in (seconds, never going back)."""

    def __init__(
        self,
        settings: RunpodSettings,
        faults: Faults,
        clock: Callable[[], float],
        on_change: Callable[[], None] = lambda: None,
        on_end: Callable[[Job], None] = lambda _: None,
    ) -> None:
        self.backlog = Backlog(settings, clock, on_change, on_end)
        self.crew = Crew(self.backlog, settings, faults, clock)

    def sweep(self) -> None:
        self.backlog.sweep()
        self.crew.sweep()

    def health(self) -> dict[str, dict[str, int]]:
        """Counts of ended jobs and of retries are since the start, not of what is still kept."""
        states = Counter(job.status for job in self.backlog)
        tally = self.backlog.tally
        jobs = {
            "completed": tally[JobStatus.COMPLETED],
            "failed": tally[JobStatus.FAILED] + tally[JobStatus.TIMED_OUT],
            "inProgress": states[JobStatus.IN_PROGRESS],
            "inQueue": states[JobStatus.IN_QUEUE],
            "retried": tally["retried"],
        }
        return {"jobs": jobs, "workers": self.crew.counts()}
