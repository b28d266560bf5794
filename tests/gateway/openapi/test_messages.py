"""What is said on a WebSocket is what `/openapi.json` says of it: `x-messages` names the schema of every message."""

import json

import pytest

from gateway.http.service import GatewayService
from gateway.streams.messages import read_message
from tests.gateway.conftest import OpenSocket, StartGateway
from tests.gateway.openapi.validity import DOCUMENT, errors_of, undescribed
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.ws_client import WsClient

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


async def test_the_gateway_says_what_is_described(
    start_gateway: StartGateway, worker: ScriptedWorker, open_socket: OpenSocket
) -> None:
    gateway: GatewayService = await start_gateway(gateway__heartbeat_s=0.1)
    job = await worker.submit()
    client: WsClient = await open_socket(gateway)
    await client.until("hello")
    await client.subscribe("one", f"job:{job}")
    await client.subscribe("all", "jobs")
    grant = await worker.take("ingest", job)
    await worker.beat(grant, 12.5, eta_s=3.0, speed=1.5, bytes_done=10, bytes_total=20)
    while (await client.until("ev"))["event"]["type"] != "job.progress":
        pass
    await worker.fail(grant)
    while (shown := await client.until("ev"))["event"]["type"] != "job.failed":
        pass
    await client.until("end")
    await client.subscribe("again", f"job:{job}", since=shown["event"]["id"])
    await client.say("unsub", id="all")
    await client.until("unsub")
    await client.say("sub", id="x", topic="job:j00-none")
    await client.until("error")
    while "ping" not in {message["op"] for message in client.heard}:
        await client.say("ping")
        await client.until("pong")
    await gateway.drain()
    await client.until("bye")
    for message in client.heard:
        schema = MESSAGES["server"][message["op"]]
        assert errors_of(schema, message) == [], message
        assert undescribed(schema, message) == [], message
    assert {message["op"] for message in client.heard} == set(MESSAGES["server"])


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
