"""`reelway workers`, `pause`, `resume` and `submit` for later; poison and quarantine; against real processes."""

from pathlib import Path

import redis

from tests.command.cluster import PARTITIONS, Cluster
from tests.command.pacing import paced_site
from tests.command.reelway import Reelway, finish
from tests.command.waiting import wait_for


def test_submitting_for_later(cluster: Cluster) -> None:
    source = "http://127.0.0.1:9/clip.mp4"
    job = cluster.json("submit", source, "--priority", "low", "--start", "2h", "--deadline", "600")
    assert (job["state"], job["reason"]["code"]) == ("delayed", "SCHEDULED")
    ended = cluster.user.run("submit", source, "--start", "soon", "--json")
    assert (ended.code, "2026-01-31T12:00:00Z" in ended.json()["error"]["message"]) == (2, True)
    error = cluster.json("submit", source, "--start", "2999-01-01T00:00:00Z", code=2)["error"]
    assert "30 days" in error["message"]
    cluster.run("cancel", job["id"])


def test_a_batch_and_a_retry(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4"
    file.write_bytes(b"no media")
    source = "http://127.0.0.1:9/clip.mp4"
    batch = cluster.json("submit", source, str(file), "--to", "wav")
    assert (batch["source"], batch["format"], batch["children"]["total"]) == (None, "wav", 2)
    (line,) = cluster.run("jobs").stdout.splitlines()
    assert (line.split()[0], line.split()[-1]) == (batch["id"], "batch")
    error = cluster.json("submit", source, "nothing.mp4", code=2)["error"]
    assert error["code"] == "FILE_NOT_FOUND"
    cluster.run("cancel", batch["id"])
    assert cluster.run("retry", batch["id"]).stdout == f"{batch['id']} queued\n"
    assert cluster.json("retry", batch["id"])["state"] == "queued"
    with cluster.running("ingest"):
        wait_for(lambda: cluster.json("jobs", "--state", "waiting")["jobs"] or None, "its jobs are made")
    cluster.run("cancel", batch["id"])
    assert cluster.json("retry", "j00-nothing", code=2)["error"]["code"] == "JOB_NOT_FOUND"


def test_the_quarantine(cluster: Cluster) -> None:
    assert cluster.json("dead", "quarantined") == {"quarantined": []}
    (job,) = cluster.dead("ann")
    with redis.Redis.from_url(cluster.server.url) as client:
        root = PARTITIONS.keys_of_job(job).root
        client.rename(f"{root}job:{job}", f"{root}quarantined:{job}")
        client.zadd(f"{root}quarantine", {job: 1_700_000_000_000, f"{job}0": 1_600_000_000_000})
    told = cluster.run("dead", "quarantined").stdout.splitlines()
    assert told == [
        f"{job}  2023-11-14T22:13:20.000Z  a hash  state=failed stage=ingest tenant=ann",
        f"{job}0  2020-09-13T12:26:40.000Z  no longer kept",
    ]
    ended = cluster.run("dead", "quarantined", "--limit", "1", "--json")
    assert [row["job"] for row in ended.json()["quarantined"]] == [job]


def test_pausing_a_stage_that_somebody_works_at(cluster: Cluster) -> None:
    with cluster.running("ingest"):
        worker = wait_for(lambda: cluster.json("workers")["workers"], "the worker says that it is there")[0]
        assert (worker["stage"], worker["lane"], worker["running"]) == ("ingest", "cpu", 0)
        assert "paused" in cluster.run("pause", "ingest", "--reason", "new disk").stdout
        job = cluster.json("submit", "http://127.0.0.1:9/clip.mp4")["id"]
        told = cluster.run("workers").stdout
        assert worker["name"] in told
        assert "paused by key-" in told
        assert ": new disk" in told
        ingest = cluster.json("workers")["stages"][0]
        assert (ingest["stage"], ingest["waiting"]) == ("ingest", 1)
        assert cluster.json("resume", "ingest") == {"stage": "ingest", "paused": None}
        wait_for(lambda: cluster.json("workers")["stages"][1]["waiting"] or None, "the job has gone on to fetch")
        assert "paused" not in cluster.run("workers").stdout
        cluster.run("cancel", job)


def test_a_poison_job_dies_with_its_reason_and_runs_again_in_quarantine(cluster: Cluster) -> None:
    """Its worker is killed each time: dead after three crashes with reason, worker and host; other jobs go on."""
    with paced_site(b"\0" * 100_000) as site, cluster.running("ingest"):
        job = cluster.json("submit", f"{site.url}/clip.mp4")["id"]
        pids = []
        for _ in range(3):
            fetch = cluster.start("fetch")
            pids.append(fetch.pid)
            assert site.halfway.wait(30)
            fetch.kill()
            finish(fetch, 10)
            site.halfway.clear()
        wait_for(lambda: cluster.json("dead", "list")["dead"], "the job is dead", 30)
        (letter,) = cluster.json("dead", "list", "--why", "crash_loop")["dead"]
        assert (letter["job"], letter["stage"], letter["code"]) == (job, "fetch", "CRASH_LOOP")
        assert (letter["attempt"], letter["crashes"]) == (0, 3)
        assert letter["worker"].startswith(f"{letter['host']}-{pids[-1]}-")
        with cluster.running("fetch", REELWAY_KERNEL_QUARANTINE="lab"), cluster.running("fetch") as ordinary:
            assert cluster.json("dead", "replay", job, "--worker", "lab")["replayed"] == 1
            assert site.halfway.wait(30), "somebody has taken it"
            workers = {worker["quarantine"]: worker for worker in cluster.json("workers")["workers"]}
            assert workers["lab"]["name"].split("-")[-2] != str(ordinary.pid)
            wait_for(
                lambda: (
                    {worker["quarantine"]: worker["running"] for worker in cluster.json("workers")["workers"]}
                    == {None: 0, "lab": 1}
                    or None
                ),
                "the quarantine worker says that it has it",
                15,
            )
            cluster.run("cancel", job)
            site.release()


def test_the_embedded_cluster_has_the_same(reelway: Reelway) -> None:
    with reelway.up():
        assert reelway.run("dead", "list", "--json").json() == {"dead": []}
        assert reelway.run("pause", "transcode", "--json").json()["paused"]["reason"] == ""
        stages = {stage["stage"]: stage for stage in reelway.run("workers", "--json").json()["stages"]}
        assert stages["transcode"]["paused"] is not None
        assert reelway.run("resume", "transcode").stdout == "transcode goes on\n"
