"""Watchers, who writes for them, and what is made of what they saw."""

import itertools
import random
import shutil
import socket
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import uvloop

from actors.kernel import Beat, Partitions, RedisOptions, connect
from actors.kernel.views import JobView, LogEntry, read_job, read_log
from bench.bodies import PROGRESS
from bench.context import Context, Durability
from bench.house import PARTITION, House
from bench.machine import memory, processor_s
from bench.server import bundled_program
from bench.streams import tables
from bench.streams.apart import Apart
from bench.streams.crowd import Crowd, Heard
from bench.streams.feeder import MARKS, Feeder
from bench.streams.flow import Busy, Flow, Load, per_s, waits
from bench.streams.jobs import TENANT, make_jobs
from bench.streams.measures import Deaf, Idle, Raw, flows
from bench.streams.tables import Carried
from bench.streams.transport import Sse, Transport, WebSocket
from bench.streams.watched import Peer

OPEN = b"HTTP/1.1 200 OK\r\n\r\n1\r\nevent: snapshot\ndata: {}\n\n\r\n"
KEYS = Partitions(1).keys(PARTITION)


def context() -> Context:
    return Context(
        quick=True,
        redis_program=shutil.which("redis-server") or bundled_program(),
        durabilities=(Durability.NONE,),
    )


@contextmanager
def told(*parts: bytes, go: threading.Event) -> Iterator[int]:
    """A server on the port that is given, whose one client is told the parts one by one after `go`, and then cut."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.recv(4096)
            connection.sendall(OPEN)
            go.wait(20)
            for part in parts:
                connection.sendall(part)
                # So that the parts arrive one by one.
                time.sleep(0.02)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join(20)


def until(crowd: Apart[Crowd], enough: Callable[[Heard], bool]) -> Heard:
    deadline = time.monotonic() + 20
    while True:
        heard = crowd.ask(Crowd.heard)
        if enough(heard):
            return heard
        assert time.monotonic() < deadline, heard
        time.sleep(0.01)


def test_a_moment_is_read_wherever_the_bytes_are_cut() -> None:
    now_us = time.time_ns() // 1000
    moments = [now_us - 2000, now_us - 1000, now_us]
    news = b"".join(b'data: {"rev":1,"sent_us":%d}\n\n' % each for each in moments)
    chance, go = random.Random(5), threading.Event()
    cuts = [0, *sorted(chance.sample(range(1, len(news)), 12)), len(news)]
    parts = [news[begin:end] for begin, end in itertools.pairwise(cuts)]
    with told(*parts, go=go) as port, Apart(Crowd) as crowd:
        crowd.ask(Crowd.open, port, Sse(), ["j00-1"])
        crowd.ask(Crowd.listen, MARKS["event"])
        go.set()
        heard = until(crowd, lambda heard: heard.closed == 1)
    assert list(heard.sent_us) == moments
    assert all(0 <= took < 20_000_000 for took in heard.took_us)
    assert heard.resyncs == 0


def test_a_watcher_that_is_told_anew_is_counted() -> None:
    go = threading.Event()
    with told(b'event: resync\ndata: {"type":"resync"}\n\n', go=go) as port, Apart(Crowd) as crowd:
        crowd.ask(Crowd.open, port, Sse(), ["j00-1"])
        crowd.ask(Crowd.listen, MARKS["event"])
        go.set()
        heard = until(crowd, lambda heard: heard.closed == 1)
    assert (heard.resyncs, len(heard.took_us)) == (1, 0)


def test_a_part_that_raises_goes_on_and_one_that_is_gone_is_noticed() -> None:
    with Apart(Crowd) as crowd:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            free = int(listener.getsockname()[1])
        with pytest.raises(ConnectionRefusedError):
            crowd.ask(Crowd.open, free, Sse(), ["j00-1"])
        assert crowd.ask(Crowd.count) == 0
    with pytest.raises(OSError):
        crowd.ask(Crowd.count)


@pytest.mark.parametrize(("transport", "refusal"), [(Sse(), b"HTTP/1.1 404 Not"), (WebSocket(), b"HTTP/1.1 401 No")])
def test_a_refused_watcher_is_no_open_one(transport: Transport, refusal: bytes) -> None:
    with pytest.raises(RuntimeError):
        transport.is_open(refusal)
    assert not transport.is_open(refusal[:9])


def test_events_and_progress_are_written_as_the_kernel_writes_them() -> None:
    with context().server(Durability.NONE) as server, Apart(Feeder) as feeder:
        beaten = uvloop.run(_beat(server.url))
        client: Any = server.client
        (kernel_pulse,) = (fields for _, fields in client.xrange(KEYS.pulse))
        kernel_event = client.lindex(KEYS.log(beaten), -1)
        jobs = make_jobs(server.url, 3)
        feeder.ask(Feeder.use, server.url, TENANT, jobs)
        feeder.ask(Feeder.feed, "pulse", 10_000.0, 3)
        feeder.ask(Feeder.feed, "event", 10_000.0, 7)
        pulses = [fields for _, fields in client.xrange(KEYS.pulse)][1:]
        assert [list(each) for each in pulses] == [list(kernel_pulse)] * 3
        for number, (entry, fields) in enumerate(reversed(client.xrevrange(KEYS.feed, count=7))):
            ((tenant, body),) = fields.items()
            assert tenant == TENANT.encode()
            # In the log and in the feed the event is the same, under the id of its entry.
            assert b'{"id":"' + entry + b'",' + body[1:] in client.lrange(KEYS.log(jobs[number % 3]), 0, -1)
        for job in jobs:
            log, view = uvloop.run(_read(server.url, job))
            assert [each.rev for each in log] == list(range(1, len(log) + 1))
            assert view is not None
            assert (view.rev, view.last_event) == (log[-1].rev, log[-1].id)
            assert list(msgspec.json.decode(client.lindex(KEYS.log(job), -1))) == list(
                msgspec.json.decode(kernel_event)
            )


async def _beat(url: str) -> str:
    """A job that reports progress to the kernel itself."""
    client = connect(RedisOptions(url=url))
    house = House(client)
    await house.load()
    await house.fresh()
    (grant,) = await house.start(1)
    await house.worker.beat(PARTITION, [Beat(grant.job, grant.fence, 12.5, PROGRESS)])
    await client.aclose()
    return grant.job


async def _read(url: str, job: str) -> tuple[list[LogEntry], JobView | None]:
    client = connect(RedisOptions(url=url))
    try:
        return await read_log(client, Partitions(1), job), await read_job(client, Partitions(1), job)
    finally:
        await client.aclose()


@pytest.mark.parametrize("transport", [Sse(), WebSocket()], ids=["sse", "websocket"])
def test_everything_that_is_written_reaches_its_watcher(transport: Transport) -> None:
    found = flows(context(), Peer("ours", transport), ("event", "pulse"))
    for carried in found.values():
        assert [each.whole for each in carried] == [True, True]
        assert all(each.delivered == each.wanted > 0 and each.waits is not None for each in carried)
        assert all(each.busy.serving_s > 0 for each in carried)


def test_processor_time_and_memory_are_those_of_the_process() -> None:
    before_s, began_s = processor_s(threading.get_native_id()), time.process_time()
    while time.process_time() - began_s < 0.02:
        pass
    assert 0.02 <= processor_s(threading.get_native_id()) - before_s < 0.2
    found = memory(threading.get_native_id())
    assert 0 < found.resident_bytes <= found.peak_bytes


def flow(rate: float, delivered: int, serving_s: float, ms: float, wanted: int = 1000) -> Flow:
    took_us = [round(1000 * ms)] * delivered
    return Flow(
        load=Load("event", rate, 1.0),
        wanted=wanted,
        delivered=delivered,
        seconds=2.0,
        per_s=rate * delivered / wanted,
        busy=Busy(serving_s, 0.2, 0.4, 0.1),
        waits=waits(took_us),
        resyncs=0,
        closed=0,
    )


def test_waits_and_rates_are_those_of_the_clients() -> None:
    assert per_s(array("Q", [0, 500_000, 1_000_000]), array("q", [10, 20, 10])) == pytest.approx(2.0)
    assert per_s([7], [7]) == 0
    found = waits([1000] * 990 + [9000] * 10)
    assert found is not None
    assert (found.p50_ms, found.p99_ms, found.longest_ms, found.lag_ms) == (1.0, 1.0, 9.0, 1.0)
    lagging = waits([1000] * 94 + [500_000] * 6)
    assert lagging is not None
    assert lagging.lag_ms == 500.0
    assert waits([]) is None


def carried(steady: Flow, calm: Flow) -> list[Carried]:
    return [
        Carried("Reelway, SSE", "event", 5000.0, [calm]),
        Carried("Reelway, SSE", "event", 20_000.0, [steady]),
        Carried("plain handler", "own", 5000.0, [calm]),
        Carried("plain handler", "own", 20_000.0, [steady]),
    ]


@pytest.mark.parametrize(
    ("steady", "calm", "met"),
    [
        (flow(20_000, 1000, 0.019, 10), flow(5000, 1000, 0.1, 10), (True, True, True)),
        (flow(20_000, 1000, 0.021, 10), flow(5000, 1000, 0.1, 51), (False, False, True)),
        (flow(20_000, 1000, 0.019, 101), flow(5000, 1000, 0.1, 10), (True, True, False)),
        (flow(20_000, 999, 0.019, 10), flow(5000, 1000, 0.1, 10), (True, True, False)),
        (flow(19_000, 1000, 0.019, 10), flow(5000, 1000, 0.1, 10), (True, True, True)),
    ],
)
def test_what_was_promised_is_checked_at_its_load(steady: Flow, calm: Flow, met: tuple[bool, ...]) -> None:
    rows = carried(steady, calm)
    rows[1] = msgspec.structs.replace(rows[1], rate=steady.load.rate)
    checks = tables.carried_checks(rows, 5000.0, steady.load.rate)
    # The prompt one, then efficiency and what is sustained; nothing is promised of the plain handler.
    assert tuple(each.met for each in checks) == (met[1], met[0], met[2])


def test_a_load_that_was_not_reached_is_not_sustained_and_named() -> None:
    rows = carried(flow(20_000, 1000, 0.019, 10), flow(5000, 1000, 0.1, 10))
    slow = msgspec.structs.replace(rows[1].flows[0], per_s=19_000.0)
    rows[1] = msgspec.structs.replace(rows[1], flows=[slow])
    _, _, sustained = tables.carried_checks(rows, 5000.0, 20_000.0)
    assert not sustained.met
    assert "Less than what was asked for came through with Reelway, SSE, events at 20,000/s" in tables.starved(rows)


def test_idle_and_deaf_watchers_are_checked_by_memory() -> None:
    small, large = Idle(5000, 16 * 1024, 2.0), Idle(5000, 16 * 1024 + 1, 2.0)
    assert [each.met for each in tables.idle_checks({"a": [small], "b": [large]})] == [True, False]
    alone, beside = flow(10_000, 1000, 0.1, 10), flow(10_000, 1000, 0.1, 12)
    kept = Deaf(200, alone, beside, 200 * 256 * 1024, 15.0)
    grown = Deaf(200, alone, flow(10_000, 1000, 0.1, 16), 200 * 256 * 1024 + 1, None)
    assert [each.met for each in tables.deaf_checks({"a": [kept]})] == [True, True]
    assert [each.met for each in tables.deaf_checks({"a": [grown]})] == [False, False]
    lost = Deaf(200, alone, flow(10_000, 999, 0.1, 10), 1, 15.0)
    assert [each.met for each in tables.deaf_checks({"a": [lost]})] == [True, False]


def test_every_sample_has_its_row_and_its_bar() -> None:
    rows = carried(flow(20_000, 1000, 0.019, 10), flow(5000, 1000, 0.1, 10))
    raw = {"response": [Raw(110_000.0, 100_000.0)], "transport": [Raw(150_000.0, 140_000.0)]}
    deaf = {"Reelway, SSE": [Deaf(200, rows[0].flows[0], rows[0].flows[0], 1 << 20, 15.0)]}
    made = [tables.carried_table(rows), tables.raw_table(raw), tables.deaf_table(deaf)]
    made.append(tables.idle_table({"Reelway, SSE": [Idle(5000, 15_000.0, 2.0)]}))
    assert [len(each.rows) for each in made] == [4, 2, 2, 1]
    assert all(len(row.figures) == len(each.columns) for each in made for row in each.rows)
    efficiency = tables.efficiency_plot(rows, raw, 20_000.0)
    assert efficiency.series[0].x == (
        "Reelway, SSE, events", "plain handler, events", "response.write, no Redis", "transport.write, no Redis",
    )  # fmt: skip
    assert [each.name for each in tables.waits_plot(rows, 5000.0).series] == [
        "Reelway, SSE, events",
        "plain handler, events",
    ]
