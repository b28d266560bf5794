"""Whatever is killed in the middle of a stage, the job is done again and one result is published."""

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.client.documents import Job
from gateway.client.events import Retrying, Started
from gateway.embedded.data_directory import DataDirectory
from tests.command.pacing import LONG_S, PacedFfmpeg, audio_seconds, paced_site
from tests.command.reelway import Reelway, Up, finish
from tests.command.waiting import is_alive, wait_for

AGAIN_WITHIN_S = 12.0
DIGEST = "[0-9a-f]" * 64


def _submit(up: Up, source: str) -> str:
    return up.submit(source).id


def _submit_file(up: Up, file: Path) -> str:
    return _submit(up, up.calls.run(up.client.upload(file)).source)


def _is_transcoding(job: Job) -> bool:
    """In the middle: ffmpeg has reported progress."""
    return job.stage == "transcode" and job.state == "running" and bool(job.progress.speed)


def _wait_until(up: Up, job: str, condition: Callable[[Job], bool], within_s: float = 30.0) -> None:
    wait_for(lambda: condition(up.job(job)), f"{job} is where it should be", within_s)


def _check_one_result(up: Up, job: str, ffmpeg: Path, seconds: float) -> list[str]:
    """The job completed with one whole result; the types of its events, whose revisions are contiguous."""
    ended = up.end_of(job)
    assert ended.state == "completed", ended.document
    events = up.timeline(job)
    assert [event.rev for event in events] == list(range(1, len(events) + 1))
    types = [event.type for event in events]
    assert types.count("job.completed") == 1
    assert types[-1] == "job.completed"
    (output,) = ended.outputs
    result = up.command.folder / "result.mp3"
    up.calls.run(up.client.download(output, result))
    assert audio_seconds(ffmpeg, result) == pytest.approx(seconds, abs=0.1)
    return types


def _seconds_until_it_runs_again(up: Up, job: str, stage: str) -> float:
    began = time.monotonic()
    for event in up.events(job):
        if isinstance(event.data, Started) and event.data.stage == stage:
            break
    return time.monotonic() - began


def _reasons(up: Up, job: str) -> list[str]:
    return [
        event.data.reason.code
        for event in up.timeline(job)
        if isinstance(event.data, Retrying) and event.data.reason is not None
    ]


def test_killed_transcode_actor(slow_reelway: Reelway, paced: PacedFfmpeg, long_clip: Path, ffmpeg: Path) -> None:
    with slow_reelway.up() as up:
        job = _submit_file(up, long_clip)
        _wait_until(up, job, _is_transcoding)
        paced.fast()
        os.kill(up.child("reelway-transcode"), signal.SIGKILL)
        assert _seconds_until_it_runs_again(up, job, "transcode") < AGAIN_WITHIN_S
        types = _check_one_result(up, job, ffmpeg, LONG_S)
        assert types.count("job.retrying") == 1


def test_python_actors_killed_while_fetching(
    slow_reelway: Reelway, paced: PacedFfmpeg, clip: Path, ffmpeg: Path
) -> None:
    paced.fast()
    with slow_reelway.up() as up, paced_site(clip.read_bytes()) as site:
        job = _submit(up, f"{site.url}/clip.mp4")
        assert site.halfway.wait(20)
        _wait_until(up, job, lambda now: now.stage == "fetch" and now.state == "running")
        os.kill(up.child("run", "fetch"), signal.SIGKILL)
        site.release()
        assert _seconds_until_it_runs_again(up, job, "fetch") < AGAIN_WITHIN_S
        _check_one_result(up, job, ffmpeg, 8.0)


def test_python_actors_killed_while_storing(
    slow_reelway: Reelway, paced: PacedFfmpeg, clip: Path, ffmpeg: Path
) -> None:
    paced.fast()
    with slow_reelway.up() as up:
        socket_path = DataDirectory(slow_reelway.data).redis_socket()
        with redis.Redis(unix_socket_path=str(socket_path)) as store:
            for _ in range(10):
                actors = up.child("run", "store")
                job = _submit_file(up, clip)
                # Storing takes milliseconds: stop the process as soon as it is seen to store, and look again.
                wait_for(functools.partial(_stores, store, job), "it stores", 30)
                os.kill(actors, signal.SIGSTOP)
                if _where(store, job) == [b"running", b"store"]:
                    os.kill(actors, signal.SIGKILL)
                    break
                os.kill(actors, signal.SIGCONT)
            else:
                pytest.fail("no kill landed while storing")
        assert _seconds_until_it_runs_again(up, job, "store") < AGAIN_WITHIN_S
        _check_one_result(up, job, ffmpeg, 8.0)


def _where(store: redis.Redis, job: str) -> list[Any]:
    return list(store.hmget(f"rw:{{p00}}:job:{job}", "state", "stage"))


def _stores(store: redis.Redis, job: str) -> bool:
    return _where(store, job) in ([b"running", b"store"], [b"completed", b"store"])


def test_killed_gateway(slow_reelway: Reelway, paced: PacedFfmpeg, clip: Path, ffmpeg: Path) -> None:
    with slow_reelway.up() as up:
        job = _submit_file(up, clip)
        _wait_until(up, job, _is_transcoding)
        events = up.events(job)
        next(events)
        gateway = up.child("run", "gateway")
        os.kill(gateway, signal.SIGKILL)
        paced.fast()
        # The same port again: the client that watched goes on where it was.
        seen = [event.type for event in events]
        assert seen[-1] == "job.completed"
        assert up.child("run", "gateway") != gateway
        types = _check_one_result(up, job, ffmpeg, 8.0)
        assert "job.retrying" not in types, "no worker was hurt"


def test_killed_redis(slow_reelway: Reelway, paced: PacedFfmpeg, clip: Path, ffmpeg: Path) -> None:
    with slow_reelway.up() as up:
        job = _submit_file(up, clip)
        _wait_until(up, job, _is_transcoding)
        server = up.child("redis-server")
        os.kill(server, signal.SIGKILL)
        wait_for(lambda: up.child("redis-server") != server, "another Redis serves")
        paced.fast()
        _check_one_result(up, job, ffmpeg, 8.0)


def test_killed_convert_leaves_nothing_and_is_taken_up_again(
    slow_reelway: Reelway, paced: PacedFfmpeg, long_clip: Path, ffmpeg: Path
) -> None:
    words = ("convert", str(long_clip), "-o", "out.mp3", "--json")
    killed = slow_reelway.start(*words)
    (entry,) = wait_for(
        lambda: list(slow_reelway.data.glob(f"converts/{DIGEST}")), "the conversion is in the ledger", 20
    )
    slow_reelway.wait_for_ffmpeg()
    killed.kill()
    killed.wait()
    wait_for(lambda: not slow_reelway.processes(), "no process is alive", within_s=5)
    assert entry.exists()
    assert not (slow_reelway.folder / "out.mp3").exists()
    paced.fast()
    again = slow_reelway.run(*words)
    assert again.code == 0, again.stderr
    assert "upload" not in again.stderr, "the file was not sent again"
    assert not list(slow_reelway.data.glob("converts/*"))
    assert audio_seconds(ffmpeg, slow_reelway.folder / "out.mp3") == pytest.approx(LONG_S, abs=0.1)
    jobs = slow_reelway.run("jobs", "--json").json()["jobs"]
    assert [job["id"] for job in jobs] == [again.json()["id"]]


def test_killed_supervisor_leaves_nothing(slow_reelway: Reelway, long_clip: Path) -> None:
    with slow_reelway.up() as up:
        job = _submit_file(up, long_clip)
        _wait_until(up, job, _is_transcoding)
        up.process.kill()
        up.process.wait()
        wait_for(lambda: not slow_reelway.processes(), "no process is alive", within_s=5)


def test_instance_that_was_killed_is_followed_by_one_that_charges_nobody(
    slow_reelway: Reelway, paced: PacedFfmpeg, long_clip: Path, ffmpeg: Path
) -> None:
    with slow_reelway.up() as up:
        job = _submit_file(up, long_clip)
        _wait_until(up, job, _is_transcoding)
        up.process.kill()
        up.process.wait()
    wait_for(lambda: not slow_reelway.processes(), "no process is alive", within_s=5)
    paced.fast()
    with slow_reelway.up() as up:
        types = _check_one_result(up, job, ffmpeg, LONG_S)
        assert _reasons(up, job) == ["RESTARTED"], types


def test_up_that_is_told_twice_to_stop_gives_running_work_back_uncharged(
    slow_reelway: Reelway, paced: PacedFfmpeg, long_clip: Path, ffmpeg: Path
) -> None:
    with slow_reelway.up() as up:
        job = _submit_file(up, long_clip)
        _wait_until(up, job, _is_transcoding)
        began = time.monotonic()
        up.process.send_signal(signal.SIGINT)
        wait_for(lambda: not slow_reelway.data.joinpath("instance.json").exists(), "it has begun to stop")
        assert up.process.poll() is None, "the running stage is given time"
        up.process.send_signal(signal.SIGINT)
        assert finish(up.process, 10).code == 0
        assert time.monotonic() - began < 5
        assert not slow_reelway.processes()
    paced.fast()
    with slow_reelway.up() as up:
        _check_one_result(up, job, ffmpeg, LONG_S)
        assert _reasons(up, job) == ["WORKER_STOPPING"]


def test_convert_outlives_its_supervisor(slow_reelway: Reelway, paced: PacedFfmpeg, long_clip: Path) -> None:
    process = slow_reelway.start("convert", str(long_clip), "-o", "out.mp3", "--json")
    slow_reelway.wait_for_ffmpeg()
    (supervisor,) = [pid for pid, command in slow_reelway.processes().items() if "gateway.embedded " in command]
    os.kill(supervisor, signal.SIGKILL)
    paced.fast()
    wait_for(lambda: not is_alive(supervisor), "the supervisor is gone")
    ended = finish(process, 60)
    assert ended.code == 0, ended.stderr
    assert ended.json()["state"] == "completed"


def test_role_that_does_not_start_is_told(reelway: Reelway, clip: Path) -> None:
    process = reelway.start(
        "convert",
        str(clip),
        "-o",
        "out.mp3",
        "--json",
        REELWAY_FFMPEG="/nowhere/ffmpeg",
        REELWAY_GATEWAY_HEARTBEAT_S="1",
    )
    ended = finish(process, 60)
    assert ended.code == 5, ended
    assert ended.json()["error"]["code"] == "ROLE_DOES_NOT_START"
    assert "transcode" in ended.stderr
