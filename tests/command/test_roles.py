"""The same roles as processes of their own against an external Redis: what a cluster is."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from actors.run import ROLES as ACTOR_ROLES
from gateway.command import run
from tests.command.reelway import Reelway, finish
from tests.conftest import RedisServer

ROLES = ("gateway", "reaper", "ingest", "fetch", "fetch", "transcode", "transcode", "store", "notify")
KEY = "rw_test_key_of_the_cluster"


@contextmanager
def _role(reelway: Reelway, role: str, log: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    process = reelway.start("run", role, "--json", REELWAY_GATEWAY_PORT=str(port), REELWAY_GATEWAY_KEY=KEY)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        ended = finish(process, 30)
        log.write_text(ended.stderr)
        assert ended.code == 0, ended.stderr


def test_roles_in_separate_processes(tmp_path: Path, own_redis_server: RedisServer, clip: Path, free_port: int) -> None:
    cluster = Reelway(
        tmp_path,
        {
            "REELWAY_REDIS_URL": own_redis_server.url,
            "REELWAY_PARTITIONS": "4",
            # One at a time each, so that there is work for both of a kind.
            "REELWAY_FETCH_CONCURRENCY": "1",
            "REELWAY_TRANSCODE_CONCURRENCY": "1",
            "REELWAY_STORAGE_URL": (tmp_path / "storage").as_uri(),
        },
    )
    user = Reelway(tmp_path, {"REELWAY_URL": f"http://127.0.0.1:{free_port}", "REELWAY_KEY": KEY})
    logs = [tmp_path / f"{role}-{number}.log" for number, role in enumerate(ROLES)]
    processes: list[subprocess.Popen[str]] = []
    with ExitStack() as stack:
        for role, log in zip(ROLES, logs, strict=True):
            process = stack.enter_context(_role(cluster, role, log, free_port))
            processes.append(process)
        for role, process in zip(ROLES, processes, strict=True):
            if role != "transcode":
                assert process.stdout is not None
                assert json.loads(process.stdout.readline()) == {"ready": [role]}
        started = [user.start("convert", str(clip), "-o", f"{number}.mp3", "--json") for number in range(8)]
        for number, process in enumerate(started):
            ended = finish(process, 90)
            assert ended.code == 0, ended.stderr
            assert ended.json()["state"] == "completed"
            assert (tmp_path / f"{number}.mp3").stat().st_size > 0
    for kind in ("fetch", "transcode"):
        busy = [log for role, log in zip(ROLES, logs, strict=True) if role == kind and '"job"' in log.read_text()]
        assert len(busy) == 2, f"both {kind} actors had work"
    assert not (tmp_path / "data" / "instance.json").exists(), "nothing embedded was started"


def test_unreachable_cluster(reelway: Reelway, clip: Path, free_port: int) -> None:
    reelway.environment |= {"REELWAY_URL": f"http://127.0.0.1:{free_port}", "REELWAY_KEY": KEY}
    ended = reelway.run("convert", str(clip), "-o", "out.mp3", "--json")
    assert ended.code == 5
    assert ended.json()["error"]["code"] == "GATEWAY_UNREACHABLE"


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"REELWAY_URL": "http://127.0.0.1:1"}, "KEY_MISSING"),
        ({"REELWAY_URL": "nowhere"}, "GATEWAY_URL_INVALID"),
        ({"REELWAY_KERNEL_LEASE": "1"}, "SETTINGS_INVALID"),
    ],
)
def test_wrong_settings_are_told_at_once(reelway: Reelway, clip: Path, environment: dict[str, str], code: str) -> None:
    reelway.environment |= environment
    ended = reelway.run("convert", str(clip), "-o", "out.mp3", "--json")
    assert ended.code == 2
    assert ended.json()["error"]["code"] == code


def test_transcode_shares_no_process(reelway: Reelway) -> None:
    ended = reelway.run("run", "fetch", "transcode", "--json")
    assert ended.code == 2
    assert ended.json()["error"]["code"] == "TRANSCODE_RUNS_ALONE"


def test_command_names_the_roles_that_exist() -> None:
    assert run.ROLES == ACTOR_ROLES
