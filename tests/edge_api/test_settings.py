"""The settings: each one that is missing or malformed is named, and no secret is shown."""

import pytest

from edge_api.settings import Settings
from shared.environment import SettingsError

COMPLETE = {
    "DATABASE_URL": "sqlite:///edge.db",
    "JWT_SECRET": "canary-jwt-qL7wZ0aVtB3nKxE9dRfYhU2mPs",
    "GPU_CALLBACK_SECRET": "canary-callback-gT5oJ1iWcN8kXyQ4bDzM6",
    "R2_ACCOUNT_ID": "abc123",
    "R2_ACCESS_KEY_ID": "access",
    "R2_SECRET_ACCESS_KEY": "canary-r2",
    "RUNPOD_API_KEY": "canary-runpod",
    "RUNPOD_ENDPOINT_ID": "endpoint1",
    "PUBLIC_URL": "https://api.test/",
}
REQUIRED = [name for name in COMPLETE if name != "DATABASE_URL"]


def read(**variables: str) -> Settings:
    return Settings.from_env(COMPLETE | variables)


def test_a_complete_environment() -> None:
    settings = read()
    assert settings.public_url == "https://api.test"
    assert settings.storage_endpoint == "https://abc123.r2.cloudflarestorage.com"
    assert settings.storage_bucket == "s3-images"
    assert settings.runpod_base_url == "https://api.runpod.ai/v2"
    assert (settings.upload_window, settings.execute_window) == (3600, 86400)
    assert (settings.token_lifetime, settings.batch_concurrency) == (30 * 86400, 4)
    assert settings.cors_origins == ()
    assert settings.log_level == "INFO"


@pytest.mark.parametrize(
    ("text", "nano_dollars"),
    [("", 310_000), ("0.00031", 310_000), ("0.00116", 1_160_000), ("0", 0), ("1.0", 10**9)],
)
def test_what_a_second_costs(text: str, nano_dollars: int) -> None:
    assert read(GPU_USD_PER_SECOND=text).gpu_rate == nano_dollars


def test_secrets_do_not_show() -> None:
    settings = read()
    assert "canary" not in repr(settings)
    assert "canary" not in f"{settings.jwt_secret} {settings.callback_secrets}"
    assert settings.jwt_secret.reveal() == COMPLETE["JWT_SECRET"]


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, "", "   "], ids=repr)
def test_a_missing_setting_is_named(name: str, value: str | None) -> None:
    environ = COMPLETE | {name: value or ""}
    if value is None:
        del environ[name]
    with pytest.raises(SettingsError, match=name):
        Settings.from_env(environ)


MALFORMED = [
    ("ENV", "prod"),
    ("DATABASE_URL", "nonsense"),
    ("DATABASE_URL", "mysql://localhost/db"),
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", "sqlite:///"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("DATABASE_URL", "sqlite:////no/such/folder/edge.db"),
    ("JWT_SECRET", "canary-too-short"),
    ("JWT_SECRET", "c" * 31),
    ("JWT_SECRET", "canary" * 6 + "\udcff"),
    ("JWT_SECRET", "c" * 32 + ",canary-too-short"),
    ("JWT_SECRET", " , "),
    ("JOB_SCHEMA_VERSION", "0"),
    ("JOB_SCHEMA_VERSION", "3"),
    ("JOB_SCHEMA_VERSION", "one"),
    ("GPU_CALLBACK_SECRET", "canary" * 6 + "\n" + "x" * 32),
    ("GPU_CALLBACK_SECRET", "canary-too-short"),
    ("GPU_CALLBACK_SECRET", "c" * 32 + ",canary-too-short"),
    ("GPU_CALLBACK_SECRET", ","),
    ("GPU_CALLBACK_SECRET", "whsec_canary-this-is-no-base64-at-all!!"),
    ("R2_ACCOUNT_ID", "abc/../evil"),
    ("R2_ACCOUNT_ID", "계정"),
    ("R2_ENDPOINT_URL", "localhost:9000"),
    ("R2_ENDPOINT_URL", "https://host/with/a/path"),
    ("R2_ENDPOINT_URL", "https://user:canary@host"),
    ("R2_ENDPOINT_URL", "ftp://host"),
    ("R2_ENDPOINT_URL", "http://host:port"),
    ("R2_ENDPOINT_URL", "http://host:99999"),
    ("R2_ENDPOINT_URL", "http://["),
    ("R2_BUCKET_NAME", "a/b"),
    ("GPU_USD_PER_SECOND", "-0.1"),
    ("GPU_USD_PER_SECOND", "1.1"),
    ("GPU_USD_PER_SECOND", "0,31"),
    ("GPU_USD_PER_SECOND", "nan"),
    ("GPU_USD_PER_SECOND", "0.0000000001"),
    ("R2_BUCKET_NAME", ".."),
    ("R2_ACCESS_KEY_ID", "two words"),
    ("R2_SECRET_ACCESS_KEY", "canary\nline"),
    ("RUNPOD_BASE_URL", "api.runpod.ai"),
    ("RUNPOD_API_KEY", "canary-é"),
    ("RUNPOD_API_KEY", "canary\r\nHost: evil"),
    ("RUNPOD_ENDPOINT_ID", "a/../b"),
    ("RUNPOD_ENDPOINT_ID", "a b"),
    ("PUBLIC_URL", "api.test"),
    ("PUBLIC_URL", "https://"),
    ("PUBLIC_URL", "https://api.test?x=1"),
    ("PUBLIC_URL", "javascript:alert(1)"),
    ("PUBLIC_URL", "https://api test"),
    ("CORS_ORIGINS", "app.test"),
    ("CORS_ORIGINS", "https://app.test/page"),
    ("CORS_ORIGINS", "https://app.test, nope"),
    ("LOG_LEVEL", "loud"),
    ("BATCH_CONCURRENCY", "0"),
    ("BATCH_CONCURRENCY", "-1"),
    ("BATCH_CONCURRENCY", "4.5"),
    ("BATCH_CONCURRENCY", "many"),
    ("BATCH_CONCURRENCY", "٤"),
    ("UPLOAD_WINDOW_SEC", "1h"),
    ("EXECUTE_WINDOW_SEC", "0"),
    ("TOKEN_LIFETIME_SEC", "9" * 20),
]


@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_a_malformed_setting_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{name: value})
    assert str(caught.value).startswith(name)
    assert "canary" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENV", "production"),
        ("JWT_SECRET", "c" * 32),
        ("JWT_SECRET", "비" * 11),
        ("JWT_SECRET", "a" * 32 + " , " + "b" * 32 + ","),
        ("JOB_SCHEMA_VERSION", "1"),
        ("JOB_SCHEMA_VERSION", "2"),
        ("GPU_CALLBACK_SECRET", "a" * 32 + " , " + "b" * 32),
        ("GPU_CALLBACK_SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
        ("R2_ENDPOINT_URL", "http://127.0.0.1:9000"),
        ("R2_ENDPOINT_URL", "http://[::1]:9000"),
        ("PUBLIC_URL", "https://api.test/v1/"),
        ("CORS_ORIGINS", "https://app.test,http://localhost:3000"),
        ("CORS_ORIGINS", "*"),
        ("LOG_LEVEL", "debug"),
    ],
)
def test_a_setting_that_fits(name: str, value: str) -> None:
    assert read(**{name: value})


def test_an_endpoint_of_one_s_own_needs_no_account() -> None:
    environ = COMPLETE | {"R2_ENDPOINT_URL": "http://localhost:9000/"}
    del environ["R2_ACCOUNT_ID"]
    assert Settings.from_env(environ).storage_endpoint == "http://localhost:9000"


def test_the_current_secret_comes_first() -> None:
    new, old = "n" * 32, "o" * 32
    callbacks = read(GPU_CALLBACK_SECRET=f"{new},{old}").callback_secrets
    assert [secret.reveal() for secret in callbacks] == [new, old]
    tokens = read(JWT_SECRET=f"{new}, {old}")
    assert [secret.reveal() for secret in tokens.jwt_secrets] == [new, old]
    assert tokens.jwt_secret.reveal() == new
    assert new not in repr(tokens)


@pytest.mark.parametrize("name", ["JWT_SECRET", "GPU_CALLBACK_SECRET"])
def test_of_several_secrets_the_short_one_is_named(name: str) -> None:
    long = "c" * 32
    for value, which in (
        (f"short,{long}", "the 1st of 2 "),
        (f"{long},short", "the 2nd of 2 "),
        (f"{long},{long},{long},short", "the 4th of 4 "),
        ("short", ""),
    ):
        with pytest.raises(SettingsError) as caught:
            read(**{name: value})
        assert str(caught.value) == f"{name}: {which}must hold at least 32 bytes"


def test_the_contract_s_message_is_written_where_nothing_is_said() -> None:
    assert read().job_schema_version == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "http://api.test"),
        ("R2_ENDPOINT_URL", "http://127.0.0.1:9000"),
        ("RUNPOD_BASE_URL", "http://127.0.0.1:8000/v2"),
        ("CORS_ORIGINS", "*"),
        ("JWT_SECRET", "changeme" * 8),
        ("JWT_SECRET", COMPLETE["JWT_SECRET"] + "," + "o" * 64),
        ("GPU_CALLBACK_SECRET", "0" * 64),
        ("GPU_CALLBACK_SECRET", COMPLETE["GPU_CALLBACK_SECRET"] + "," + "o" * 64),
        ("METRICS_TOKEN", "m" * 40),
    ],
)
def test_production_refuses_what_is_for_development(name: str, value: str) -> None:
    assert read(**{name: value})
    with pytest.raises(SettingsError, match=f"^{name}: .*production"):
        read(ENV="production", **{name: value})


SHARED = [
    ("GPU_CALLBACK_SECRET", COMPLETE["JWT_SECRET"]),
    ("GPU_CALLBACK_SECRET", COMPLETE["GPU_CALLBACK_SECRET"] + "," + COMPLETE["JWT_SECRET"]),
    ("JWT_SECRET", COMPLETE["JWT_SECRET"] + "," + COMPLETE["GPU_CALLBACK_SECRET"]),
    ("METRICS_TOKEN", COMPLETE["JWT_SECRET"]),
    ("METRICS_TOKEN", COMPLETE["GPU_CALLBACK_SECRET"]),
]


@pytest.mark.parametrize(("name", "value"), SHARED)
def test_no_secret_opens_two_doors(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match="must differ") as caught:
        read(**{name: value})
    assert "canary" not in str(caught.value)
