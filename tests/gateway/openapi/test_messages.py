"""What is said on a WebSocket is what `/openapi.json` says of it: `x-messages` names the schema of every message."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from gateway.http.service import GatewayService
from gateway.streams.messages import read_message
from tests.gateway.conftest import StartGateway
from tests.gateway.openapi.validity import DOCUMENT, errors_of, undescribed
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.ws_client import BEARER

MESSAGES = DOCUMENT["paths"]["/v1/ws"]["get"]["x-messages"]
SAID = [
    {"op": "auth", "token": "rw_key"},
    {"op": "sub", "id": "a", "topic": "jobs"},
    {"op": "sub", "id": "a", "topic": "jobs", "since": "2m4k8r1p.1790000000123-0"},
    {"op": "resume", "id": "a", "topic": "tag:x", "since": "2m4k8r1p.1790000000123-0"},
    {"op": "unsub", "id": "a"},
    {"op": "ping"},
    {"op": "pong"},
]


class Listener:
    """Keeps everything that it hears, pings too."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.heard: list[dict[str, Any]] = []

    async def say(self, op: str, **fields: object) -> None:
        await self._socket.send_json({"op": op, **fields})

    async def until(self, op: str, event: str | None = None) -> None:
        async with asyncio.timeout(10):
            while True:
                self.heard.append(await self._socket.receive_json())
                last = self.heard[-1]
                if last["op"] == op and (event is None or last["event"]["type"] == event):
                    return


async def test_the_gateway_says_what_is_described(start_gateway: StartGateway, worker: ScriptedWorker) -> None:
    gateway: GatewayService = await start_gateway(gateway__heartbeat_s=0.1)
    job = await worker.submit()
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{gateway.url}/v1/ws", headers=BEARER) as socket:
        listener = Listener(socket)
        await listener.until("hello")
        await listener.say("sub", id="one", topic=f"job:{job}")
        await listener.until("sub")
        await listener.say("sub", id="all", topic="jobs")
        await listener.until("sub")
        grant = await worker.take("ingest", job)
        await worker.beat(grant, 12.5, eta_s=3.0, speed=1.5, bytes_done=10, bytes_total=20)
        await listener.until("ev", "job.progress")
        await worker.fail(grant)
        await listener.until("end")
        await listener.say("resume", id="again", topic=f"job:{job}", since=listener.heard[-2]["event"]["id"])
        await listener.until("sub")
        await listener.say("unsub", id="all")
        await listener.until("unsub")
        await listener.say("sub", id="x", topic="job:j00-none")
        await listener.until("error")
        await listener.say("ping")
        await listener.until("pong")
        await listener.until("ping")
        await gateway.drain()
        await listener.until("bye")
    for message in listener.heard:
        schema = MESSAGES["server"][message["op"]]
        assert errors_of(schema, message) == [], message
        assert undescribed(schema, message) == [], message
    assert {message["op"] for message in listener.heard} == set(MESSAGES["server"])


@pytest.mark.parametrize("message", SAID, ids=lambda message: " ".join(message))
def test_the_gateway_understands_what_is_described(message: dict[str, str]) -> None:
    schema = MESSAGES["client"][message["op"]]
    assert errors_of(schema, message) == []
    assert undescribed(schema, message) == []
    read_message(json.dumps(message))
    for name in DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["required"]:
        lacking = {each: value for each, value in message.items() if each != name}
        assert errors_of(schema, lacking) != []
        with pytest.raises(ValueError, match=r"."):
            read_message(json.dumps(lacking))


def test_every_message_of_a_client_was_tried() -> None:
    assert {message["op"] for message in SAID} == set(MESSAGES["client"])
