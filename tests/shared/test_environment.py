"""What ENV says: read strictly by what runs in production, kindly by what must not."""

import pytest

from shared.environment import Environment, Mode, SettingsError, means_production


def test_the_mode_is_development_unless_it_is_said() -> None:
    assert Environment({}).mode() is Mode.DEVELOPMENT
    assert Environment({"ENV": " "}).mode() is Mode.DEVELOPMENT
    assert Environment({"ENV": "production"}).mode() is Mode.PRODUCTION


@pytest.mark.parametrize("env", ["prod", "Production", "PRODUCTION", "live", "dev", "staging"])
def test_another_mode_is_refused_and_not_taken_for_development(env: str) -> None:
    with pytest.raises(SettingsError, match=r"^ENV: must be one of development, production, not "):
        Environment({"ENV": env}).mode()


@pytest.mark.parametrize("env", ["production", " Production", "PRODUCTION\n", "prod", "Prod "])
def test_who_means_production_is_understood(env: str) -> None:
    assert means_production(env)


@pytest.mark.parametrize("env", ["", " ", "development", "products", "reproduction", "test"])
def test_who_means_something_else_is_understood_as_well(env: str) -> None:
    assert not means_production(env)
