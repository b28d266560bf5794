"""The Compose installation runs the roles there are, with settings there are, confined, and with time to stop."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.settings import Settings
from tests.deploy.roles import ROLES, duration_s, unknown_settings

COMPOSE = Path(__file__).resolve().parents[2] / "compose" / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    document = yaml.safe_load(COMPOSE.read_text("utf-8"))
    parsed: dict[str, Any] = document["services"]
    return parsed


@pytest.fixture(scope="module")
def ours(services: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in services.items() if name != "redis"}


def test_the_file_follows_the_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_role_runs(ours: dict[str, Any]) -> None:
    roles = [role for service in ours.values() for role in service["command"][1:]]
    assert all(service["command"][0] == "run" for service in ours.values())
    assert roles.count("reaper") == 2
    assert sorted(set(roles)) == sorted(ROLES)
    assert len(roles) == len(ROLES) + 1


def test_only_known_settings_and_none_of_them_secret(ours: dict[str, Any]) -> None:
    for name, service in ours.items():
        assert unknown_settings(service["environment"]) == [], name


def test_secrets_are_mounted_where_the_settings_look(ours: dict[str, Any]) -> None:
    for name, service in ours.items():
        files = {value for key, value in service["environment"].items() if key.endswith("_FILE")}
        assert files == {f"/run/secrets/{secret}" for secret in service["secrets"]}, name


def test_a_stopping_service_has_time_to_drain(ours: dict[str, Any]) -> None:
    settings = Settings()
    for name, service in ours.items():
        for role in service["command"][1:]:
            stage = getattr(settings, role)
            if hasattr(stage, "drain_grace_s"):
                assert duration_s(service["stop_grace_period"]) > stage.drain_grace_s + stage.kill_grace_s, name
    assert duration_s(ours["gateway"]["stop_grace_period"]) > settings.gateway.shutdown_s


def test_every_service_is_confined(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        user, _, group = service["user"].partition(":")
        assert int(user) > 0, name
        assert int(group) > 0, name
        assert service["healthcheck"]["test"][0] == "CMD", f"{name}: the exec form needs no shell"


def test_only_what_needs_the_outside_reaches_it(services: dict[str, Any]) -> None:
    outward = {name for name, service in services.items() if "outside" in service["networks"]}
    assert outward == {"gateway", "actors"}
    assert "ports" not in services["redis"]
