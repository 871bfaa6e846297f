"""Jobs as the app creates, steers and polls them."""

from collections import Counter
from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET

from edge_api.controllers.auth import Caller, authenticated
from edge_api.controllers.envelope import Envelope, ok, timestamp
from edge_api.controllers.idempotency import CLAIM, CLAIM_FOR_EFFECT, DryRun
from edge_api.controllers.openapi import answers, errors
from edge_api.controllers.schemas import (
    CreateJobBody,
    ExecuteBody,
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
    Progress,
    UploadConfirmed,
)
from edge_api.domain.jobs import ItemStatus
from edge_api.services import Services
from edge_api.services.cost import Preview
from edge_api.services.idempotency import Claim
from edge_api.services.jobs import ExecuteRequest
from edge_api.services.links import DownloadLink
from edge_api.storage.jobs import Item, ItemState, Job
from shared.logs import also_log

CURSOR = r"^job_[0-9a-f]{32}$"


class JobController(Controller):
    tags = ("Jobs",)
    guards = (authenticated,)

    @post(
        "/jobs",
        operation_id="CreateJob",
        dependencies=CLAIM,
        responses=errors(
            "TOKEN",
            "KEYED",
            "VALIDATION_ERROR",
            "CREDITS_EXHAUSTED",
            "ITEM_LIMIT",
            "INVALID_PRESET",
            "CONCURRENCY_LIMIT",
        ),
    )
    async def create_job(
        self,
        request: Caller,
        services: NamedDependency[Services],
        claim: NamedDependency[Claim],
        data: JSONBody[CreateJobBody],
    ) -> Envelope[JobCreated]:
        """Reserve one credit per photo and get a presigned URL to upload each.

        At the plan's limit the oldest job that was never confirmed gives way and is refunded.
        """
        if claim.result is None:
            job_id, links = await services.jobs.create(
                request.user, data.preset, data.item_count, claim
            )
        else:
            job_id, count = claim.result, range(data.item_count)
            links = await services.links.uploads(request.user, job_id, count)
        also_log(job_id=job_id)
        return ok(
            JobCreated(
                job_id=job_id,
                presigned_urls=links,
                expires_at=timestamp(services.links.uploads_expire_at()),
            )
        )

    @get("/jobs", operation_id="ListJobs", responses=errors("TOKEN", "VALIDATION_ERROR"))
    async def list_jobs(
        self,
        request: Caller,
        services: NamedDependency[Services],
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, QueryParameter(pattern=CURSOR)] = None,
    ) -> Envelope[list[JobSummaryView]]:
        """The caller's jobs, newest first; `meta.next_cursor` is there where the list goes on."""
        jobs = await services.jobs.page(request.user, limit + 1, cursor)
        page = jobs[:limit]
        return ok([_summary(job) for job in page], page[-1].id if len(jobs) > limit else None)

    @get("/jobs/{job_id:str}", operation_id="GetJob", responses=errors("TOKEN", "JOB_NOT_FOUND"))
    async def get_job(
        self, request: Caller, services: NamedDependency[Services], job_id: FromPath[str]
    ) -> Envelope[JobData]:
        """State and results of a job; made to be polled every 3 s.

        Download URLs stay the same within an hour, so pictures can be cached by their URL.
        """
        job, states = await services.jobs.fetch(request.user, job_id)
        done = [state.idx for state in states if state.status is ItemStatus.DONE]
        links = await services.links.downloads(job, done)
        return ok(JobData(_job(job, states, links)))

    @get(
        "/jobs/{job_id:str}/items/{idx:int}",
        operation_id="GetItem",
        responses=errors("TOKEN", "JOB_NOT_FOUND", "NOT_FOUND"),
    )
    async def get_item(
        self,
        request: Caller,
        services: NamedDependency[Services],
        job_id: FromPath[str],
        idx: FromPath[int],
    ) -> Envelope[ItemData]:
        """One photo in full: masks, instance data, timings, warnings."""
        job, item = await services.jobs.fetch_item(request.user, job_id, idx)
        if item.status is not ItemStatus.DONE:
            return ok(ItemData(_item(item), {}))
        links = services.links.item(job, item)
        return ok(
            ItemData(
                item=_item(item),
                mask_urls=links.masks,
                output_url=links.output_url,
                preview_url=links.preview_url,
                instances_url=links.instances_url,
            )
        )

    @post(
        "/jobs/{job_id:str}/confirm-upload",
        operation_id="ConfirmUpload",
        dependencies=CLAIM,
        status_code=200,
        responses=errors(
            "TOKEN",
            "KEYED",
            "JOB_NOT_FOUND",
            "INVALID_TRANSITION",
            "ALREADY_CANCELED",
            "UNAVAILABLE",
        ),
    )
    async def confirm_upload(
        self,
        request: Caller,
        services: NamedDependency[Services],
        claim: NamedDependency[Claim],
        job_id: FromPath[str],
    ) -> Envelope[UploadConfirmed]:
        """Say that every photo is uploaded. A 409 names the ones that are not there."""
        job = await services.jobs.confirm(request.user, job_id, claim)
        return ok(UploadConfirmed(job.id, job.status))

    @post(
        "/jobs/{job_id:str}/execute",
        operation_id="ExecuteJob",
        dependencies=CLAIM_FOR_EFFECT,
        status_code=202,
        responses={
            202: answers(JobQueued, "The job is queued."),
            200: answers(JobPreview, "With `dry_run`: nothing has happened."),
            **errors(
                "TOKEN",
                "KEYED",
                "VALIDATION_ERROR",
                "JOB_NOT_FOUND",
                "RULE_NOT_FOUND",
                "INVALID_TRANSITION",
                "ALREADY_CANCELED",
            ),
        },
    )
    async def execute_job(
        self,
        request: Caller,
        services: NamedDependency[Services],
        claim: NamedDependency[Claim],
        job_id: FromPath[str],
        data: JSONBody[ExecuteBody],
        dry_run: DryRun = False,
    ) -> Response[Envelope[JobQueued] | Envelope[JobPreview]]:
        """Queue the job with what to do. The same body again answers as the first did.

        A dry run is refused where executing is, and of a job that was executed before.
        """
        wanted = _execute_request(data)
        if dry_run:
            preview = await services.previews.preview(request.user, job_id, wanted)
            return Response(ok(_preview(preview)), status_code=200)
        job = await services.jobs.execute(request.user, job_id, wanted, claim)
        queued = JobQueued(
            job_id=job.id,
            status=job.status,
            concepts=job.concepts or {},
            protect=job.protect or [],
            warnings=job.warnings or [],
        )
        return Response(ok(queued), status_code=202)

    @post(
        "/jobs/{job_id:str}/cancel",
        operation_id="CancelJob",
        dependencies=CLAIM,
        status_code=200,
        responses=errors("TOKEN", "KEYED", "JOB_NOT_FOUND", "INVALID_TRANSITION"),
    )
    async def cancel_job(
        self,
        request: Caller,
        services: NamedDependency[Services],
        claim: NamedDependency[Claim],
        job_id: FromPath[str],
    ) -> Envelope[JobCanceled]:
        """Stop a job and refund what is not done; done items stay downloadable."""
        job = await services.jobs.cancel(request.user, job_id, claim)
        return ok(JobCanceled(job.id, job.refunded))


def _execute_request(body: ExecuteBody) -> ExecuteRequest:
    return ExecuteRequest(
        concepts=body.concepts,
        protect=body.protect,
        rule_id=body.rule_id,
        output_template=body.output_template,
        protect_defaults=body.protect_defaults is not False,
    )


def _preview(preview: Preview) -> JobPreview:
    job, execution = preview.job, preview.execution
    return JobPreview(
        job_id=job.id,
        status=job.status,
        concepts=execution.concepts,
        protect=execution.protect,
        warnings=execution.warnings,
        items=job.total_items,
        credits=job.total_items - job.refunded,
        estimate=preview.estimate,
        output_template=execution.output_template or UNSET,
    )


def _summary(job: Job) -> JobSummaryView:
    return JobSummaryView(
        job_id=job.id,
        status=job.status,
        preset=job.preset,
        created_at=timestamp(job.created_at),
        progress=Progress(job.done_items, job.failed_items, job.total_items),
    )


def _job(job: Job, states: list[ItemState], links: list[DownloadLink]) -> JobView:
    ended = Counter(state.status for state in states)
    return JobView(
        job_id=job.id,
        status=job.status,
        preset=job.preset,
        total_items=job.total_items,
        done_items=ended[ItemStatus.DONE],
        failed_items=ended[ItemStatus.FAILED],
        refunded=job.refunded,
        created_at=timestamp(job.created_at),
        items=[_state(state) for state in states],
        download_urls=links,
        concepts=UNSET if job.concepts is None else job.concepts,
        protect=UNSET if job.protect is None else job.protect,
        warnings=UNSET if job.warnings is None else job.warnings,
        output_template=job.output_template or UNSET,
    )


def _state(state: ItemState) -> ItemStateView:
    if state.error is None:
        return ItemStateView(state.idx, state.status)
    return ItemStateView(state.idx, state.status, state.error.message, state.error.code)


def _item(item: Item) -> ItemView:
    return ItemView(
        idx=item.idx,
        status=item.status,
        warnings=item.warnings or [],
        error=item.error.message if item.error else UNSET,
        error_code=item.error.code if item.error else UNSET,
        timings=UNSET if item.timings is None else item.timings,
        report=UNSET if item.report is None else item.report,
    )
