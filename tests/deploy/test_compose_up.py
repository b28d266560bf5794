"""The image builds, the installation comes up, and a job submitted over HTTP is completed."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.media_samples import MediaFactory, ffmpeg, media_factory

__all__ = ["ffmpeg", "media_factory"]

ROOT = Path(__file__).resolve().parents[2]
DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
BASE_IMAGES = ("python:3.11-slim-bookworm", "rust:1-slim-bookworm", "redis:7.4-bookworm")

pytestmark = [pytest.mark.docker, pytest.mark.heavy, pytest.mark.timeout(1500)]


def run(*command: str, check: bool = True, **environment: str) -> str:
    completed = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **environment}
    )
    if check and completed.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{completed.stdout[-4000:]}\n{completed.stderr[-4000:]}")
    return completed.stdout


def succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def compose_command() -> list[str]:
    """Compose v2 where there is the plugin, else the 1.29 program."""
    if succeeds(DOCKER, "compose", "version"):
        return [DOCKER, "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


def wait_until(met: Callable[[], bool], within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not met():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {within_s} s")
        time.sleep(0.2)


@pytest.fixture(scope="module")
def engine() -> list[str]:
    if not succeeds(DOCKER, "info"):
        pytest.skip("no Docker engine answers `docker info`")
    command = compose_command()
    if not command:
        pytest.skip("neither the Compose plugin nor docker-compose is installed")
    return command


@pytest.fixture(scope="module")
def image(engine: list[str]) -> str:
    for base in BASE_IMAGES:
        if not succeeds(DOCKER, "image", "inspect", base) and not succeeds(DOCKER, "pull", "-q", base):
            pytest.skip(f"{base} is not here and cannot be pulled; tests/deploy/local_base_images.sh makes a stand-in")
    name = "reelway:test"
    run(DOCKER, "build", "--network", "host", "-f", "compose/Dockerfile", "-t", name, ".", DOCKER_BUILDKIT="1")
    return name


class Installation:
    """One Compose project of this test: its address, its key and its command."""

    def __init__(self, compose: list[str], image: str, project: str) -> None:
        self._command = [*compose, "-p", project, "-f", "compose/compose.yaml"]
        self._environment = {"RW_IMAGE": image, "RW_LISTEN": "127.0.0.1:0", "COMPOSE_HTTP_TIMEOUT": "180"}
        self.key = (ROOT / "compose" / "secrets" / "gateway_key").read_text("utf-8").strip()
        self.url = ""

    def compose(self, *arguments: str, check: bool = True) -> str:
        return run(*self._command, *arguments, check=check, **self._environment)

    def inspect(self, service: str) -> dict[str, Any]:
        container = self.compose("ps", "-q", service).strip()
        inspected: dict[str, Any] = json.loads(run(DOCKER, "inspect", container))[0]
        return inspected

    def health(self, service: str) -> str:
        return str(self.inspect(service)["State"]["Health"]["Status"])


@pytest.fixture(scope="module")
def installation(engine: list[str], image: str) -> Iterator[Installation]:
    run("compose/make_secrets.sh")
    installation = Installation(engine, image, f"reelway-test-{secrets.token_hex(4)}")
    try:
        installation.compose("up", "-d", "--no-build")
        port = installation.inspect("gateway")["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"]
        installation.url = f"http://127.0.0.1:{port}"
        yield installation
    finally:
        installation.compose("down", "--volumes", "--timeout", "40", check=False)


def test_every_service_becomes_healthy(installation: Installation) -> None:
    for service in ("redis", "gateway", "actors", "transcode", "reaper-one", "reaper-two"):
        wait_until(lambda name=service: installation.health(name) == "healthy", 120, f"{service} healthy")  # type: ignore[misc]


def test_an_upload_is_converted(installation: Installation, media_factory: MediaFactory) -> None:
    headers = {"Authorization": f"Bearer {installation.key}"}
    with httpx.Client(base_url=installation.url, headers=headers, timeout=30) as client:
        wait_until(lambda: answers(client), 60, "the gateway answers")
        upload = client.post("/v1/uploads", params={"name": "clip.mp4"}, content=media_factory.clip().read_bytes())
        assert upload.status_code == 201, upload.text
        accepted = client.post("/v1/jobs", json={"source": f"upload:{upload.json()['id']}", "format": "mp3"})
        assert accepted.status_code == 202, accepted.text
        job = accepted.json()["id"]
        ended = ("completed", "failed", "cancelled", "expired")
        wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] in ended, 120, "the job's end")
        finished = client.get(f"/v1/jobs/{job}").json()
        assert finished["state"] == "completed", finished
        output = finished["outputs"][0]
        body = client.get(output["url"]).content
        assert len(body) == output["size_bytes"]
        assert output["codecs"]["audio"] == "mp3"


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_stop_loses_no_time_and_no_job(installation: Installation) -> None:
    """Idle services leave at SIGTERM by themselves; exit code 137 would mean that they had to be killed."""
    started = time.monotonic()
    installation.compose("stop")
    assert time.monotonic() - started < 40
    for service in ("gateway", "actors", "transcode", "reaper-one", "reaper-two"):
        assert installation.inspect(service)["State"]["ExitCode"] == 0, service
