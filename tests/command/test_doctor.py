"""`reelway doctor`: healthy here, and not healthy where something is missing."""

from pathlib import Path
from typing import Any

import pytest

from actors.settings import Settings
from gateway.command import checkup
from tests.command.reelway import Ended, Reelway


def _checks(ended: Ended) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in ended.json()["checks"]}


def test_healthy_installation(reelway: Reelway) -> None:
    ended = reelway.run("doctor", "--json")
    assert ended.code == 0, ended.stdout
    assert ended.json()["healthy"]
    checks = _checks(ended)
    assert "ffmpeg version" in checks["ffmpeg"]["detail"]
    assert "scripts as in Python" in checks["native program"]["detail"]
    assert "noeviction" in checks["redis"]["detail"]


def test_running_instance_is_looked_into(reelway: Reelway) -> None:
    with reelway.up() as up:
        checks = _checks(reelway.run("doctor", "--json"))
    assert up.url in checks["instance"]["detail"]
    assert checks["redis"]["detail"].endswith("policy noeviction")


def test_missing_ffmpeg_is_not_healthy(reelway: Reelway) -> None:
    ended = reelway.run("doctor", REELWAY_FFMPEG="/nowhere/ffmpeg")
    assert ended.code == 5
    assert "FAIL  ffmpeg" in ended.stdout


def test_native_program_with_other_scripts_is_not_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "reelway-transcode"
    program.write_text('#!/bin/sh\necho \'{"version": "0.0.0", "scripts": {"take": "another"}}\'\n')
    program.chmod(0o755)
    monkeypatch.setattr(checkup, "find_native", lambda: program)
    finding = checkup.check_native(Settings())
    assert (finding.state, "take" in finding.detail) == ("failed", True)


def test_evicting_redis_is_not_healthy(reelway: Reelway, evicting_redis_url: str) -> None:
    ended = reelway.run("doctor", "--json", REELWAY_REDIS_URL=evicting_redis_url)
    assert ended.code == 5
    redis = _checks(ended)["redis"]
    assert (redis["state"], "allkeys-lru" in redis["detail"]) == ("failed", True)


def test_unusable_data_directory_is_not_healthy(reelway: Reelway, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = reelway.run("doctor", "--json", "--data", str(tmp_path / "file"))
    assert ended.code == 5
    assert _checks(ended)["data directory"]["state"] == "failed"
