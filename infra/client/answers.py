"""What the API answers, as typed values. Fields unknown here are ignored: the API may add some."""

from msgspec import Struct

from shared.messages import ItemReport, ItemWarning
from shared.rules import RuleWarning

TERMINAL_STATUSES = frozenset({"done", "failed", "canceled"})
"""A job that shows one of these never changes again; the API adds no other such status."""


class Health(Struct, frozen=True):
    """`checks` maps a part's name to whatever the API says about it."""

    status: str
    version: str
    checks: dict[str, object] = {}


class Session(Struct, frozen=True):
    """A new or known anonymous account and its bearer token."""

    user_id: str
    token: str
    plan: str = "free"
    is_new: bool = True

    def __repr__(self) -> str:
        return f"Session(user_id={self.user_id!r}, plan={self.plan!r}, is_new={self.is_new})"


class Account(Struct, frozen=True):
    """The balance and the limits of the plan; `limits` is there where the API adds it."""

    user_id: str
    plan: str
    credits: int
    rule_slots: int
    concurrent_jobs: int
    limits: dict[str, object] = {}


class PresetEntry(Struct, frozen=True):
    """One line of the list of presets."""

    id: str
    name: str
    concept_count: int


class OutputTemplate(Struct, frozen=True):
    """What a finished album can be put together into."""

    id: str
    name: str
    description: str = ""


class Preset(Struct, frozen=True):
    """A domain with its concepts and what it protects unless told otherwise."""

    id: str
    name: str
    concept_count: int
    concepts: list[str] = []
    protect_defaults: list[str] = []
    output_templates: list[OutputTemplate] = []


class RuleAction(Struct, frozen=True):
    """One action on one concept; an empty or missing value means the preset's default."""

    action: str
    value: str | None = None


class Rule(Struct, frozen=True):
    """A stored rule."""

    id: str
    name: str
    preset_id: str
    created_at: str
    updated_at: str | None = None
    concepts: dict[str, RuleAction] = {}
    protect: list[str] = []


class RuleAnswer(Struct, frozen=True):
    rule: Rule


class RulesAnswer(Struct, frozen=True):
    rules: list[Rule]


class Deleted(Struct, frozen=True):
    """The id of what is gone."""

    id: str
    deleted: bool


class UploadTarget(Struct, frozen=True):
    """Where the bytes of one photo go. The URL is a secret for as long as it lives."""

    idx: int
    url: str
    key: str

    def __repr__(self) -> str:
        return f"UploadTarget(idx={self.idx}, key={self.key!r})"


class JobCreated(Struct, frozen=True):
    """A job with its credits reserved; `presigned_urls` stand in order from idx 0."""

    job_id: str
    presigned_urls: list[UploadTarget]
    expires_at: str | None = None


class Confirmed(Struct, frozen=True):
    """All uploads were found."""

    confirmed: bool


class Executed(Struct, frozen=True):
    """The job is queued; `concepts` and `protect` are what it runs with, defaults filled in."""

    queued: bool
    concepts: dict[str, RuleAction] = {}
    protect: list[str] = []
    warnings: list[RuleWarning] = []


class Estimate(Struct, frozen=True):
    """What the photos will use and cost; `basis` is measured, or assumed where little has run."""

    gpu_seconds: float
    usd: float
    basis: str
    items_measured: int = 0


class Rehearsed(Struct, frozen=True):
    """What executing would do, and has not done. `credits` are reserved already."""

    job_id: str
    status: str
    items: int
    credits: int
    estimate: Estimate
    concepts: dict[str, RuleAction] = {}
    protect: list[str] = []
    warnings: list[RuleWarning] = []
    output_template: str | None = None


class Canceled(Struct, frozen=True):
    """`refunded` is the number of credits that came back."""

    canceled: bool
    refunded: int = 0


class JobItem(Struct, frozen=True):
    """One photo of a job as the app sees it; `status` is pending, done or failed."""

    idx: int
    status: str
    error: str | None = None
    error_code: str | None = None


class Download(Struct, frozen=True):
    """Where the results of one finished item lie; both work without any header."""

    idx: int
    output_url: str
    preview_url: str | None = None


class Job(Struct, frozen=True):
    """A job in full."""

    job_id: str
    status: str
    preset: str
    total_items: int
    done_items: int
    failed_items: int
    items: list[JobItem]
    download_urls: list[Download]

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_STATUSES


class JobAnswer(Struct, frozen=True):
    job: Job


class JobProgress(Struct, frozen=True):
    """Counts of items."""

    done: int
    failed: int
    total: int


class JobListEntry(Struct, frozen=True):
    """One line of the list of jobs."""

    job_id: str
    status: str
    preset: str
    progress: JobProgress
    created_at: str | None = None


class JobPage(Struct, frozen=True):
    """Jobs, newest first; `next_cursor` is None on the last page."""

    jobs: list[JobListEntry]
    next_cursor: str | None = None


class Item(Struct, frozen=True):
    """One photo with all that is known of it; `timings` are seconds by stage."""

    idx: int
    status: str
    error: str | None = None
    error_code: str | None = None
    warnings: list[ItemWarning] = []
    timings: dict[str, float] | None = None
    report: ItemReport | None = None


class ItemDetail(Struct, frozen=True):
    """One item and where its results lie, as far as there are any."""

    item: Item
    output_url: str | None = None
    preview_url: str | None = None
    instances_url: str | None = None
    mask_urls: dict[str, str] = {}
