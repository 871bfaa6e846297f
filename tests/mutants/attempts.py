"""Defences of the work: who may report, what is sent again, and what is not sent twice."""

from tests.mutants.defence import Defence
from tests.mutants.suites import CALLBACKS, DISPATCH, MODEL, RECONCILE

DEFENCES = [
    Defence(
        name="superseded attempts are fenced",
        why="A worker that was replaced must not write beside the one that replaced it.",
        file="edge_api/services/callbacks.py",
        text="""    if dispatch.attempt < last_attempt(connection, job_id):
        raise Superseded
""",
        instead="",
        noticed_by=(f"{CALLBACKS}::test_a_replaced_attempt_is_superseded", MODEL),
    ),
    Defence(
        name="an item ends once",
        why="A callback that comes twice, or says something else later, changes nothing.",
        file="edge_api/storage/jobs.py",
        text="""            items.c.idx == result.idx,
            items.c.status == ItemStatus.PENDING,
""",
        instead="""            items.c.idx == result.idx,
""",
        noticed_by=(f"{CALLBACKS}::test_an_item_ends_once", MODEL),
    ),
    Defence(
        name="a job that ended takes no results",
        why="Late news of a job that was ended or canceled must not open it again.",
        file="edge_api/storage/jobs.py",
        text="""        .where(jobs.c.id == job_id, jobs.c.status.in_(WORKING))
        .values(status=JobStatus.RUNNING""",
        instead="""        .where(jobs.c.id == job_id)
        .values(status=JobStatus.RUNNING""",
        noticed_by=(
            f"{CALLBACKS}::test_a_late_item_after_the_job_ended_changes_nothing",
            f"{RECONCILE}::test_news_of_a_canceled_job_change_nothing",
            MODEL,
        ),
    ),
    Defence(
        name="results are the job's own",
        why="A worker of one job must not point another user's photos at its own.",
        file="edge_api/services/callbacks.py",
        text="    check_keys(job, result)\n",
        instead="",
        noticed_by=(f"{CALLBACKS}::test_what_is_not_this_job_s_is_refused", MODEL),
    ),
    Defence(
        name="a doubtful submit is not repeated blindly",
        why="Runpod may have the job although its answer was lost: sent again, two would work.",
        file="edge_api/services/dispatch.py",
        text="record_uncertain(connection, dispatch.id, text, now + patience.uncertain)",
        instead="record_refused(connection, dispatch.id, text, now)",
        noticed_by=(f"{DISPATCH}::test_what_runpod_may_have_is_not_sent_twice_blindly",),
    ),
    Defence(
        name="a late answer does not undo a cancel",
        why="Runpod's answer may come after the job was canceled: it tells whom to stop.",
        file="edge_api/storage/dispatches.py",
        text="(dispatches.c.state.in_(IN_DOUBT), DispatchState.SUBMITTED.value),",
        instead="(dispatches.c.id == dispatch_id, DispatchState.SUBMITTED.value),",
        noticed_by=(
            f"{DISPATCH}::test_an_answer_that_comes_after_a_cancel_still_tells_what_to_cancel",
        ),
    ),
    Defence(
        name="leases keep others away",
        why="Of dispatchers side by side only one submits a row.",
        file="edge_api/storage/dispatches.py",
        text=".where(condition, dispatches.c.next_at <= now)",
        instead=".where(condition)",
        noticed_by=(
            f"{DISPATCH}::test_nothing_is_claimed_before_its_time",
            f"{RECONCILE}::test_rows_are_asked_about_when_due_and_leased_meanwhile",
        ),
    ),
    Defence(
        name="only what is missing goes again",
        why="A photo that is done and paid is neither worked on again nor written over.",
        file="edge_api/storage/jobs.py",
        text="""        select(items.c.idx, items.c.input_etag)
        .where(items.c.job_id == job_id, items.c.status == ItemStatus.PENDING)
""",
        instead="""        select(items.c.idx, items.c.input_etag)
        .where(items.c.job_id == job_id)
""",
        noticed_by=(
            f"{DISPATCH}::test_the_message_holds_only_the_items_that_are_missing",
            f"{RECONCILE}::test_what_may_pass_is_tried_again_with_only_what_is_missing",
            MODEL,
        ),
    ),
    Defence(
        name="a failure that may pass is not final",
        why="Storage that is down for a minute must not cost a photo while attempts are left.",
        file="edge_api/services/settlement.py",
        text="""    if result.error is not None and result.error.retryable and not last_chance:
        return False
""",
        instead="",
        noticed_by=(
            f"{RECONCILE}::test_what_may_pass_is_tried_again_with_only_what_is_missing",
            MODEL,
        ),
    ),
    Defence(
        name="the worker stops at a 409",
        why="A worker whose attempt was replaced burns a GPU for nothing.",
        file="gpu_handler/callback.py",
        text="    if answer.status_code == 409:\n",
        instead="    if answer.status_code == 410:\n",
        noticed_by=(
            "tests/gpu_handler/test_callback.py::test_conflict_means_that_the_attempt_is_over",
            "tests/gpu_handler/pipeline/test_stopping.py"
            "::test_superseded_job_stops_and_stores_nothing_more",
        ),
    ),
    Defence(
        name="the photo is the one that was confirmed",
        why="An upload URL lives on after the confirmation; a photo swapped then is refused.",
        file="gpu_handler/pipeline/item.py",
        text="            etag=item.input_etag,\n",
        instead="",
        noticed_by=(
            "tests/gpu_handler/pipeline/test_job.py"
            "::test_photo_that_was_swapped_after_its_confirmation_is_refused",
        ),
    ),
    Defence(
        name="the store compares the photo",
        why="The comparison is the store's, in one step with the download.",
        file="shared/objects.py",
        text=""", IfMatch=f'"{etag}"')""",
        instead=")",
        noticed_by=(
            "tests/edge_api/controllers/test_uploads.py::test_a_photo_is_remembered_as_it_was",
        ),
    ),
]
