"""`reelway dead` against real processes."""

import http.client
import json
import signal
import time
from pathlib import Path

import pytest

from tests.command.breaking_server import Request, breaking_server
from tests.command.cluster import KEY, PARTITIONS, Cluster
from tests.command.reelway import Reelway, finish
from tests.command.waiting import wait_for
from tests.conftest import RedisServer


def test_looking_at_dead_letters(cluster: Cluster) -> None:
    jobs = cluster.dead("ann", "ben", "ann", "cid", "ann")
    listed = cluster.json("dead", "list")
    assert [letter["job"] for letter in listed["dead"]] == jobs[::-1]
    assert [letter["job"] for letter in cluster.json("dead", "list", "--tenant", "ben")["dead"]] == [jobs[1]]
    assert cluster.json("dead", "list", "--since", "1m", "--code", "OTHER") == {"dead": []}
    assert cluster.json("dead", "list", "--older-than", "1m") == {"dead": []}
    ended = cluster.run("dead", "list", "--limit", "2")
    assert [line.split()[0] for line in ended.stdout.splitlines()] == jobs[:2:-1]
    assert "NOT_MEDIA" in ended.stdout
    assert "--limit shows more" in ended.stderr
    assert cluster.json("dead", "count")["matching"] == 5
    assert "5 dead letters" in cluster.run("dead", "count").stdout
    shown = cluster.run("dead", "show", jobs[0]).stdout
    for told in (jobs[0], "tenant ann", "permanent", "No media. [NOT_MEDIA]", "Send media.", "job.failed"):
        assert told in shown
    assert cluster.json("dead", "show", jobs[0])["remains"]["spec"]["format"] == "mp3"
    lines = cluster.run("dead", "export", "--tenant", "ann").stdout.splitlines()
    assert [json.loads(line)["job"] for line in lines] == jobs[::-2]


def test_replaying_by_name(cluster: Cluster) -> None:
    jobs = cluster.dead("ann", "ben", "cid")
    assert cluster.json("dead", "replay", *jobs[:2]) == {"replayed": 2, "already": 0, "refused": [], "complete": True}
    assert "1 replayed" in cluster.run("dead", "replay", jobs[2], "--deadline", "600").stdout
    assert cluster.replays(jobs) == {1: 3}
    assert cluster.json("dead", "list") == {"dead": []}
    unknown = PARTITIONS.new_id("ann")
    assert cluster.json("dead", "replay", unknown, code=2)["error"]["code"] == "JOB_NOT_FOUND"


def test_replaying_by_filter(cluster: Cluster) -> None:
    jobs = cluster.dead(*(f"tenant-{number % 5}" for number in range(24)), "ann")
    began_s = time.monotonic()
    ended = cluster.run("dead", "replay", "--code", "NOT_MEDIA", "--rate", "20", "--limit", "20")
    assert time.monotonic() - began_s >= 19 / 20
    assert ended.stdout == "20 replayed\n"
    assert "jobs/s" in ended.stderr
    assert cluster.json("dead", "replay", "--tenant", "tenant-0", "--rate", "1000")["replayed"] >= 0
    rest = cluster.json("dead", "replay", "--all", "--rate", "1000")
    assert (rest["refused"], rest["complete"]) == ([], True)
    assert cluster.replays(jobs) == {1: 25}
    assert cluster.json("dead", "replay", "--all")["replayed"] == 0


def test_an_interrupted_replay_goes_on_with_the_rest(cluster: Cluster) -> None:
    jobs = cluster.dead(*("ann" for _ in range(12)))
    process = cluster.user.start("dead", "replay", "--all", "--rate", "4", "--json")
    wait_for(lambda: cluster.replays(jobs)[1] or None, "the first page has begun")
    process.send_signal(signal.SIGINT)
    ended = finish(process, 20)
    assert ended.code == 130
    told = ended.json()
    assert told["complete"] is False
    assert 1 <= told["replayed"] < 12
    assert cluster.replays(jobs) == {1: told["replayed"], 0: 12 - told["replayed"]}, "what it told is what happened"
    assert cluster.json("dead", "replay", "--all", "--rate", "1000")["replayed"] == 12 - told["replayed"]
    assert cluster.replays(jobs) == {1: 12}


def test_a_page_without_an_answer_is_asked_for_again(cluster: Cluster) -> None:
    """Meanwhile what it had replayed has died again: that is no reason to replay it a second time."""
    jobs = cluster.dead("ann", "ann", "ann")
    pages: list[bytes] = []

    def answer(request: Request) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        gateway = http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=20)
        headers = {"Authorization": request.headers["Authorization"]}
        gateway.request(request.command, request.path, body=body, headers=headers)
        response = gateway.getresponse()
        content = response.read()
        gateway.close()
        if request.path.endswith("/dead/replay"):
            pages.append(content)
            if len(pages) == 1:
                cluster.die_again(3)
                return
        request.reply(response.status, content)

    with breaking_server(answer) as url:
        ended = cluster.user.run("dead", "replay", "--all", "--rate", "100", "--json", REELWAY_URL=url)
    assert ended.code == 0, ended.stderr
    assert len(pages) == 2
    assert cluster.replays(jobs) == {1: 3}
    assert cluster.json("dead", "count")["matching"] == 3


@pytest.mark.parametrize("length", [20_000, None])
def test_an_export_that_breaks_off_is_no_export(reelway: Reelway, length: int | None) -> None:
    def answer(request: Request) -> None:
        request.send_response(200)
        name, value = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
        request.send_header(name, value)
        request.end_headers()
        line = b'{"job":"j00-x"}\n'
        request.wfile.write(line if length is not None else b"%x\r\n%s\r\n" % (len(line), line))

    with breaking_server(answer) as url:
        ended = reelway.run("dead", "export", REELWAY_URL=url, REELWAY_KEY=KEY)
    assert ended.code == 5
    assert ended.stdout == '{"job":"j00-x"}\n'
    assert "[EXPORT_INCOMPLETE]" in ended.stderr
    assert "after 1 dead letters" in ended.stderr


def test_a_replay_outlives_its_gateway(tmp_path: Path, own_redis_server: RedisServer, free_port: int) -> None:
    cluster = Cluster(tmp_path, own_redis_server, free_port)
    gateway = cluster.start("gateway")
    try:
        jobs = cluster.dead(*("ann" for _ in range(12)))
        process = cluster.user.start("dead", "replay", "--all", "--rate", "4", "--json")
        wait_for(lambda: cluster.replays(jobs)[1] >= 3, "some are replayed")
        gateway.kill()
        finish(gateway, 10)
        with cluster.running("gateway"):
            ended = finish(process, 60)
        assert ended.code == 0, ended.stderr
        assert ended.json()["complete"] is True
        assert cluster.replays(jobs) == {1: 12}, "none is left out and none is replayed twice"
    finally:
        cluster.host.end()


def test_purging(cluster: Cluster) -> None:
    jobs = cluster.dead("ann", "ben", "ann")
    assert cluster.json("dead", "purge", "--tenant", "ann", code=2)["error"]["code"] == "NOT_CONFIRMED"
    assert cluster.json("dead", "count")["rows"] == 3
    assert sorted(cluster.json("dead", "purge", "--tenant", "ann", "--yes")["purged"]) == sorted([jobs[0], jobs[2]])
    assert cluster.run("dead", "purge", "--older-than", "1d", "--yes").stdout.startswith("0 purged")
    wait_for(lambda: cluster.json("dead", "count")["rows"] == 1 or None, "the reaper has forgotten them", 20)
    assert cluster.json("dead", "show", jobs[0], code=2)["error"]["code"] == "DEAD_LETTER_NOT_FOUND"
    assert "1 purged" in cluster.run("dead", "purge", jobs[1], "--yes").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("dead",), "VERB"),
        (("dead", "replay"), "--all"),
        (("dead", "purge", "--yes"), "--all"),
        (("dead", "replay", "j00-x", "--all"), "either"),
        (("dead", "list", "--since", "yesterday"), "7d"),
        (("dead", "replay", "--all", "--rate", "0"), "0.1"),
        (("dead", "list", "--limit", "none"), "from 1"),
        (("pause",), "STAGE"),
    ],
)
def test_usage(reelway: Reelway, words: tuple[str, ...], told: str) -> None:
    ended = reelway.run(*words)
    assert (ended.code, ended.stdout) == (2, "")
    assert told in ended.stderr
    assert "[USAGE]" in ended.stderr


def test_what_the_gateway_refuses(cluster: Cluster) -> None:
    error = cluster.json("dead", "list", "--why", "crash-loop", code=2)["error"]
    assert (error["code"], error["suggestion"]) == ("INVALID_PARAMETER", "Did you mean `crash_loop`?")
    error = cluster.json("pause", "fetsh", code=2)["error"]
    assert (error["code"], error["suggestion"]) == ("STAGE_NOT_FOUND", "Did you mean `fetch`?")
