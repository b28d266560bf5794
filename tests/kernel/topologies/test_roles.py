"""Every role as a process of its own on a Redis Cluster, the native one too; a primary is killed while they convert."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from actors.kernel import Partitions
from actors.native import find_native
from tests.kernel.topologies.servers import Cluster, free_port, running
from tests.media_samples import MediaFactory, media_factory

__all__ = ["media_factory"]

KEY = "rw_a-key-for-tests"
PROGRAM = "from gateway.command.main import main; raise SystemExit(main())"
GROUPS = (("gateway",), ("ingest", "fetch", "store", "notify"), ("transcode",), ("reaper",), ("reaper",))
ENDED = {"completed", "failed", "cancelled", "expired"}
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(find_native() is None, reason="the native program, which transcodes, is not built"),
]


def until(condition: Callable[[], bool], why: str, within_s: float = 40.0) -> None:
    gives_up_at = monotonic() + within_s
    while not condition():
        assert monotonic() < gives_up_at, why
        sleep(0.05)


@contextmanager
def role(roles: tuple[str, ...], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Stopped by SIGTERM at the end, which it must follow."""
    command = [sys.executable, "-c", PROGRAM, "run", *roles]
    with log.open("ab") as lines:
        process = subprocess.Popen(command, env=environment, stdout=lines, stderr=lines)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, log.read_text("utf-8")[-3000:]
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running(Cluster(replicas=True)) as started:
        yield started


@pytest.fixture
def gateway(cluster: Cluster, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of an installation with all its roles."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")},
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "REELWAY_REDIS_URL": cluster.url,
        "REELWAY_PARTITIONS": "4",
        "REELWAY_DATA_DIR": str(tmp_path / "data"),
        "REELWAY_KERNEL_LEASE_S": "3",
        "REELWAY_KERNEL_BEAT_S": "0.5",
        "REELWAY_STORAGE_MIN_FREE_BYTES": "0",
        "REELWAY_GATEWAY_PORT": str(port),
        "REELWAY_GATEWAY_KEY": KEY,
    }
    with ExitStack() as processes:
        for number, roles in enumerate(GROUPS):
            processes.enter_context(role(roles, environment, tmp_path / f"{number}-{roles[0]}.log"))
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
            until(lambda: _answers(client, "/readyz"), "the gateway is not ready")
            yield client


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def _submit(client: httpx.Client, upload: str, number: int) -> str:
    """Insists as a client with an idempotency key may: a 503 asks to come again."""
    body = {"source": f"upload:{upload}", "format": "mp3", "quality": "128k"}
    accepted: list[dict[str, Any]] = []

    def sent() -> bool:
        response = client.post("/v1/jobs", json=body, headers={"Idempotency-Key": f"job-{number}"})
        assert response.status_code in {202, 503}, response.text
        if response.status_code == 202:
            accepted.append(response.json())
        return bool(accepted)

    until(sent, "the job is not accepted")
    return str(accepted[0]["id"])


def test_conversions_outlive_a_primary(cluster: Cluster, gateway: httpx.Client, media_factory: MediaFactory) -> None:
    clip = media_factory.clip().read_bytes()
    upload = gateway.post("/v1/uploads", params={"name": "clip.mp4"}, content=clip).json()["id"]
    jobs = [_submit(gateway, upload, number) for number in range(4)]
    partition = Partitions(4).of_job(jobs[0])
    cluster.serving(f"rw:{{p{partition}}}:").kill()
    jobs += [_submit(gateway, upload, number) for number in range(4, 8)]
    # What the replica had not received is made again by the same key.
    jobs = [_submit(gateway, upload, number) for number in range(8)]

    def ended() -> bool:
        documents = [gateway.get(f"/v1/jobs/{job}").json() for job in jobs]
        return all(document.get("state") in ENDED for document in documents)

    until(ended, "a job does not end", 90.0)
    for job in jobs:
        document = gateway.get(f"/v1/jobs/{job}").json()
        assert document["state"] == "completed", document
        output = document["outputs"][0]
        assert len(gateway.get(output["url"]).content) == output["size_bytes"]
