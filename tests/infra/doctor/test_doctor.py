"""Each thing that can be wrong with a deployment, made wrong, and the one sentence about it."""

import time
from email.utils import formatdate
from typing import Any

import pytest

from infra.doctor.clocks import judge_clocks
from infra.doctor.command import main
from infra.doctor.findings import Mark
from tests.infra.deploy.serving import served
from tests.infra.doctor.ward import BUCKET, ORIGIN, Ward, api


def only(sentences: list[str]) -> str:
    (sentence,) = sentences
    return sentence


def test_nothing_is_wrong_with_what_apply_made(well: Ward) -> None:
    found = well.examine()
    assert {finding.mark for finding in found} <= {Mark.OK, Mark.NOTE}
    parts = [finding.part for finding in found]
    assert (
        parts
        == [*["clocks", "api", "tokens", "callback", "callback"], "bucket", "pages"]
        + ["endpoint"] * 3
    )


def test_an_endpoint_without_workers_is_cold_and_not_ill(well: Ward) -> None:
    notes = [finding.sentence for finding in well.examine() if finding.mark is Mark.NOTE]
    assert notes == ["No worker runs, since there is no job: the first photo waits for one."]


def test_another_callback_secret_here_than_at_the_api(well: Ward) -> None:
    other = "another-secret-" + "x" * 32
    well.environ["GPU_CALLBACK_SECRET"] = other
    well.both.runpod.endpoints[well.both.endpoint_id]["env"]["GPU_CALLBACK_SECRET"] = other
    assert "it has another one" in only(well.troubles())


def test_another_callback_secret_at_the_workers(well: Ward) -> None:
    well.both.runpod.endpoints[well.both.endpoint_id]["env"]["GPU_CALLBACK_SECRET"] = "old"
    assert "GPU_CALLBACK_SECRET of the workers is not the API's" in only(well.endpoint_troubles())


def test_processes_with_two_jwt_secrets(well: Ward, environ: dict[str, str]) -> None:
    here = api(environ)
    there = api(environ | {"JWT_SECRET": "another-secret-" + "k" * 32})

    class Balancer:
        """Whoever is next answers."""

        def __init__(self) -> None:
            self.turn = 0

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.turn += 1
            await (here, there)[self.turn % 2](scope, receive, send)

    with served(Balancer()) as url:
        well.environ["PUBLIC_URL"] = url
        assert "do not have the same JWT_SECRET" in only(well.troubles())


def test_an_origin_that_the_api_does_not_know(well: Ward) -> None:
    well.environ["CORS_ORIGINS"] = "https://web.example.com"
    well.set_cors("https://web.example.com")
    sentence = only(well.troubles())
    assert sentence.startswith("The API lets no page of https://web.example.com call it")


def test_an_origin_that_the_bucket_does_not_know(well: Ward) -> None:
    well.set_cors("https://other.example.com")
    up, down = well.troubles()
    assert f"The bucket lets no page of {ORIGIN} upload to it" in up
    assert f"The bucket lets no page of {ORIGIN} download from it" in down


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_clock_of_the_api_that_is_ten_minutes_off(
    well: Ward, environ: dict[str, str], minutes: int
) -> None:
    app = api(environ)

    async def late(scope: Any, receive: Any, send: Any) -> None:
        async def dated(message: Any) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(time.time() + minutes * 60, usegmt=True).encode()
                message["headers"] = [*message["headers"], (b"date", date)]
            await send(message)

        await app(scope, receive, dated)

    with served(late, dated=False) as url:
        well.environ["PUBLIC_URL"] = url
        # The emulated API reads the real clock all the same, so the doctor's signature, made for
        # the clock that it was shown, is too old or too new for it.
        first, *_ = well.troubles()
    way = "ahead" if minutes > 0 else "behind"
    assert first.startswith(f"The clock of the API is 10 minutes {way}: set it by NTP")


def test_this_machines_own_clock() -> None:
    offsets = {"this machine": 0.0, "the API": 600.0, "the object store": 601.0, "Runpod": 600.5}
    (finding,) = judge_clocks(offsets)
    assert finding.sentence.startswith("The clock of this machine is 10 minutes behind")


def test_two_clocks_alone_do_not_tell_which_is_wrong() -> None:
    (finding,) = judge_clocks({"this machine": 0.0, "the API": 600.0})
    assert finding.sentence.startswith("The clocks of this machine and the API are 10 minutes")
    assert judge_clocks({"this machine": 0.0, "the API": 60.0}) == []


WORDS = {
    "no weights": (
        "SAM3_MODEL: sam3 is neither a folder nor the id of a hub repository",
        "A worker stops, since it has no weights: SAM3_MODEL: sam3 is neither",
    ),
    "gated": (
        "HF_TOKEN: facebook/sam3 is gated, and there is no token",
        "A worker stops, since it has no weights: HF_TOKEN: facebook/sam3 is gated",
    ),
    "another setting": (
        '{"level": "ERROR", "message": "STORAGE_BUCKET: is not set"}',
        "A worker stops before it takes a job: STORAGE_BUCKET: is not set",
    ),
}


@pytest.mark.parametrize(("line", "sentence"), WORDS.values(), ids=WORDS)
def test_what_a_worker_says_before_it_stops(well: Ward, line: str, sentence: str) -> None:
    well.both.runpod.add_worker(well.both.endpoint_id, "INITIALIZING", "starting", line)
    assert only(well.endpoint_troubles()).startswith(sentence)


def test_a_worker_that_is_unhealthy_without_a_word(well: Ward) -> None:
    well.both.runpod.add_worker(well.both.endpoint_id, "UNHEALTHY", "starting")
    assert "1 workers are unhealthy" in only(well.endpoint_troubles())


def test_no_gpu_is_free(well: Ward) -> None:
    well.both.runpod.stock = dict.fromkeys(well.both.runpod.stock, "NONE")
    assert "Runpod has no GPU free in ADA_24, AMPERE_24" in only(well.endpoint_troubles())


def test_workers_wait_for_a_gpu(well: Ward) -> None:
    well.both.runpod.add_worker(well.both.endpoint_id, "THROTTLED")
    assert "Workers wait for a free GPU in ADA_24, AMPERE_24" in only(well.endpoint_troubles())


def test_an_endpoint_that_was_scaled_to_zero(well: Ward) -> None:
    assert well.both.deploy("scale", "--to-zero") == 0
    assert "`deploy scale --workers 0 3` lets them run" in only(well.endpoint_troubles())


def test_an_endpoint_that_was_deleted(well: Ward) -> None:
    assert well.both.deploy("destroy", "--yes") == 0
    assert "it was deleted" in only(well.endpoint_troubles())


def test_a_bucket_that_is_not_there(well: Ward) -> None:
    well.both.r2.buckets.pop(BUCKET).close()
    well.both.r2.settings.clear()
    sentences = well.troubles()
    assert f"There is no bucket {BUCKET}: `deploy apply` creates it." in sentences
    assert "The API says that it is not well: storage is unavailable." in sentences


def test_a_store_that_refuses_checksums(well: Ward) -> None:
    well.both.r2.refuse_checksums = True
    sentence = only(well.troubles())
    assert "The store refuses the x-amz-checksum header with which boto3 would delete" in sentence


def test_a_key_of_the_bucket_that_is_wrong(well: Ward) -> None:
    well.environ["R2_SECRET_ACCESS_KEY"] = "wrong"
    assert "does not take this pair of R2 keys" in only(well.troubles())


def test_a_key_of_runpod_that_is_wrong(well: Ward) -> None:
    well.environ["RUNPOD_API_KEY"] = "wrong"
    assert "Runpod does not know this RUNPOD_API_KEY" in only(well.endpoint_troubles())


def test_a_callback_url_that_nobody_answers(well: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    url = well.environ["PUBLIC_URL"]
    well.environ["PUBLIC_URL"] = "http://127.0.0.1:9"
    assert main(["--no-photo", "--api", url], well.environ) == 1
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("trouble")]
    assert "PUBLIC_URL, http://127.0.0.1:9, cannot be reached" in line


def test_a_callback_url_that_only_this_machine_knows(well: Ward) -> None:
    well.environ["RUNPOD_BASE_URL"] = "https://runpod.invalid/v2"
    assert any("which no worker at Runpod can reach" in one for one in well.troubles())


def test_workers_that_may_not_call_this_host(well: Ward) -> None:
    env = well.both.runpod.endpoints[well.both.endpoint_id]["env"]
    env["CALLBACK_ALLOWED_HOSTS"] = "api.example.com"
    assert "CALLBACK_ALLOWED_HOSTS of the workers lacks 127.0.0.1" in only(well.endpoint_troubles())


def test_an_api_that_is_not_there(well: Ward) -> None:
    well.environ["PUBLIC_URL"] = "http://127.0.0.1:9"
    assert only(well.troubles()).startswith("The API does not answer at http://127.0.0.1:9")


def test_a_photo_is_only_sent_to_a_deployment_that_is_well(well: Ward) -> None:
    well.set_cors("https://other.example.com")
    last = well.examine(photo=True)[-1]
    assert last.sentence == "No photo is sent before the rest is well."


def test_a_photo_that_no_worker_takes(well: Ward) -> None:
    sentences = well.troubles(photo=True)
    assert "The photo did not come back: job " in sentences[0]
    assert sentences[1:] == ["A job waits and Runpod starts no worker for it."]


def test_the_command_prints_a_line_for_each_finding_and_no_secret(
    well: Ward, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--no-photo"], well.environ) == 0
    out = capsys.readouterr().out
    assert "ok      tokens    A new account's token holds, 6 times." in out
    assert out.endswith("All is well.\n")
    secrets = ("GPU_CALLBACK_SECRET", "R2_SECRET_ACCESS_KEY", "RUNPOD_API_KEY", "JWT_SECRET")
    assert not [name for name in secrets if well.environ[name] in out]


def test_a_setting_that_is_missing_is_named(well: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    del well.environ["RUNPOD_ENDPOINT_ID"]
    assert main([], well.environ) == 2
    assert "RUNPOD_ENDPOINT_ID: is not set" in capsys.readouterr().err
