"""Settings: read whole, or refused with one line that names the variable and shows no secret."""

from pathlib import Path

import pytest

from gpu_handler.settings import CompileChoice, DeviceChoice, DtypeChoice, SegmenterChoice, Settings
from shared.environment import Mode, SettingsError

GIVEN = {
    "STORAGE_S3_ENDPOINT": "https://account.r2.cloudflarestorage.com/",
    "STORAGE_ACCESS_KEY": "access-canary",
    "STORAGE_SECRET_KEY": "secret-canary",
    "STORAGE_BUCKET": "s3-images",
    "GPU_CALLBACK_SECRET": "callback-canary-of-more-than-32-bytes",
}


def test_defaults_are_those_of_the_contract() -> None:
    settings = Settings.from_env(GIVEN)

    assert settings.storage_s3_endpoint == "https://account.r2.cloudflarestorage.com"
    assert settings.batch_concurrency == 4
    assert settings.model_cache_dir == Path("/models")
    assert settings.callback_timeout_sec == 10.0
    assert settings.callback_allowed_hosts == frozenset()
    assert settings.hf_token is None
    assert (settings.adapter, settings.log_level) == ("runpod", "INFO")
    assert settings.segmenter is SegmenterChoice.AUTO
    assert settings.sam3_model is None
    assert (settings.sam3_device, settings.sam3_dtype) == ("auto", "auto")
    assert settings.sam3_compile == "auto"
    assert settings.allow_private_image_urls is False


def test_every_setting_can_be_given() -> None:
    settings = Settings.from_env(
        {
            **GIVEN,
            "BATCH_CONCURRENCY": "8",
            "MODEL_CACHE_DIR": "/cache",
            "CALLBACK_TIMEOUT_SEC": "2.5",
            "CALLBACK_ALLOWED_HOSTS": "api.example.com, API2.example.com,",
            "HF_TOKEN": "hf_canary",
            "ADAPTER": "runpod",
            "LOG_LEVEL": "debug",
            "SEGMENTER": "SAM3",
            "SAM3_MODEL": " someone/sam3 ",
            "SAM3_DEVICE": "CUDA",
            "SAM3_DTYPE": "bfloat16",
            "SAM3_COMPILE": "off",
            "ALLOW_PRIVATE_IMAGE_URLS": "true",
        }
    )

    assert settings.batch_concurrency == 8
    assert settings.model_cache_dir == Path("/cache")
    assert settings.callback_timeout_sec == 2.5
    assert settings.callback_allowed_hosts == {"api.example.com", "api2.example.com"}
    assert settings.hf_token == "hf_canary"
    assert settings.log_level == "DEBUG"
    assert settings.segmenter is SegmenterChoice.SAM3
    assert settings.sam3_model == "someone/sam3"
    assert settings.sam3_device is DeviceChoice.CUDA
    assert settings.sam3_dtype is DtypeChoice.BFLOAT16
    assert settings.sam3_compile is CompileChoice.OFF
    assert settings.allow_private_image_urls is True


PRODUCTION = {**GIVEN, "ENV": "production", "CALLBACK_ALLOWED_HOSTS": "api.example.com"}


def test_production_is_said_by_env_and_by_nothing_else() -> None:
    assert Settings.from_env(GIVEN).mode is Mode.DEVELOPMENT
    assert Settings.from_env({**GIVEN, "ENV": "development"}).mode is Mode.DEVELOPMENT
    assert Settings.from_env(PRODUCTION).mode is Mode.PRODUCTION


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STORAGE_S3_ENDPOINT", "http://account.r2.cloudflarestorage.com"),
        ("CALLBACK_ALLOWED_HOSTS", ""),
        ("CALLBACK_ALLOWED_HOSTS", " , "),
        ("ALLOW_PRIVATE_IMAGE_URLS", "true"),
    ],
)
def test_production_refuses_what_is_for_development(name: str, value: str) -> None:
    assert Settings.from_env({**PRODUCTION, "ENV": "development", name: value})
    with pytest.raises(SettingsError, match=f"^{name}: .*ENV=production$"):
        Settings.from_env({**PRODUCTION, name: value})


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("value", [None, "", "   "])
def test_missing_setting_is_named(name: str, value: str | None) -> None:
    environ = {key: text for key, text in GIVEN.items() if key != name}
    if value is not None:
        environ[name] = value

    with pytest.raises(SettingsError, match=f"^{name}: is not set$"):
        Settings.from_env(environ)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STORAGE_S3_ENDPOINT", "account.r2.cloudflarestorage.com"),
        ("STORAGE_S3_ENDPOINT", "ftp://host"),
        ("STORAGE_S3_ENDPOINT", "http://"),
        ("STORAGE_S3_ENDPOINT", "http://host:port"),
        ("GPU_CALLBACK_SECRET", "31-bytes-are-one-too-few-ABCDEF"),
        ("GPU_CALLBACK_SECRET", "whsec_c2hvcnQgYnV0IGxvb2tzIGxvbmcgYXMgYmFzZTY0"),
        ("GPU_CALLBACK_SECRET", "whsec_this is no base64, whatever its length"),
        ("BATCH_CONCURRENCY", "0"),
        ("BATCH_CONCURRENCY", "33"),
        ("BATCH_CONCURRENCY", "four"),
        ("BATCH_CONCURRENCY", "2.5"),
        ("CALLBACK_TIMEOUT_SEC", "0"),
        ("CALLBACK_TIMEOUT_SEC", "nan"),
        ("CALLBACK_TIMEOUT_SEC", "1h"),
        ("CALLBACK_ALLOWED_HOSTS", "https://api.example.com"),
        ("ENV", "prod"),
        ("ENV", "PRODUCTION"),
        ("ADAPTER", "modal"),
        ("LOG_LEVEL", "LOUD"),
        ("SEGMENTER", "sam2"),
        ("SAM3_MODEL", "facebook\n/sam3"),
        ("SAM3_DEVICE", "cuda:0"),
        ("SAM3_DTYPE", "float16"),
        ("SAM3_COMPILE", "true"),
        ("ALLOW_PRIVATE_IMAGE_URLS", "maybe"),
    ],
)
def test_malformed_setting_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: ") as refusal:
        Settings.from_env({**GIVEN, name: value})

    assert "\n" not in str(refusal.value)


def test_no_secret_shows() -> None:
    settings = Settings.from_env({**GIVEN, "HF_TOKEN": "hf-canary"})

    assert "canary" not in repr(settings)
    assert "canary" not in str(settings)
    assert "s3-images" in repr(settings)


def test_refused_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_env({**GIVEN, "GPU_CALLBACK_SECRET": "short-canary"})

    assert "canary" not in str(refusal.value)
