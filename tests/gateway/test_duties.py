"""A gateway whose duties are shared out among processes."""

import pytest

from gateway.http.application import ROUTES
from gateway.http.duties import duty_of
from tests.gateway.conftest import OpenStream, StartGateway, client_of
from tests.gateway.scripted_worker import ScriptedWorker

PATHS = {
    "api": "/v1/jobs",
    "streams": "/v1/events",
    "bytes": "/v1/uploads/none",
}


@pytest.mark.parametrize("serve", ["api", "streams", "bytes", "streams,bytes"])
async def test_a_process_serves_its_duties_and_says_that_others_serve_the_rest(
    start_gateway: StartGateway, serve: str
) -> None:
    gateway = await start_gateway(gateway__serve=serve)
    async with client_of(gateway) as client:
        for duty, path in PATHS.items():
            async with client.get(path) as response:
                if duty in serve.split(","):
                    assert response.status in {200, 404}, path
                    continue
                assert response.status == 421
                assert (await response.json())["code"] == "NOT_SERVED_HERE"
        for path in ("/livez", "/readyz", "/metrics"):
            async with client.get(path) as response:
                assert response.status == 200, path


async def test_only_who_needs_events_reads_them(start_gateway: StartGateway, worker: ScriptedWorker) -> None:
    gateway = await start_gateway(gateway__serve="bytes")
    assert not gateway.context.pump.started.is_set()
    async with client_of(gateway) as client, client.get("/readyz") as response:
        assert (await response.json())["pump_lag_s"] is None


async def test_what_one_accepts_another_streams(
    start_gateway: StartGateway, open_stream: OpenStream, worker: ScriptedWorker
) -> None:
    api, streams = await start_gateway(gateway__serve="api"), await start_gateway(gateway__serve="streams")
    async with client_of(api) as client:
        body = {"source": "https://media.example/a.mp4", "format": "mp3"}
        async with client.post("/v1/jobs", json=body) as response:
            job = (await response.json())["id"]
        stream = await open_stream(streams, job)
        await stream.until("snapshot")
        async with client.post(f"/v1/jobs/{job}/cancel") as response:
            assert response.status == 200
        assert (await stream.until("job.cancelled")).data["job"] == job


def test_every_route_has_a_duty_or_is_about_the_process() -> None:
    assert {route.path for route in ROUTES if duty_of(route.path) is None} == {
        "/livez", "/readyz", "/metrics", "/openapi.json", "/docs",
    }  # fmt: skip
    assert {duty_of(route.path) for route in ROUTES} == {"api", "streams", "bytes", None}
