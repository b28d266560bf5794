"""The web server on loopback that media jobs fetch their sources from, with the faults that real ones have."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from tests.actors.fault_server import FaultServer, File
from tests.faults.media.programs import real_ffmpeg
from tests.faults.media.samples import SAMPLES, Serving, make_samples

REFUSALS = 1
"""How often a `refused` source answers 503, for each key. The product waits 1 to 2 s after the first."""

TRICKLES_S = (2.0, 4.0)
PARTS = 20
"""In how many parts a trickled file comes."""


class Sources:
    """Samples in one folder, and the server of them. A key, mostly a job's, has faults of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "sources"
        self._server = FaultServer()
        self._seen: dict[tuple[str, str], int] = {}
        """How often a source was asked for under a key."""

    async def start(self) -> None:
        """Make the samples and begin to serve them."""
        await asyncio.to_thread(make_samples, real_ffmpeg(), self._folder)
        for name, sample in SAMPLES.items():
            self._server.routes[f"/{name}"] = self._route(name, sample.serving)
        await self._server.start()

    async def stop(self) -> None:
        """Serve no more; the files stay."""
        await self._server.stop()

    def url(self, sample: str, key: str) -> str:
        """The address of a sample for one job."""
        return self._server.url(f"/{sample}?key={quote(key, safe='')}")

    def path(self, sample: str) -> Path:
        """The file, for those who upload it."""
        return self._folder / SAMPLES[sample].file

    def asked(self, sample: str, key: str) -> int:
        """How many requests there were for it."""
        return self._seen.get((sample, key), 0)

    def _route(self, name: str, serving: Serving) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        data = self.path(name).read_bytes()
        kind = "video/mp4" if name.endswith(".mp4") else "audio/mpeg"

        async def answer(request: web.Request) -> web.StreamResponse:
            key = request.query.get("key", "")
            times = self._seen.get((name, key), 0)
            self._seen[name, key] = times + 1
            file = File(data, content_type=kind)
            if serving == "refused" and times < REFUSALS:
                return web.Response(status=503, text="not now")
            if serving == "broken" and times == 0:
                file.cuts.append(len(data) // 2)
            try:
                if serving == "trickled" and "Range" not in request.headers:
                    return await _trickle(request, data, kind, random.Random(key).uniform(*TRICKLES_S))
                return await file(request)
            except ConnectionError:
                return web.Response(status=500)  # the worker was killed, so nobody reads this

        return answer


async def _trickle(request: web.Request, data: bytes, kind: str, lasts_s: float) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": kind, "Content-Length": str(len(data))})
    await response.prepare(request)
    for part in range(PARTS):
        await response.write(data[len(data) * part // PARTS : len(data) * (part + 1) // PARTS])
        await asyncio.sleep(lasts_s / PARTS)
    await response.write_eof()
    return response
