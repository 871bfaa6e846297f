"""What a doctor says of a deployment that is well, and what test_mistakes.py leaves out."""

import pytest

from infra.doctor.clocks import judge_clocks
from infra.doctor.command import main
from infra.doctor.findings import Mark
from tests.infra.doctor.ward import Ward


def only(sentences: list[str]) -> str:
    (sentence,) = sentences
    return sentence


def test_nothing_is_wrong_with_what_apply_made(well: Ward) -> None:
    found = well.examine()
    assert {finding.mark for finding in found} <= {Mark.OK, Mark.NOTE}
    parts = [finding.part for finding in found]
    assert (
        parts
        == [*["clocks", "bucket", "api", "tokens", "callback", "callback"], "pages"]
        + ["endpoint"] * 3
    )


def test_an_endpoint_without_workers_is_cold_and_not_ill(well: Ward) -> None:
    notes = [finding.sentence for finding in well.examine() if finding.mark is Mark.NOTE]
    assert notes == ["No worker runs, since there is no job: the first photo waits for one."]


def test_this_machines_own_clock() -> None:
    offsets = {"this machine": 0.0, "the API": 600.0, "the object store": 601.0, "Runpod": 600.5}
    (finding,) = judge_clocks(offsets)
    assert finding.sentence.startswith("The clock of this machine is 10 minutes behind")


def test_two_clocks_alone_do_not_tell_which_is_wrong() -> None:
    (finding,) = judge_clocks({"this machine": 0.0, "the API": 600.0})
    assert finding.sentence.startswith("The clocks of this machine and the API are 10 minutes")
    assert judge_clocks({"this machine": 0.0, "the API": 60.0}) == []


def test_a_worker_that_is_unhealthy_without_a_word(well: Ward) -> None:
    well.both.runpod.add_worker(well.both.endpoint_id, "UNHEALTHY", "starting")
    assert "1 workers are unhealthy" in only(well.endpoint_troubles())


def test_a_callback_url_that_nobody_answers(well: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    url = well.environ["PUBLIC_URL"]
    well.environ["PUBLIC_URL"] = "http://127.0.0.1:9"
    assert main(["--no-photo", "--api", url], well.environ) == 1
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("trouble")]
    assert "PUBLIC_URL, http://127.0.0.1:9, cannot be reached" in line


def test_a_photo_is_only_sent_to_a_deployment_that_is_well(well: Ward) -> None:
    well.set_cors("https://other.example.com")
    last = well.examine(photo=True)[-1]
    assert last.sentence == "No photo is sent before the rest is well."


def test_a_photo_that_no_worker_takes(well: Ward) -> None:
    found = well.examine(photo=True)
    assert "The photo did not come back: job " in found[-2].sentence
    assert found[-1].sentence == "A job waits and Runpod starts no worker for it."


def test_the_command_prints_a_line_for_each_finding_and_no_secret(
    well: Ward, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--no-photo"], well.environ) == 0
    out = capsys.readouterr().out
    assert "ok      tokens    A new account's token holds, 6 times." in out
    assert out.endswith("All is well.\n")
    secrets = ("GPU_CALLBACK_SECRET", "R2_SECRET_ACCESS_KEY", "RUNPOD_API_KEY", "JWT_SECRET")
    assert not [name for name in secrets if well.environ[name] in out]


def test_secrets_of_runpods_own_are_told_and_not_guessed_at(well: Ward) -> None:
    well.told()["GPU_CALLBACK_SECRET"] = "{{ RUNPOD_SECRET_palette_gpu_callback_secret }}"
    well.told()["STORAGE_SECRET_KEY"] = "{{ RUNPOD_SECRET_palette_storage_secret_key }}"
    assert well.endpoint_troubles() == []
    notes = [one.sentence for one in well.examine() if one.mark is Mark.NOTE]
    assert any(
        one.startswith("GPU_CALLBACK_SECRET, STORAGE_SECRET_KEY of the workers are")
        for one in notes
    )


def test_workers_may_have_a_key_of_their_own(well: Ward) -> None:
    well.environ["R2_SECRET_ACCESS_KEY"] = "nothing"
    sentence = only(well.troubles())
    assert sentence.startswith("The object store does not take this pair of R2 keys")
