"""Keys stay out of what a gateway writes, wherever a client puts them."""

import asyncio
import json
from pathlib import Path

import aiohttp

from tests.gateway.keys import KEY
from tests.gateway.scripted_worker import ScriptedWorker
from tests.watchers.gateways import gateways

WRONG = "rw_somebody-elses-key-0123456789"


async def test_no_key_is_in_a_log_or_a_metric(tmp_path: Path, redis_url: str, worker: ScriptedWorker) -> None:
    job = await worker.submit()
    paths = [
        f"/v1/jobs/{job}/events", f"/v1/jobs/{job}/events?access_token={KEY}", f"/v1/events?tag={KEY}",
        f"/v1/jobs/{KEY}", f"/{KEY}", f"/v1/ws?token={KEY}",
    ]  # fmt: skip
    async with (
        gateways(1, tmp_path, redis_url, LOGGING_LEVEL="debug") as (gateway,),
        aiohttp.ClientSession(gateway.url) as client,
    ):
        for key in (KEY, WRONG):
            for path in paths:
                headers = {
                    "Authorization": f"Bearer {key}",
                    "Accept": "text/event-stream",
                    "Last-Event-ID": key,
                    "X-Request-Id": key,
                    "Referer": f"{gateway.url}{path}",
                }
                async with client.get(path, headers=headers) as response:
                    assert response.status in (200, 400, 401, 404, 426), await response.text()
            async with client.ws_connect("/v1/ws") as socket:
                await socket.send_str(json.dumps({"op": "auth", "token": key}))
                async with asyncio.timeout(10):
                    said = await socket.receive()
                assert (said.type is aiohttp.WSMsgType.TEXT) == (key == KEY)
        async with client.get("/metrics", headers={"Authorization": f"Bearer {KEY}"}) as response:
            written = await response.text()
        assert await gateway.end() == 0
    written += "".join(file.read_text(errors="replace") for file in tmp_path.iterdir() if file.is_file())
    assert written.count("request.answered") > 2 * len(paths)
    assert KEY not in written
    assert WRONG not in written
