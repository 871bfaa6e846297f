"""Bodies and answers of the HTTP API. Fields that the app casts are never null."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from edge_api.domain.jobs import ItemStatus, JobStatus
from edge_api.domain.plans import Plan
from edge_api.services.cost import Estimate
from edge_api.services.export import ExportedJob
from edge_api.services.links import DownloadLink, UploadLink
from edge_api.storage.ledger import Movement
from edge_api.storage.users import Profile
from shared.messages import ItemReport, ItemWarning
from shared.rules import ConceptRule, RequestedRule, RuleWarning

# PostgreSQL has no NUL in text.
_PLAIN = r"^[^\x00]*$"
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=_PLAIN)]
Concepts = Annotated[
    dict[str, RequestedRule],
    Meta(examples=[{"Wall": {"action": "recolor", "value": "offwhite_b"}}]),
]
Protect = Annotated[list[str], Meta(examples=[["Grout", "Frame_Molding"]])]
Timestamp = Annotated[str, Meta(examples=["2026-11-20T09:30:00.000Z"])]


class Health(Struct, frozen=True):
    status: str
    version: str
    checks: dict[str, str]


class SignUpBody(Struct, frozen=True):
    device_hash: Annotated[str, Meta(max_length=128, pattern=_PLAIN)] | None = None


class Account(Struct, frozen=True):
    user_id: str
    token: str
    plan: Plan
    is_new: bool


class PlanLimits(Struct, frozen=True):
    """What the plan allows in all; `open_jobs` and `rules` count what is in use."""

    items_per_job: int
    concurrent_jobs: int
    rule_slots: int
    open_jobs: int
    rules: int


class Me(Struct, frozen=True):
    user_id: str
    plan: Plan
    credits: int
    rule_slots: int
    concurrent_jobs: int
    limits: PlanLimits


class AccountErased(Struct, frozen=True):
    """What was deleted. `pending`: results that a worker still stores are deleted as they come."""

    user_id: str
    deleted: bool
    rows: dict[str, int]
    objects: int
    pending: bool


class PresetSummary(Struct, frozen=True):
    id: str
    name: str
    concept_count: int
    name_en: str


class OutputTemplateView(Struct, frozen=True):
    id: str
    name: str
    description: str
    alias: str


class ConceptView(Struct, frozen=True):
    """`kind` is `surface` or `instances`; `defaults` by action."""

    id: str
    name_ko: str
    name_en: str
    kind: str
    defaults: dict[str, str]


class PresetDetail(Struct, frozen=True):
    id: str
    name: str
    concept_count: int
    name_en: str
    concepts: list[str]
    protect_defaults: list[str]
    output_templates: list[OutputTemplateView]
    concept_details: list[ConceptView]


class MaterialView(Struct, frozen=True):
    id: str
    name_ko: str
    name_en: str
    family: str
    hex: Annotated[str, Meta(examples=["#C8A97E"])]
    texture: str | UnsetType = UNSET


class CreateRuleBody(Struct, frozen=True):
    name: Name
    preset_id: str
    concepts: Concepts
    protect: Protect | None = None


class UpdateRuleBody(Struct, frozen=True):
    """What is left out stays as it is."""

    name: Name | None = None
    concepts: Concepts | None = None
    protect: Protect | None = None


class SavedConceptRule(Struct, frozen=True):
    action: str
    value: str


class RuleView(Struct, frozen=True):
    id: str
    name: str
    preset_id: str
    created_at: Timestamp
    updated_at: Timestamp
    concepts: dict[str, SavedConceptRule]
    protect: list[str]


class ExportData(Struct, frozen=True):
    """Everything that is kept about the caller. Times are Unix seconds."""

    profile: Profile
    rules: list[RuleView]
    jobs: list[ExportedJob]
    ledger: list[Movement]


class RuleData(Struct, frozen=True):
    rule: RuleView


class RulesData(Struct, frozen=True):
    rules: list[RuleView]


class RuleDeleted(Struct, frozen=True):
    id: str
    deleted: bool = True


class CreateJobBody(Struct, frozen=True):
    preset: Annotated[str, Meta(examples=["interior"])]
    item_count: Annotated[int, Meta(examples=[4])]


class JobCreated(Struct, frozen=True):
    job_id: str
    presigned_urls: list[UploadLink]
    expires_at: Timestamp


class Progress(Struct, frozen=True):
    done: int
    failed: int
    total: int


class JobSummaryView(Struct, frozen=True):
    job_id: str
    status: JobStatus
    preset: str
    created_at: Timestamp
    progress: Progress


class ItemStateView(Struct, frozen=True):
    """`error` and `error_code` are there where the item failed."""

    idx: int
    status: ItemStatus
    error: str | UnsetType = UNSET
    error_code: str | UnsetType = UNSET


class JobView(Struct, frozen=True):
    job_id: str
    status: JobStatus
    preset: str
    total_items: int
    done_items: int
    failed_items: int
    refunded: int
    created_at: Timestamp
    items: list[ItemStateView]
    download_urls: list[DownloadLink]
    concepts: dict[str, ConceptRule] | UnsetType = UNSET
    protect: list[str] | UnsetType = UNSET
    warnings: list[RuleWarning] | UnsetType = UNSET
    output_template: str | UnsetType = UNSET


class JobData(Struct, frozen=True):
    job: JobView


class ItemView(Struct, frozen=True):
    """One item with what the worker reported: seconds per stage, counts, warnings."""

    idx: int
    status: ItemStatus
    warnings: list[ItemWarning]
    error: str | UnsetType = UNSET
    error_code: str | UnsetType = UNSET
    timings: dict[str, float] | UnsetType = UNSET
    report: ItemReport | UnsetType = UNSET


class ItemData(Struct, frozen=True):
    """The URLs are there once the item is done; `mask_urls` by concept."""

    item: ItemView
    mask_urls: dict[str, str]
    output_url: str | UnsetType = UNSET
    preview_url: str | UnsetType = UNSET
    instances_url: str | UnsetType = UNSET


class UploadConfirmed(Struct, frozen=True):
    job_id: str
    status: JobStatus
    confirmed: bool = True


class ExecuteBody(Struct, frozen=True):
    """`rule_id` overrides `concepts` and `protect`.

    An empty value takes the preset's default. Where `protect` is absent or empty and no rule is
    named, the preset's `protect_defaults` hold unless `protect_defaults` is false.
    """

    concepts: Concepts | None = None
    protect: Protect | None = None
    rule_id: Annotated[str, Meta(pattern=_PLAIN)] | None = None
    output_template: str | None = None
    protect_defaults: bool | None = None


class JobQueued(Struct, frozen=True):
    """`concepts` and `protect` are what the job runs with, defaults filled in."""

    job_id: str
    status: JobStatus
    concepts: dict[str, ConceptRule]
    protect: list[str]
    warnings: list[RuleWarning]
    queued: bool = True


class JobPreview(Struct, frozen=True):
    """What executing would do, and has not done. `credits` are reserved already; they are spent
    photo by photo as photos succeed. The estimate is without a worker's start."""

    job_id: str
    status: JobStatus
    concepts: dict[str, ConceptRule]
    protect: list[str]
    warnings: list[RuleWarning]
    items: int
    credits: int
    estimate: Estimate
    output_template: str | UnsetType = UNSET
    queued: bool = False


class JobCanceled(Struct, frozen=True):
    job_id: str
    refunded: int
    canceled: bool = True


class CallbackAnswer(Struct, frozen=True):
    """`processed` is false where the item had ended before."""

    processed: bool
