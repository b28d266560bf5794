"""Clients that others have written follow a job from its first event to its last, over a gateway that is killed."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import pytest
import websockets

from tests.gateway.keys import KEY
from tests.gateway.scripted_worker import STAGES, ScriptedWorker
from tests.watchers.frames import parse
from tests.watchers.gateways import GatewayProcess, gateways

CURL = shutil.which("curl")
WHOLE = ["job.started", *["job.stage", "job.started"] * 3, "job.completed"]
BEARER = {"Authorization": f"Bearer {KEY}"}
WITHIN_S = 20.0


async def _rest(worker: ScriptedWorker, stages: tuple[str, ...]) -> None:
    """Takes the job through these stages, to its end."""
    for stage, following in zip(stages, (*stages[1:], None), strict=True):
        grant = await worker.take(stage)
        await worker.beat(grant, 25.0 * STAGES.index(stage))
        await (worker.next(grant, following) if following else worker.done(grant))


async def _half_then_killed(worker: ScriptedWorker, gateway: GatewayProcess) -> None:
    ingest = await worker.take("ingest")
    await worker.next(ingest, "fetch")
    # The other half happens while nobody serves.
    await gateway.kill()
    await _rest(worker, STAGES[1:])
    await gateway.start()


async def test_httpx_sse(tmp_path: Path, redis_url: str, worker: ScriptedWorker) -> None:
    job = await worker.submit()
    seen: list[httpx_sse.ServerSentEvent] = []
    async with gateways(1, tmp_path, redis_url) as (gateway,), httpx.AsyncClient(base_url=gateway.url) as client:
        cursor = ""

        async def follow() -> int:
            nonlocal cursor
            headers = BEARER | ({"Last-Event-ID": cursor} if cursor else {})
            async with httpx_sse.aconnect_sse(client, "GET", f"/v1/jobs/{job}/events", headers=headers) as source:
                if source.response.status_code == 204:
                    return 204
                async for one in source.aiter_sse():
                    cursor = one.id
                    if one.data:
                        seen.append(one)
                    if one.event == "snapshot":
                        breaking.append(asyncio.create_task(_half_then_killed(worker, gateway)))
            return 200

        breaking: list[asyncio.Task[None]] = []
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(httpx.RemoteProtocolError):
                await follow()
            await breaking[0]
            assert await follow() == 200
            assert await follow() == 204
    told = [one for one in seen if one.event != "job.progress"]
    assert [one.event for one in told] == ["snapshot", *WHOLE, "end"]
    assert [json.loads(one.data)["rev"] for one in told[:-1]] == list(range(1, 10))


async def test_websockets(tmp_path: Path, redis_url: str, worker: ScriptedWorker) -> None:
    """The key in the first message, as a browser would have to send it."""
    job = await worker.submit()
    async with gateways(1, tmp_path, redis_url) as (gateway,), asyncio.timeout(WITHIN_S):
        url = f"ws://127.0.0.1:{gateway.port}/v1/ws"
        events: list[dict[str, Any]] = []

        async def follow(since: str | None) -> dict[str, Any]:
            """Until `end`, which is returned."""
            async with websockets.connect(url, subprotocols=[websockets.Subprotocol("reelway.v1")]) as socket:
                assert socket.subprotocol == "reelway.v1"
                await socket.send(json.dumps({"op": "auth", "token": KEY}))
                assert json.loads(await socket.recv())["op"] == "hello"
                wish = {"op": "sub"} if since is None else {"op": "resume", "since": since}
                await socket.send(json.dumps({**wish, "id": "a", "topic": f"job:{job}"}))
                answer = json.loads(await socket.recv())
                assert (answer["op"], answer["recovered"]) == ("sub", since is not None)
                if since is None:
                    events.append(answer["snapshot"])
                    breaking.append(asyncio.create_task(_half_then_killed(worker, gateway)))
                while (said := json.loads(await socket.recv()))["op"] != "end":
                    if said["op"] == "ev":
                        events.append(said["event"])
                await socket.ping()
                end: dict[str, Any] = said
                return end

        breaking: list[asyncio.Task[None]] = []
        with pytest.raises(websockets.ConnectionClosedError):
            await follow(None)
        await breaking[0]
        durable = [event for event in events if event["type"] != "job.progress"]
        assert (await follow(durable[-1]["id"]))["state"] == "completed"
    told = [event for event in events if event["type"] != "job.progress"]
    assert [event["type"] for event in told] == ["snapshot", *WHOLE]
    assert [event["rev"] for event in told] == list(range(1, 10))


async def test_websockets_are_told_when_to_come_back(tmp_path: Path, redis_url: str, worker: ScriptedWorker) -> None:
    job = await worker.submit()
    async with (
        asyncio.timeout(WITHIN_S),
        gateways(1, tmp_path, redis_url) as (gateway,),
        websockets.connect(f"ws://127.0.0.1:{gateway.port}/v1/ws", additional_headers=BEARER) as socket,
    ):
        await socket.send(json.dumps({"op": "sub", "id": "a", "topic": f"job:{job}"}))
        while json.loads(await socket.recv())["op"] != "sub":
            pass
        assert await gateway.end() == 0
        bye = json.loads(await socket.recv())
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await socket.recv()
    assert (bye["op"], bye["reason"], bye["code"]) == ("bye", "draining", 4001)
    assert bye["retry_ms"] > 0
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4001


@pytest.mark.skipif(CURL is None, reason="there is no curl on this machine")
async def test_curl(tmp_path: Path, redis_url: str, worker: ScriptedWorker) -> None:
    """`curl -N` shows each event when it happens, and ends by itself."""
    job = await worker.submit()
    headers = tmp_path / "headers"
    headers.write_text(f"Authorization: Bearer {KEY}\nAccept: text/event-stream\n")
    async with gateways(1, tmp_path, redis_url) as (gateway,):
        assert CURL is not None
        url = f"{gateway.url}/v1/jobs/{job}/events"
        curl = await asyncio.create_subprocess_exec(CURL, "-sSN", "-H", f"@{headers}", url, stdout=PIPE)
        assert curl.stdout is not None
        try:
            async with asyncio.timeout(WITHIN_S):
                told = [parse((await curl.stdout.readuntil(b"\n\n")).decode().strip()).event for _ in range(2)]
                for place, stage in enumerate(STAGES):
                    grant = await worker.take(stage)
                    told.append(parse((await curl.stdout.readuntil(b"\n\n")).decode().strip()).event)
                    await (worker.next(grant, STAGES[place + 1]) if place < 3 else worker.done(grant))
                    told.append(parse((await curl.stdout.readuntil(b"\n\n")).decode().strip()).event)
                told.append(parse((await curl.stdout.read()).decode().strip()).event)
                assert await curl.wait() == 0
        finally:
            if curl.returncode is None:
                curl.kill()
                await curl.wait()
    assert told == ["", "snapshot", *WHOLE, "end"]
