"""`/v1/ws` where something happens in between: a hole, an opening that takes long, frames of the protocol itself."""

import asyncio

import aiohttp
import pytest

from gateway.http.service import GatewayService
from gateway.streams import ws_session
from gateway.streams.reader import JobReader, Reading
from tests.gateway.conftest import OpenSocket, client_of
from tests.gateway.narrow import narrow
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.ws_client import WsClient


async def test_a_hole_is_told_once_to_each_subscription_and_they_go_on(
    gateway: GatewayService, worker: ScriptedWorker, open_socket: OpenSocket
) -> None:
    jobs = [await worker.submit() for _ in range(2)]
    client: WsClient = await open_socket(gateway)
    for job in jobs:
        await client.subscribe(job, f"job:{job}")
    await client.subscribe("all", "jobs")
    gateway.context.hub.lose("00")
    told = await client.events(3)
    assert {(message["sub"], message["event"]["type"]) for message in told} == {
        (name, "resync") for name in (*jobs, "all")
    }
    for job in jobs:
        await worker.submitter.cancel(job, "test")
    told = await client.events(4)
    assert sorted((message["sub"], message["event"]["job"]) for message in told) == sorted(
        (name, job) for job in jobs for name in (job, "all")
    )
    assert {message["event"]["type"] for message in told} == {"job.cancelled"}


async def test_a_hole_during_an_opening_is_told_behind_it(
    gateway: GatewayService, worker: ScriptedWorker, open_socket: OpenSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another subscription of the same connection has its session look after all of them meanwhile."""
    one, two = [await worker.submit() for _ in range(2)]
    client: WsClient = await open_socket(gateway)
    await client.subscribe("one", f"job:{one}")
    read, resume, is_opening = JobReader.read, asyncio.Event(), True

    async def slowly(self: JobReader, wanted: str) -> Reading:
        nonlocal is_opening
        reading = await read(self, wanted)
        if wanted == two and is_opening:
            is_opening = False
            gateway.context.hub.lose("00")
            await resume.wait()
        return reading

    monkeypatch.setattr(JobReader, "read", slowly)
    await client.say("sub", id="two", topic=f"job:{two}")
    assert (await client.events(1))[0]["sub"] == "one"
    await eventually(lambda: gateway.context.reader.calls == 3)
    resume.set()
    assert (await client.next())["op"] == "sub"
    assert (await client.until("ev", sub="two"))["event"]["type"] == "resync"


async def test_pings_and_pongs_of_the_protocol_are_no_mistakes_and_bytes_are(
    gateway: GatewayService, open_socket: OpenSocket
) -> None:
    client: WsClient = await open_socket(gateway, answers=False)
    await client.until("hello")
    await client.socket.ping(b"anybody?")
    pong = await client.socket.receive(timeout=5)
    assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"anybody?")
    for _ in range(ws_session.MOST_MISTAKES + 1):
        await client.socket.pong()
    await client.say("ping")
    await client.until("pong")
    assert [message["op"] for message in client.heard] == ["hello", "pong"]
    await client.socket.send_bytes(b'{"op":"ping"}')
    assert (await client.next())["code"] == "INVALID_MESSAGE"


async def test_what_was_missed_is_not_read_while_the_socket_takes_nothing(
    gateway: GatewayService, worker: ScriptedWorker, open_socket: OpenSocket
) -> None:
    client: WsClient = await open_socket(gateway)
    await client.subscribe("all", "jobs")
    (served,) = gateway.context.streams._open
    narrow(served)
    jobs = [await worker.submit() for _ in range(100)]
    for job in jobs:
        await worker.submitter.cancel(job, "x" * 6000)
    await eventually(lambda: gateway.context.pump.events == 2 * len(jobs))
    assert served.behind
    readings = gateway.context.tenant_reader.readings
    gateway.context.hub.lose("00")
    async with client_of(gateway) as api, api.get(f"/v1/jobs/{jobs[0]}") as response:
        assert response.status == 200, "the loop has turned many times"
    assert gateway.context.tenant_reader.readings == readings
    while (await client.until("ev"))["event"]["type"] != "resync":
        pass
    assert gateway.context.tenant_reader.readings == readings + 1
