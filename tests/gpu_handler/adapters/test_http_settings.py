"""What the HTTP adapter is told, and what it is not started without."""

import pytest

from gpu_handler.settings import AdapterChoice, Settings
from shared.environment import SettingsError
from tests.gpu_handler.test_settings import GIVEN

KEY = "handler-canary-of-more-than-32-bytes"
HTTP = {**GIVEN, "ADAPTER": "http", "HANDLER_API_KEY": KEY}


def test_defaults_are_a_containers() -> None:
    settings = Settings.from_env(HTTP)

    assert settings.adapter is AdapterChoice.HTTP
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 8000)
    assert settings.http_queue_size == 16
    assert settings.handler_api_key == KEY


def test_every_setting_can_be_given() -> None:
    given = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": "9000", "HTTP_QUEUE_SIZE": "1000"}

    settings = Settings.from_env({**HTTP, **given})

    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 9000)
    assert settings.http_queue_size == 1000


def test_other_adapters_need_no_key() -> None:
    assert Settings.from_env({**GIVEN, "ADAPTER": "runpod"}).handler_api_key is None


@pytest.mark.parametrize("value", ["", "31-bytes-are-one-too-few-ABCDEF", "two words " * 4])
def test_key_that_does_not_do_is_named_and_not_repeated(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^HANDLER_API_KEY: ") as refusal:
        Settings.from_env({**HTTP, "HANDLER_API_KEY": value})

    assert not value or value not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_HOST", "two\nlines"),
        ("HTTP_PORT", "0"),
        ("HTTP_PORT", "65536"),
        ("HTTP_PORT", "http"),
        ("HTTP_QUEUE_SIZE", "0"),
        ("HTTP_QUEUE_SIZE", "1001"),
    ],
)
def test_malformed_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        Settings.from_env({**HTTP, name: value})


def test_key_does_not_show() -> None:
    settings = Settings.from_env(HTTP)

    assert "canary" not in repr(settings)
    assert "8000" in repr(settings)
