"""The Nomad job runs the roles there are, with settings there are, and gives them time to stop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest
from hcl2 import SerializationOptions

from actors.settings import Settings
from tests.deploy.roles import ROLES, duration_s, unknown_settings

JOB = Path(__file__).resolve().parents[2] / "nomad" / "reelway.hcl"


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    options = SerializationOptions(explicit_blocks=False, strip_string_quotes=True)
    document = hcl2.loads(JOB.read_text("utf-8"), serialization_options=options)
    parsed: dict[str, Any] = document["job"][0]["reelway"]
    return parsed


def tasks(job: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for group in job["group"]:
        for body in group.values():
            for task in body["task"]:
                yield from task.items()


def test_every_role_runs_once(job: dict[str, Any]) -> None:
    roles = [role for _, task in tasks(job) for role in task["config"][0]["args"][1:]]
    assert sorted(roles) == sorted(ROLES)
    assert all(task["config"][0]["args"][0] == "run" for _, task in tasks(job))


def test_there_are_two_reapers_at_least(job: dict[str, Any]) -> None:
    counts = {name: body["count"] for group in job["group"] for name, body in group.items()}
    assert counts["reaper"] >= 2


def test_only_known_settings_and_none_of_them_secret(job: dict[str, Any]) -> None:
    for name, task in tasks(job):
        environment = task["env"][0]
        assert unknown_settings(environment) == [], name


def test_secrets_come_from_nomad_variables(job: dict[str, Any]) -> None:
    for name, task in tasks(job):
        files = {value for key, value in task["env"][0].items() if key.endswith("_FILE")}
        written = {template["destination"] for template in task["template"]}
        assert files == written, name
        assert all("nomadVar" in template["data"] for template in task["template"]), name


def test_a_stopping_task_has_time_to_drain(job: dict[str, Any]) -> None:
    settings = Settings()
    for name, task in tasks(job):
        assert task["kill_signal"] == "SIGTERM", name
        for role in task["config"][0]["args"][1:]:
            stage = getattr(settings, role)
            needed_s = (
                stage.drain_grace_s + stage.kill_grace_s
                if hasattr(stage, "drain_grace_s")
                else settings.gateway.shutdown_s
            )
            assert duration_s(task["kill_timeout"]) >= needed_s, (name, role)


def test_every_task_is_confined(job: dict[str, Any]) -> None:
    for name, task in tasks(job):
        config = task["config"][0]
        assert task["user"] == "10001:10001", name
        assert config["readonly_rootfs"] is True, name
        assert config["cap_drop"] == ["ALL"], name
        assert config["security_opt"] == ["no-new-privileges"], name
        assert config["image"] == "${var.image}", name


def test_the_image_has_no_default() -> None:
    text = JOB.read_text("utf-8")
    assert ":latest" not in text
