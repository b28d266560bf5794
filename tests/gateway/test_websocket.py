"""`/v1/ws`: the same promises as a stream's, for many topics on one connection."""

import asyncio

import aiohttp
import pytest

from gateway.http.service import GatewayService
from gateway.streams import ws_session
from gateway.streams.connection import Bounds
from gateway.streams.messages import MOST_MESSAGE_BYTES
from tests.gateway.conftest import OpenSocket, StartGateway
from tests.gateway.keys import KEY
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.ws_client import WsClient

WHOLE = ["job.started", *["job.stage", "job.started"] * 3, "job.completed"]


async def test_a_job_is_followed_from_its_snapshot_to_its_end(
    gateway: GatewayService, worker: ScriptedWorker, open_socket: OpenSocket
) -> None:
    job = await worker.submit()
    client: WsClient = await open_socket(gateway)
    assert (await client.next())["op"] == "hello"
    answer = await client.subscribe("a", f"job:{job}")
    assert answer["recovered"] is False
    assert answer["snapshot"]["type"] == "snapshot"
    assert answer["snapshot"]["data"]["id"] == job
    await worker.run(job)
    events = await client.events(len(WHOLE))
    assert {event["sub"] for event in events} == {"a"}
    assert [event["event"]["type"] for event in events] == WHOLE
    revs = [event["event"]["rev"] for event in events]
    assert revs == list(range(answer["snapshot"]["rev"] + 1, revs[-1] + 1))
    assert await client.next() == {"op": "end", "sub": "a", "job": job, "state": "completed"}
    # The id is free again, and a job that has ended ends at once.
    assert (await client.subscribe("a", f"job:{job}"))["snapshot"]["data"]["state"] == "completed"
    assert (await client.until("ev"))["event"]["type"] == "job.completed"
    end = await client.next()
    assert (end["op"], end["job"], end["state"]) == ("end", job, "completed")


async def test_resume_continues_behind_the_last_event(
    gateway: GatewayService, worker: ScriptedWorker, open_socket: OpenSocket
) -> None:
    job = await worker.submit()
    first: WsClient = await open_socket(gateway)
    await first.subscribe("a", f"job:{job}")
    grant = await worker.take("ingest")
    seen = (await first.until("ev"))["event"]
    await first.close()
    await worker.next(grant, "fetch")
    second: WsClient = await open_socket(gateway)
    answer = await second.subscribe("again", f"job:{job}", since=seen["id"])
    assert (answer["recovered"], answer["snapshot"]) == (True, None)
    missed = (await second.until("ev"))["event"]
    assert (missed["type"], missed["rev"]) == ("job.stage", seen["rev"] + 1)
    answer = await second.subscribe("lost", f"job:{job}", since="otherepoch.1-1")
    assert answer["recovered"] is False
    assert answer["snapshot"]["type"] == "resync"


@pytest.mark.parametrize("ring_events", [4096, 0], ids=["memory", "log"])
async def test_a_client_that_has_seen_the_end_is_told_that_there_is_nothing_more(
    start_gateway: StartGateway, worker: ScriptedWorker, open_socket: OpenSocket, ring_events: int
) -> None:
    gateway = await start_gateway(gateway__ring_events=ring_events)
    job = await worker.submit()
    client: WsClient = await open_socket(gateway)
    await client.subscribe("a", f"job:{job}")
    await worker.run(job)
    last = (await client.events(len(WHOLE)))[-1]["event"]
    await client.until("end")
    answer = await client.subscribe("a", f"job:{job}", since=last["id"])
    assert (answer["recovered"], answer["snapshot"]) == (True, None)
    end = await client.next()
    assert (end["op"], end["job"], end["state"]) == ("end", job, "completed")


async def test_many_topics_share_a_connection_and_unsub_ends_one(
    gateway: GatewayService, worker: ScriptedWorker, open_socket: OpenSocket
) -> None:
    one, two = await worker.submit(), await worker.submit()
    client: WsClient = await open_socket(gateway)
    await client.subscribe("one", f"job:{one}")
    await client.subscribe("two", f"job:{two}")
    await client.subscribe("all", "jobs")
    await worker.submitter.cancel(one, "test")
    heard = {(await client.until("ev"))["sub"] for _ in range(2)}
    assert heard == {"one", "all"}
    assert await client.until("end") == {"op": "end", "sub": "one", "job": one, "state": "cancelled"}
    await client.say("unsub", id="all")
    assert await client.next() == {"op": "unsub", "id": "all"}
    await worker.submitter.cancel(two, "test")
    assert (await client.next())["sub"] == "two"
    assert (await client.next())["op"] == "end"
    assert gateway.context.hub.watchers() == 0


async def test_what_cannot_be_followed_is_said_and_the_rest_goes_on(
    gateway: GatewayService, worker: ScriptedWorker, open_socket: OpenSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = await worker.submit(tenant="another")
    job = await worker.submit()
    client: WsClient = await open_socket(gateway)

    async def refused(**fields: object) -> str:
        await client.say("sub", **fields)
        return str((await client.until("error", id=fields.get("id")))["code"])

    assert await refused(id="a", topic=f"job:{foreign}") == "JOB_NOT_FOUND"
    assert await refused(id="a", topic="job:nonsense") == "JOB_NOT_FOUND"
    assert await refused(id="a", topic="everything") == "INVALID_MESSAGE"
    await client.say("sub", id="with a blank", topic="jobs")
    assert (await client.until("error"))["code"] == "INVALID_MESSAGE"
    await client.socket.send_str("[1, 2")
    assert (await client.until("error"))["code"] == "INVALID_MESSAGE"
    await client.subscribe("a", f"job:{job}")
    assert await refused(id="a", topic="jobs") == "SUBSCRIPTION_EXISTS"
    monkeypatch.setattr(ws_session, "MOST_SUBSCRIPTIONS", 2)
    await client.subscribe("b", "jobs")
    assert await refused(id="c", topic="jobs") == "TOO_MANY_SUBSCRIPTIONS"
    await worker.submitter.cancel(job, "test")
    assert {event["sub"] for event in await client.events(2)} == {"a", "b"}
    await client.until("end")
    await client.say("ping")
    assert await client.next() == {"op": "pong"}


async def test_a_client_that_talks_nonsense_is_given_up(gateway: GatewayService, open_socket: OpenSocket) -> None:
    client: WsClient = await open_socket(gateway)
    for _ in range(ws_session.MOST_MISTAKES + 1):
        await client.socket.send_str("nonsense")
    assert (await client.until("bye"))["code"] == 4500
    assert await client.ended() == 4500
    large: WsClient = await open_socket(gateway)
    await large.socket.send_str("x" * (MOST_MESSAGE_BYTES + 1))
    assert await large.ended() == 1009


async def test_the_key_may_come_in_the_first_message(gateway: GatewayService, open_socket: OpenSocket) -> None:
    client: WsClient = await open_socket(gateway, headers={})
    await client.say("auth", token=KEY)
    assert (await client.next())["op"] == "hello"
    assert (await client.subscribe("a", "jobs"))["snapshot"]["data"]["jobs"] == []
    wrong: WsClient = await open_socket(gateway, headers={})
    await wrong.say("auth", token="rw_wrong")
    assert await wrong.ended() == 4501
    early: WsClient = await open_socket(gateway, headers={})
    await early.say("sub", id="a", topic="jobs")
    assert await early.ended() == 4501
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await open_socket(gateway, headers={"Authorization": "Bearer rw_wrong"})
    assert refused.value.status == 401


async def test_who_does_not_introduce_himself_is_closed_and_few_may_try_at_once(
    start_gateway: StartGateway, open_socket: OpenSocket
) -> None:
    gateway = await start_gateway()
    object.__setattr__(gateway.context, "bounds", Bounds(introduction_s=0.05))
    silent: WsClient = await open_socket(gateway, headers={})
    assert await silent.ended() == 4501
    object.__setattr__(gateway.context, "bounds", Bounds(introduction_s=60.0))
    gateway.context.strangers._most = 2
    strangers = [await open_socket(gateway, headers={}) for _ in range(2)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await open_socket(gateway, headers={})
    assert refused.value.status == 429
    await open_socket(gateway)
    elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=elsewhere) as session:
        await (await session.ws_connect(f"{gateway.url}/v1/ws")).close()
    await strangers[0].say("auth", token=KEY)
    await strangers[0].until("hello")
    await open_socket(gateway, headers={})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://evil.example", False),
        ("null", False),
        ("http://127.0.0.1", False),  # another port is another origin
        ("https://app.example", True),
        ("SAME", True),
    ],
)
async def test_pages_of_other_sites_are_refused_before_the_upgrade(
    start_gateway: StartGateway, open_socket: OpenSocket, origin: str, allowed: bool
) -> None:
    gateway = await start_gateway(gateway__origins=["https://app.example"])
    headers = {"Authorization": f"Bearer {KEY}", "Origin": gateway.url if origin == "SAME" else origin}
    if allowed:
        await (await open_socket(gateway, headers=headers)).until("hello")
        return
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await open_socket(gateway, headers=headers)
    assert refused.value.status == 403


async def test_a_plain_request_is_told_what_this_is(api: aiohttp.ClientSession) -> None:
    async with api.get("/v1/ws") as response:
        assert response.status == 426
        assert response.headers["Upgrade"] == "websocket"
        assert (await response.json())["code"] == "UPGRADE_NEEDED"


async def test_draining_tells_when_to_come_back(
    start_gateway: StartGateway, worker: ScriptedWorker, open_socket: OpenSocket
) -> None:
    gateway = await start_gateway()
    client: WsClient = await open_socket(gateway)
    await client.subscribe("a", f"job:{await worker.submit()}")
    draining = asyncio.create_task(gateway.drain())
    bye = await client.until("bye")
    assert (bye["code"], bye["reason"]) == (4001, "draining")
    assert bye["retry_ms"] > 0
    assert await client.ended() == 4001
    await draining
    late: WsClient = await open_socket(gateway)
    assert await late.ended() == 4001


async def test_a_life_is_bounded(start_gateway: StartGateway, open_socket: OpenSocket) -> None:
    gateway = await start_gateway(gateway__stream_life_s=0.2, gateway__heartbeat_s=0.2)
    client: WsClient = await open_socket(gateway)
    assert (await client.until("bye"))["code"] == 4000
    assert await client.ended() == 4000


async def test_too_many_are_told_to_come_back_later(start_gateway: StartGateway, open_socket: OpenSocket) -> None:
    gateway = await start_gateway(gateway__max_streams=1)
    await (await open_socket(gateway)).until("hello")
    turned_away: WsClient = await open_socket(gateway)
    assert (await turned_away.until("bye"))["code"] == 4002
    assert await turned_away.ended() == 4002


async def test_a_client_that_answers_no_ping_is_gone(start_gateway: StartGateway, open_socket: OpenSocket) -> None:
    gateway = await start_gateway(gateway__heartbeat_s=0.1)
    deaf: WsClient = await open_socket(gateway, answers=False)
    well: WsClient = await open_socket(gateway)
    await well.until("hello")
    # A client that does not read answers nothing either; it is the pongs that count, not the reading.
    await eventually(lambda: len(gateway.context.streams) == 2)
    reading = asyncio.create_task(well.until("nothing"))
    await eventually(lambda: len(gateway.context.streams) == 1)
    assert not reading.done()
    reading.cancel()
    with pytest.raises(ConnectionError):
        await deaf.until("bye")


async def test_a_connection_that_is_cut_leaves_nothing_behind(
    gateway: GatewayService, worker: ScriptedWorker, open_socket: OpenSocket
) -> None:
    client: WsClient = await open_socket(gateway)
    await client.subscribe("a", f"job:{await worker.submit()}")
    await client.subscribe("b", "jobs")
    transport = client.socket._writer.transport
    transport.abort()
    await eventually(lambda: gateway.context.hub.watchers() == 0 and len(gateway.context.streams) == 0)
