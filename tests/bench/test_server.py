"""The servers of a run answer on both addresses, are as asked for, and are gone with it; a watch sees what is ours."""

import contextlib
import os
import shutil
import subprocess
import sys
import time

import pytest
import redis

from bench.context import Context, Durability
from bench.machine import Watch, family_s, parse_times
from bench.server import bundled_program, find_program, program_version, running

PROGRAM = bundled_program()


def is_alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.mark.parametrize("durability", list(Durability))
@pytest.mark.parametrize("shipped", [True, False])
def test_a_server_is_as_it_was_asked_for(durability: Durability, shipped: bool) -> None:
    with Context(redis_program=PROGRAM).server(durability, shipped=shipped) as server:
        for url in (server.url, server.socket_url):
            with redis.Redis.from_url(url) as client:
                assert client.ping()
        settings = server.client.config_get("*")
        assert settings["appendonly"] == ("yes" if durability is Durability.EVERYSEC else "no")
        assert settings["save"] == ""
        assert settings["hash-max-ziplist-value"] == ("2048" if shipped else "64")
        pid, folder = server.pid, server.folder
    assert not is_alive(pid)
    assert not folder.exists()


def test_a_server_is_gone_after_an_error() -> None:
    seen = []

    def run() -> None:
        with running(PROGRAM, Durability.NONE) as server:
            seen.append(server)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not is_alive(seen[0].pid)
    assert not seen[0].folder.exists()


def test_counters_begin_at_a_reset() -> None:
    with running(PROGRAM, Durability.NONE) as server:
        server.client.set("a", 1)
        server.reset_stats()
        server.client.get("a")
        server.client.get("a")
        calls, microseconds = server.commandstats()["get"]
        assert calls == 2
        assert microseconds >= 0
        assert "set" not in server.commandstats()
        assert server.processor_s() > 0


def test_a_cluster_serves_every_slot() -> None:
    with Context(redis_program=PROGRAM).cluster(Durability.NONE) as cluster:
        assert len(cluster.servers) == 3
        for key in ("a", "b", "c", "{p00}", "{p01}"):
            assert cluster.serving(key).client.set(key, 1)
        pids = [server.pid for server in cluster.servers]
    assert not any(map(is_alive, pids))


def test_the_given_program_is_found_or_refused() -> None:
    assert find_program(None) == (shutil.which("redis-server") or PROGRAM)
    assert program_version(PROGRAM).startswith("6.2")
    with pytest.raises(FileNotFoundError):
        find_program("/nowhere/redis-server")


def test_an_order_is_a_seed_s_and_differs_between_rounds() -> None:
    context, things = Context(seed=3), range(20)
    assert context.order(things, 1) == Context(seed=3).order(things, 1)
    assert sorted(context.order(things, 1)) == list(things)
    assert len({tuple(context.order(things, number)) for number in range(5)}) == 5
    assert context.order(things, 1) != Context(seed=4).order(things, 1)


def test_the_first_line_of_stat_is_read() -> None:
    times = parse_times("cpu  100 10 50 800 20 5 5 30 7 0\ncpu0 1 1 1\n")
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    assert times.busy_s * ticks_per_s == pytest.approx(170)
    assert times.steal_s * ticks_per_s == pytest.approx(30)
    assert times.total_s * ticks_per_s == pytest.approx(1020)


def test_our_own_work_and_our_childrens_is_told_from_others() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    before_s = family_s()
    subprocess.run([sys.executable, "-c", burn], check=True)
    until_s = time.process_time() + 0.2
    while time.process_time() < until_s:
        pass
    assert family_s() - before_s >= 0.35


def test_a_watch_says_how_long_and_what_disturbed() -> None:
    with Watch() as watch:
        pass
    assert watch.seconds >= 0
    assert 0 <= watch.steal_percent <= 100
    assert watch.other_percent >= 0
