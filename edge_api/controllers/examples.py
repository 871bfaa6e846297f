"""One example for each call, made of the same types as the answers, so that they cannot part."""

from msgspec import Struct

from edge_api.controllers.schemas import (
    Account,
    AccountErased,
    CallbackAnswer,
    ConceptView,
    CreateJobBody,
    CreateRuleBody,
    ExecuteBody,
    ExportData,
    Health,
    ItemData,
    ItemStateView,
    ItemView,
    JobCanceled,
    JobCreated,
    JobData,
    JobPreview,
    JobQueued,
    JobSummaryView,
    JobView,
    MaterialView,
    Me,
    OutputTemplateView,
    PlanLimits,
    PresetDetail,
    PresetSummary,
    Progress,
    RuleData,
    RuleDeleted,
    RulesData,
    RuleView,
    SavedConceptRule,
    SignUpBody,
    UpdateRuleBody,
    UploadConfirmed,
)
from edge_api.domain.jobs import ItemStatus, JobStatus
from edge_api.domain.plans import Plan
from edge_api.services.cost import Basis, Estimate
from edge_api.services.links import DownloadLink, UploadLink
from edge_api.storage.ledger import Kind, Movement
from edge_api.storage.users import Profile
from shared.keys import input_key, instances_key, mask_key, output_key, preview_key
from shared.messages import ItemReport, ItemResult, ItemWarning, idempotency_key
from shared.messages import ItemStatus as Outcome
from shared.queue import (
    FinishData,
    FinishRequest,
    LeaseData,
    LeasedJob,
    LeaseRequest,
    RenewData,
    RenewRequest,
)
from shared.rules import Action, ConceptRule, RequestedRule, RuleWarning

USER = "user_01a1faf12a536bfd6e87ba020fb233ad"
JOB = "job_01a1faf12a6812836a59770d74bec565"
RULE = "rule_01a1faf12b0c41d9a76f0c1f5be70a42"
LEASE = "5mXw0cD5lq0Qb8kq9vJpZ4o3S2tY7u1R"
MOMENT = "2026-11-20T09:30:00.000Z"


def _url(key: str) -> str:
    signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=7200&X-Amz-Signature=5f0c…"
    return f"https://account.r2.cloudflarestorage.com/s3-images/{key}?{signed}"


_RULE = RuleView(
    id=RULE,
    name="Hotel",
    preset_id="interior",
    created_at=MOMENT,
    updated_at=MOMENT,
    concepts={"Wall": SavedConceptRule("recolor", "offwhite_b")},
    protect=["Frame_Molding"],
)
_DEFAULTS = RuleWarning("DEFAULT_VALUE", "Wall has no value for recolor: the preset's is used.")
_MISSING = ItemWarning("PROTECT_NOT_FOUND", "Grout was not found in this photo.", "Grout")
_WALL = {"Wall": ConceptRule(Action.RECOLOR, "offwhite_b")}
_REPORT = ItemReport(
    engine="classical",
    width=4032,
    height=3024,
    instances={"Wall": 1, "Frame_Molding": 2, "Grout": 0},
    masks=["Wall", "Frame_Molding"],
    protected_pixels=61306,
)
_TIMINGS = {"download": 0.08, "decode": 0.03, "segment": 0.32, "apply": 0.27, "total": 0.95}

ANSWERS: dict[str, object] = {
    "GetHealth": Health("ok", "0.1.0", {"database": "ok", "storage": "ok"}),
    "GetLiveness": Health("ok", "0.1.0", {"event_loop": "ok"}),
    "GetReadiness": Health(
        "ok",
        "0.1.0",
        dict.fromkeys(("database", "storage", "schema", "queue", "endpoint"), "ok"),
    ),
    "SignUp": Account(USER, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…", Plan.FREE, True),
    "GetMe": Me(
        USER,
        Plan.FREE,
        10,
        2,
        1,
        PlanLimits(10, concurrent_jobs=1, rule_slots=2, open_jobs=0, rules=0),
    ),
    "EraseMe": AccountErased(
        USER, True, {"users": 1, "jobs": 2, "items": 14, "rules": 1, "billing_events": 4}, 71, False
    ),
    "ExportMe": ExportData(
        Profile(USER, Plan.FREE, 10, 0, 1, 1_795_167_000.0, True),
        [_RULE],
        [],
        [Movement(Kind.GRANT, 10, None, 1_795_167_000.0)],
    ),
    "ListPresets": [PresetSummary("interior", "건축/인테리어", 12, "Architecture & Interior")],
    "GetPreset": PresetDetail(
        id="interior",
        name="건축/인테리어",
        concept_count=12,
        name_en="Architecture & Interior",
        concepts=["Wall", "Floor"],
        protect_defaults=["Grout", "Frame_Molding", "Glass_highlight"],
        output_templates=[
            OutputTemplateView("전후비교", "전후 비교", "시공 전과 후", "before_after")
        ],
        concept_details=[
            ConceptView("Wall", "벽", "Wall", "surface", {"recolor": "offwhite_b", "tone": "warm"})
        ],
    ),
    "ListMaterials": [MaterialView("oak_a", "오크", "Oak A", "wood", "#C8A67C", "planks")],
    "ListRules": RulesData([_RULE]),
    "CreateRule": RuleData(_RULE),
    "GetRule": RuleData(_RULE),
    "UpdateRule": RuleData(_RULE),
    "DeleteRule": RuleDeleted(RULE),
    "CreateJob": JobCreated(
        JOB,
        [UploadLink(0, _url(input_key(USER, JOB, 0)), input_key(USER, JOB, 0))],
        "2026-11-20T11:00:00.000Z",
    ),
    "ListJobs": [JobSummaryView(JOB, JobStatus.RUNNING, "interior", MOMENT, Progress(1, 1, 3))],
    "GetJob": JobData(
        JobView(
            job_id=JOB,
            status=JobStatus.RUNNING,
            preset="interior",
            total_items=3,
            done_items=1,
            failed_items=1,
            refunded=0,
            created_at=MOMENT,
            items=[
                ItemStateView(0, ItemStatus.DONE),
                ItemStateView(
                    1, ItemStatus.FAILED, "This file is not a photo.", "UNSUPPORTED_IMAGE"
                ),
                ItemStateView(2, ItemStatus.PENDING),
            ],
            download_urls=[
                DownloadLink(0, _url(output_key(USER, JOB, 0)), _url(preview_key(USER, JOB, 0)))
            ],
            concepts=_WALL,
            protect=["Frame_Molding"],
            warnings=[_DEFAULTS],
        )
    ),
    "GetItem": ItemData(
        item=ItemView(0, ItemStatus.DONE, [_MISSING], timings=_TIMINGS, report=_REPORT),
        mask_urls={"Wall": _url(mask_key(USER, JOB, 0, "Wall"))},
        output_url=_url(output_key(USER, JOB, 0)),
        preview_url=_url(preview_key(USER, JOB, 0)),
        instances_url=_url(instances_key(USER, JOB, 0)),
    ),
    "ConfirmUpload": UploadConfirmed(JOB, JobStatus.UPLOADED),
    "ExecuteJob": JobQueued(JOB, JobStatus.QUEUED, _WALL, ["Frame_Molding"], [_DEFAULTS]),
    "CancelJob": JobCanceled(JOB, refunded=2),
    "ReceiveCallback": CallbackAnswer(processed=True),
    "LeaseJob": LeaseData(
        LeasedJob(
            id="queued_01a1faf12c88…",
            lease=LEASE,
            lease_seconds=60.0,
            execution_seconds=390.0,
            input={"schema_version": 1, "job_id": JOB, "attempt": 1},
        )
    ),
    "RenewLease": RenewData(60.0, canceled=False),
    "FinishJob": FinishData(accepted=True),
}
"""The `data` of a successful answer, by operation id."""

OTHERWISE: dict[tuple[str, int], object] = {
    ("ExecuteJob", 200): JobPreview(
        job_id=JOB,
        status=JobStatus.UPLOADED,
        concepts=_WALL,
        protect=["Frame_Molding"],
        warnings=[_DEFAULTS],
        items=3,
        credits=3,
        estimate=Estimate(1.5, 0.000465, Basis.MEASURED, 214),
    ),
}
"""The `data` of an answer with a second status, by operation id and that status."""

BODIES: dict[str, Struct] = {
    "SignUp": SignUpBody(device_hash="b3f1c8…"),
    "CreateRule": CreateRuleBody(
        "Hotel", "interior", {"Wall": RequestedRule("recolor", "offwhite_b")}, ["Frame_Molding"]
    ),
    "UpdateRule": UpdateRuleBody(name="Hotel, warm"),
    "CreateJob": CreateJobBody("interior", 3),
    "ExecuteJob": ExecuteBody(
        concepts={
            "Wall": RequestedRule("recolor", "sage"),
            "Floor": RequestedRule("tone", "warm"),
        },
        protect=["Frame_Molding"],
    ),
    "ReceiveCallback": ItemResult(
        idx=0,
        status=Outcome.DONE,
        idempotency_key=idempotency_key(JOB, 0, 1),
        dispatch_id="dispatch_01a1faf12c44…",
        attempt=1,
        runpod_job_id="5c0a…-u1",
        output_key=output_key(USER, JOB, 0),
        preview_key=preview_key(USER, JOB, 0),
        timings=_TIMINGS,
        report=_REPORT,
    ),
    "LeaseJob": LeaseRequest("pod-1", 8.0),
    "RenewLease": RenewRequest(LEASE),
    "FinishJob": FinishRequest(LEASE, {"job_id": JOB, "items": []}),
}
"""A request's body, by operation id."""
