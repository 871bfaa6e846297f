"""The commands against the emulators of Runpod's REST v2 and of R2."""

import json

import pytest

from shared.objects import ObjectStore
from tests.infra.deploy.cloud import CALLBACK_SECRET, Cloud

Out = pytest.CaptureFixture[str]


def test_a_plan_shows_everything_that_would_be_made_and_makes_nothing(
    both: Cloud, capsys: Out
) -> None:
    assert both.deploy("plan") == 0
    out = capsys.readouterr().out
    assert "+ R2 bucket s3-images will be created" in out
    assert "+ GPU pools: ADA_24, AMPERE_24, 1 a worker" in out
    assert "~ inputs/ deleted after days: none -> 10" in out
    assert "+ env GPU_CALLBACK_SECRET (from GPU_CALLBACK_SECRET, not shown)" in out
    assert "set Model to facebook/sam3" in out
    assert "Standing by costs nothing" in out
    assert "up to 3 workers, at up to $1.10 an hour each" in out
    assert "4 of 4 to do." in out
    assert both.writes == []


def test_apply_makes_what_the_file_says(both: Cloud) -> None:
    assert both.deploy("apply") == 0
    endpoint = both.runpod.endpoints[both.endpoint_id]
    assert endpoint["type"] == "QUEUE"
    assert endpoint["workers"] == {"min": 0, "max": 3, "idleTimeout": 30}
    assert endpoint["flashboot"] == "FLASHBOOT"
    assert endpoint["gpu"]["minCudaVersion"] == "12.6"
    assert endpoint["timeout"] == 900_000
    assert endpoint["env"] == {
        "STORAGE_S3_ENDPOINT": both.environ["R2_ENDPOINT_URL"],
        "STORAGE_BUCKET": "s3-images",
        "SEGMENTER": "sam3",
        "CALLBACK_ALLOWED_HOSTS": "127.0.0.1",
        "GPU_CALLBACK_SECRET": CALLBACK_SECRET,
        "STORAGE_ACCESS_KEY": "r2-access-key",
        "STORAGE_SECRET_KEY": "r2-secret-key",
    }
    assert b"https://app.example.com" in both.r2.settings["s3-images", "cors"]
    lifecycle = both.r2.settings["s3-images", "lifecycle"]
    assert lifecycle.count(b"<Days>10</Days>") == 1
    assert lifecycle.count(b"<Days>33</Days>") == 3


def test_a_second_apply_changes_nothing(both: Cloud, capsys: Out) -> None:
    both.deploy("apply")
    before = both.writes
    assert both.deploy("apply") == 0
    assert both.deploy("plan") == 0
    assert both.writes == before
    assert "Nothing to do." in capsys.readouterr().out


CHANGES = {
    "image": (":0.1.0", ":0.2.0", ["~ image"]),
    "pools": ('["ADA_24", "AMPERE_24"]', '["AMPERE_24"]', ["~ GPU pools: ADA_24, AMPERE_24"]),
    "floor gone": ('min_cuda_version = "12.6"', "", ["~ CUDA, at least: 12.6 -> none"]),
    "workers": ('cached_model = "facebook/sam3"', "workers_max = 5", ["workers, at most: 3 -> 5"]),
    "variable": ('SEGMENTER = "sam3"', 'MASK_EDGES = "soft"', ["- env SEGMENTER", "+ env MASK"]),
    "origin": ("app.example", "web.example", ["- https://app.example.com", "+ https://web."]),
    "days": (
        "input_retention_days = 7",
        "input_retention_days = 0",
        ["inputs/ deleted after days: 10 -> none"],
    ),
    "no origin": ('cors_origins = ["https://app.example.com"]', "", ["- https://app.example.com"]),
}


@pytest.mark.parametrize(("old", "new", "lines"), CHANGES.values(), ids=CHANGES)
def test_what_changed_in_the_file_is_shown_and_changed(
    applied: Cloud, capsys: Out, old: str, new: str, lines: list[str]
) -> None:
    applied.write(old, new)
    applied.deploy("plan")
    out = capsys.readouterr().out
    for line in lines:
        assert line in out
    count = len(applied.writes)
    assert applied.deploy("apply") == 0
    assert len(applied.writes) == count + 1


def test_what_somebody_clicked_is_shown_and_taken_back(applied: Cloud, capsys: Out) -> None:
    endpoint = applied.runpod.endpoints[applied.endpoint_id]
    endpoint["workers"]["min"] = 2
    endpoint["env"]["GPU_CALLBACK_SECRET"] = "another"
    endpoint["env"]["RUNPOD_ADDED"] = "by the platform"
    applied.deploy("plan")
    out = capsys.readouterr().out
    assert "~ workers, at least: 2 -> 0" in out
    assert "~ env GPU_CALLBACK_SECRET (from GPU_CALLBACK_SECRET, not shown)" in out
    assert "RUNPOD_ADDED" not in out
    assert applied.deploy("apply") == 0
    assert endpoint["workers"]["min"] == 0
    assert endpoint["env"]["GPU_CALLBACK_SECRET"] == CALLBACK_SECRET
    assert endpoint["env"]["RUNPOD_ADDED"] == "by the platform"


def test_an_apply_that_was_interrupted_goes_on(both: Cloud) -> None:
    both.runpod.forbidden = True
    assert both.deploy("apply") == 1
    assert both.writes == []  # the look comes first
    both.runpod.forbidden = False
    both.r2.add("s3-images")  # as if the first step had been the last
    assert both.deploy("apply") == 0
    assert "create s3-images" not in both.writes
    assert len(both.runpod.endpoints) == 1


def test_a_create_whose_answer_was_lost_makes_one_endpoint(both: Cloud) -> None:
    both.runpod.lose_answers = 1
    assert both.deploy("apply") == 0
    assert len(both.runpod.endpoints) == 1


def test_a_create_that_failed_leaves_the_rest_to_the_next_apply(both: Cloud, capsys: Out) -> None:
    looked = {"status": 502, "detail": "bad gateway"}
    both.runpod.failures = [looked] * 3
    assert both.deploy("apply") == 1
    assert "Runpod is in trouble (GET /serverless answered 502). bad gateway" in (
        capsys.readouterr().err
    )
    assert both.deploy("apply") == 0


def test_rules_of_others_in_the_lifecycle_stay(both: Cloud) -> None:
    both.r2.add("s3-images")
    both.r2.settings["s3-images", "lifecycle"] = (
        b'<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>'
        b"<ID>Default Multipart Abort Rule</ID><Status>Enabled</Status><Filter><Prefix></Prefix>"
        b"</Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>"
        b"</AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>"
    )
    assert both.deploy("apply") == 0
    assert b"Default Multipart Abort Rule" in both.r2.settings["s3-images", "lifecycle"]
    assert b"palette-inputs" in both.r2.settings["s3-images", "lifecycle"]


@pytest.mark.parametrize("command", ["plan", "apply", "status"])
def test_no_secret_is_printed(both: Cloud, capsys: Out, command: str) -> None:
    both.deploy(command)
    both.runpod.failures = [
        {"status": 400, "detail": f"env.GPU_CALLBACK_SECRET {CALLBACK_SECRET} is odd"}
    ]
    both.deploy(command)
    told = capsys.readouterr()
    assert "*** is odd" in told.err
    for secret in (CALLBACK_SECRET, "r2-secret-key", "rest-api-key"):
        assert secret not in told.out + told.err
    assert [path.name for path in both.file.parent.iterdir()] == ["deploy.toml"]


def test_status_tells_id_workers_and_bucket(both: Cloud, capsys: Out) -> None:
    both.deploy("status")
    assert "There is no endpoint palette at Runpod." in capsys.readouterr().out
    both.deploy("apply")
    both.runpod.add_worker(both.endpoint_id, "IDLE")
    capsys.readouterr()
    assert both.deploy("status") == 0
    out = capsys.readouterr().out
    assert f"RUNPOD_ENDPOINT_ID={both.endpoint_id}" in out
    assert "Workers now: 1 idle." in out
    assert "pages of https://app.example.com" in out


def test_scaling_to_zero_switches_off_and_apply_on(applied: Cloud, capsys: Out) -> None:
    assert applied.deploy("scale", "--to-zero") == 0
    endpoint = applied.runpod.endpoints[applied.endpoint_id]
    assert endpoint["workers"] == {"min": 0, "max": 0, "idleTimeout": 30}
    applied.deploy("status")
    assert "It is switched off" in capsys.readouterr().out
    assert applied.deploy("scale", "--workers", "1", "4") == 0
    assert endpoint["workers"] == {"min": 1, "max": 4, "idleTimeout": 30}
    assert applied.deploy("scale", "--workers", "4", "1") == 1
    assert applied.deploy("apply") == 0
    assert endpoint["workers"] == {"min": 0, "max": 3, "idleTimeout": 30}


def test_destroy_asks_and_leaves_the_bucket(applied: Cloud, capsys: Out) -> None:
    assert applied.deploy("destroy", typed="no") == 1
    assert len(applied.runpod.endpoints) == 1
    assert applied.deploy("destroy", typed="palette") == 0
    assert applied.runpod.endpoints == {}
    assert applied.runpod.writes[-2:] == ["PATCH", "DELETE"]
    assert "The bucket s3-images stays: 0 objects" in capsys.readouterr().out
    assert "s3-images" in applied.r2.buckets
    assert applied.deploy("destroy", "--yes") == 0  # again: nothing is there, and that is fine


def test_a_bucket_with_objects_goes_only_with_both_words(applied: Cloud, capsys: Out) -> None:
    _put(applied, "inputs/u/j/0.jpg")
    assert applied.deploy("destroy", "--yes", "--with-bucket") == 1
    assert "is not empty" in capsys.readouterr().err
    assert applied.deploy("destroy", "--yes", "--delete-objects") == 2
    assert "s3-images" in applied.r2.buckets
    assert applied.deploy("destroy", "--yes", "--with-bucket", "--delete-objects") == 0
    assert applied.r2.buckets == {}


def test_an_empty_bucket_goes_when_asked(applied: Cloud) -> None:
    assert applied.deploy("destroy", "--yes", "--with-bucket") == 0
    assert applied.r2.buckets == {}


def _put(both: Cloud, key: str) -> None:
    keys = (both.environ["R2_ACCESS_KEY_ID"], both.environ["R2_SECRET_ACCESS_KEY"])
    ObjectStore(both.environ["R2_ENDPOINT_URL"], "s3-images", *keys).put(key, b"x", "text/plain")


TROUBLE = {
    "wrong key": ({"RUNPOD_API_KEY": "nobody"}, "Runpod does not know this RUNPOD_API_KEY"),
    "nobody listens": ({"RUNPOD_REST_URL": "http://127.0.0.1:9/v2"}, "Runpod does not answer"),
    "wrong R2 key": ({"R2_ACCESS_KEY_ID": "nobody"}, "does not take this pair of R2 keys"),
    "no R2": ({"R2_ENDPOINT_URL": "http://127.0.0.1:9"}, "The object store does not answer"),
}


@pytest.mark.parametrize(("changes", "sentence"), TROUBLE.values(), ids=TROUBLE)
def test_each_trouble_is_one_sentence(
    both: Cloud, capsys: Out, changes: dict[str, str], sentence: str
) -> None:
    both.environ.update(changes)
    assert both.deploy("plan") == 1
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


def test_a_key_that_may_not_change_the_bucket_is_named(both: Cloud, capsys: Out) -> None:
    both.r2.denied = True
    both.r2.add("s3-images")
    assert both.deploy("apply") == 1
    assert "'Admin Read & Write', in R2_ADMIN_ACCESS_KEY_ID" in capsys.readouterr().err


def test_an_admin_key_is_taken_for_the_bucket_and_not_for_the_worker(both: Cloud) -> None:
    both.environ["R2_ADMIN_ACCESS_KEY_ID"] = "r2-access-key"
    both.environ["R2_ADMIN_SECRET_ACCESS_KEY"] = "r2-secret-key"
    both.environ["R2_ACCESS_KEY_ID"] = "objects-only"
    assert both.deploy("apply") == 0
    env = both.runpod.endpoints[both.endpoint_id]["env"]
    assert env["STORAGE_ACCESS_KEY"] == "objects-only"


def test_a_variable_that_is_missing_is_named(both: Cloud, capsys: Out) -> None:
    del both.environ["GPU_CALLBACK_SECRET"]
    assert both.deploy("apply") == 2
    assert "GPU_CALLBACK_SECRET: is not set" in capsys.readouterr().err
    assert both.writes == []


def test_two_endpoints_of_one_name_are_left_alone(applied: Cloud, capsys: Out) -> None:
    twin = applied.runpod.endpoints[applied.endpoint_id] | {"id": "twin", "name": "palette -fb"}
    applied.runpod.endpoints["twin"] = json.loads(json.dumps(twin))
    assert applied.deploy("apply") == 1
    assert "2 endpoints are named palette" in capsys.readouterr().err


FILES = {
    "min above max": ('min_cuda_version = "12.6"', "workers_min = 9", "workers_min is above"),
    "four pools": ('"ADA_24", ', '"A", "B", "C", ', "endpoint.gpu_pools"),
    "unknown field": ("[bucket]", "[bucket]\ncolour = 1", "colour"),
    "no version": (":0.1.0", "", "needs a version or a digest"),
    "latest": (":0.1.0", ":latest", "needs a version or a digest"),
    "path in an origin": ("app.example.com", "app.example.com/x", "must be like https://host"),
    "no TOML": ("[endpoint]", "[endpoint", "does not fit"),
}


@pytest.mark.parametrize(("old", "new", "sentence"), FILES.values(), ids=FILES)
def test_a_file_that_does_not_fit_is_refused_before_any_call(
    both: Cloud, capsys: Out, old: str, new: str, sentence: str
) -> None:
    both.write(old, new)
    both.environ["RUNPOD_REST_URL"] = "http://127.0.0.1:9/v2"
    assert both.deploy("apply") == 1
    assert sentence in capsys.readouterr().err
