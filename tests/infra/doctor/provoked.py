"""The mistakes that a doctor finds: each makes one, and says how it is met where that is not by
an examination of everything."""

import dataclasses
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from infra.doctor.patient import Patient
from infra.doctor.service import look_at_callback_url
from infra.doctor.store import look_at_store
from tests.infra.deploy.serving import served
from tests.infra.doctor.ward import BUCKET, Ward, api, sentences

NOBODY = "http://127.0.0.1:9"
OTHER_SECRET = "another-secret-" + "x" * 32
ELSEWHERE = "https://web.example.com"


@dataclasses.dataclass(frozen=True)
class Case:
    """A deployment that is well, and the environment of its API."""

    ward: Ward
    environ: dict[str, str]
    folder: Path

    @contextmanager
    def other_api(self, **changes: str) -> Generator[str]:
        """Another process of the API, in another environment."""
        with served(api(self.environ | changes)) as url:
            yield url


Mistake: TypeAlias = Callable[[Case], list[str] | None]


def here(**changes: str) -> Mistake:
    """In the environment that the doctor shares with the API."""
    return lambda case: case.ward.environ.update(changes)


def there(**changes: str) -> Mistake:
    """In what workers are told."""
    return at_runpod(lambda case: case.ward.told().update(changes))


def at_runpod(make: Mistake) -> Mistake:
    """Met by the look at the endpoint, which is a quarter of the whole."""

    def met(case: Case) -> list[str]:
        make(case)
        return case.ward.endpoint_troubles()

    return met


def at_the_store(make: Mistake) -> Mistake:
    """Met by the look at the bucket."""

    def met(case: Case) -> list[str]:
        make(case)
        return sentences(look_at_store(Patient.from_env(case.ward.environ)))

    return met


def everywhere(worker: str, **changes: str) -> Mistake:
    def make(case: Case) -> None:
        case.ward.environ.update(changes)
        case.ward.told()[worker] = next(iter(changes.values()))

    return make


def two_jwt_secrets(case: Case) -> list[str]:
    apps = (api(case.environ), api(case.environ | {"JWT_SECRET": OTHER_SECRET}))
    turns = iter(range(1_000_000))

    async def whoever_is_next(scope: Any, receive: Any, send: Any) -> None:
        await apps[next(turns) % 2](scope, receive, send)

    with served(whoever_is_next) as url:
        case.ward.environ["PUBLIC_URL"] = url
        return case.ward.troubles()


def older_secret_here(case: Case) -> None:
    case.ward.environ["GPU_CALLBACK_SECRET"] = OTHER_SECRET
    case.ward.told()["GPU_CALLBACK_SECRET"] = OTHER_SECRET


def only_reads(case: Case) -> None:
    case.ward.both.r2.read_only = True


def older_r2_keys(case: Case) -> list[str]:
    with case.other_api(R2_SECRET_ACCESS_KEY="older") as url:
        case.ward.environ["PUBLIC_URL"] = url
        return case.ward.troubles()


def may_not_manage(case: Case) -> None:
    case.ward.both.runpod.forbidden = True


def may_not_run_jobs(case: Case) -> None:
    # The emulator of the job API goes on knowing the other key alone.
    case.ward.both.runpod.api_key = case.ward.environ["RUNPOD_API_KEY"] = "manages-alone"


def older_runpod_key(case: Case) -> list[str]:
    database = f"sqlite:///{case.folder / 'other.db'}"
    with case.other_api(RUNPOD_API_KEY="older", DATABASE_URL=database) as url:
        case.ward.environ["PUBLIC_URL"] = url
        return case.ward.troubles(photo=True)


SECRETS: dict[str, Mistake] = {
    "processes of the API with two `JWT_SECRET`": two_jwt_secrets,
    "another `GPU_CALLBACK_SECRET` here than at the API": older_secret_here,
    "another `GPU_CALLBACK_SECRET` at the workers": there(GPU_CALLBACK_SECRET=OTHER_SECRET),
    "a wrong `R2_ACCESS_KEY_ID` at the API": at_the_store(here(R2_ACCESS_KEY_ID="nobody")),
    "a wrong `R2_SECRET_ACCESS_KEY` at the API": here(R2_SECRET_ACCESS_KEY="nothing"),
    "an R2 token at the API that only reads": at_the_store(only_reads),
    "older R2 keys in the API's running process": older_r2_keys,
    "a wrong `STORAGE_ACCESS_KEY` at the workers": there(STORAGE_ACCESS_KEY="nobody"),
    "a wrong `STORAGE_SECRET_KEY` at the workers": there(STORAGE_SECRET_KEY="nothing"),
    "a wrong `RUNPOD_API_KEY`": at_runpod(here(RUNPOD_API_KEY="nobody")),
    "a `RUNPOD_API_KEY` that may not manage": at_runpod(may_not_manage),
    "a `RUNPOD_API_KEY` that may not run jobs": at_runpod(may_not_run_jobs),
    "an older `RUNPOD_API_KEY` in the API's running process": older_runpod_key,
}


def unreachable(case: Case) -> list[str]:
    return case.ward.troubles(api=case.ward.environ["PUBLIC_URL"], PUBLIC_URL=NOBODY)


def something_else(case: Case) -> list[str]:
    own = case.ward.environ["PUBLIC_URL"]
    return case.ward.troubles(api=own, PUBLIC_URL=case.ward.both.environ["R2_ENDPOINT_URL"])


def another_deployment(case: Case) -> list[str]:
    own = case.ward.environ["PUBLIC_URL"]
    with case.other_api(GPU_CALLBACK_SECRET=OTHER_SECRET) as url:
        return case.ward.troubles(api=own, PUBLIC_URL=url)


def known_here_alone(case: Case) -> list[str]:
    # Not an examination: Runpod has to be far away, where no test may go.
    far = {"RUNPOD_BASE_URL": "https://runpod.invalid/v2", "PUBLIC_URL": "http://localhost:8787"}
    patient = Patient.from_env(case.ward.environ | far)
    with case.ward.http() as http:
        return sentences(look_at_callback_url(http, patient))


def bucket_gone(case: Case) -> None:
    case.ward.both.r2.buckets.pop(BUCKET).close()
    case.ward.both.r2.settings.clear()


def deleted(case: Case) -> None:
    assert case.ward.both.deploy("destroy", "--yes") == 0


def scaled_to_zero(case: Case) -> None:
    assert case.ward.both.deploy("scale", "--to-zero") == 0


def page_unknown_to_the_api(case: Case) -> None:
    case.ward.environ["CORS_ORIGINS"] = ELSEWHERE
    case.ward.set_cors(ELSEWHERE)


PLACES: dict[str, Mistake] = {
    "the API is not there": here(PUBLIC_URL=NOBODY),
    "a `PUBLIC_URL` that nobody answers": unreachable,
    "a `PUBLIC_URL` where something else answers": something_else,
    "a `PUBLIC_URL` of another deployment": another_deployment,
    "a `PUBLIC_URL` that only this machine knows": known_here_alone,
    "workers that may not call the host of `PUBLIC_URL`": there(
        CALLBACK_ALLOWED_HOSTS="api.example.com"
    ),
    "a wrong `R2_ACCOUNT_ID` or `R2_ENDPOINT_URL`, at the workers as well": everywhere(
        "STORAGE_S3_ENDPOINT", R2_ENDPOINT_URL=NOBODY
    ),
    "a wrong `R2_BUCKET_NAME`, at the workers as well": everywhere(
        "STORAGE_BUCKET", R2_BUCKET_NAME="s3-photos"
    ),
    "the bucket is not there": bucket_gone,
    "a wrong `STORAGE_BUCKET` at the workers": there(STORAGE_BUCKET="s3-photos"),
    "a wrong `STORAGE_S3_ENDPOINT` at the workers": there(STORAGE_S3_ENDPOINT=NOBODY),
    "a wrong `RUNPOD_ENDPOINT_ID`": at_runpod(here(RUNPOD_ENDPOINT_ID="endpoint9")),
    "the endpoint was deleted": deleted,
    "the endpoint was scaled to zero": at_runpod(scaled_to_zero),
    "a page that the API does not know": page_unknown_to_the_api,
    "a page that the bucket does not know": lambda case: case.ward.set_cors(ELSEWHERE),
}


def no_content_md5(case: Case) -> None:
    case.ward.both.r2.refused_headers = ("content-md5",)


def no_gpu(case: Case) -> None:
    case.ward.both.runpod.stock = dict.fromkeys(case.ward.both.runpod.stock, "NONE")


def stopped(line: str) -> Mistake:
    return at_runpod(lambda case: case.ward.add_worker("INITIALIZING", "starting", line))


CHECKSUMS: dict[str, Mistake] = {"a store that does not know `Content-MD5`": no_content_md5}

WORKERS: dict[str, Mistake] = {
    "no weights": stopped("SAM3_MODEL: sam3 is neither a folder nor the id of a hub repository"),
    "a token that may not read SAM3": stopped("HF_TOKEN: facebook/sam3 is gated, and no token is"),
    "a setting of the handler that does not fit": stopped(
        '{"level": "ERROR", "message": "STORAGE_BUCKET: is not set"}'
    ),
    "no GPU is free": at_runpod(no_gpu),
    "all GPUs are busy": at_runpod(lambda case: case.ward.add_worker("THROTTLED")),
}
