"""Clients that hand jobs in, so many at the same time, each one after the other."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
import msgspec

from bench.bodies import encode
from bench.roles import KEY

REQUEST = encode({"source": "https://media.example/clip.mp4", "format": "mp3"})
PATIENCE_S = 60.0


class Driven(msgspec.Struct, frozen=True):
    """What the clients saw."""

    seconds: float
    latencies_s: tuple[float, ...]

    @property
    def rate(self) -> float:
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        return 1000 * percentile(self.latencies_s, percent)


def percentile(values: Sequence[float], percent: float) -> float:
    """Between the two nearest values; 0 is the smallest and 100 the largest."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


async def drive(send: Callable[[int], Awaitable[None]], in_flight: int, requests: int) -> Driven:
    """Calls `send` with the numbers from 0 on, `in_flight` of them at any time."""
    numbers = iter(range(requests))
    latencies_s: list[float] = []

    async def client() -> None:
        for number in numbers:
            sent_at_s = time.perf_counter()
            await send(number)
            latencies_s.append(time.perf_counter() - sent_at_s)

    began_s = time.perf_counter()
    async with asyncio.TaskGroup() as clients:
        for _ in range(in_flight):
            clients.create_task(client())
    return Driven(time.perf_counter() - began_s, tuple(latencies_s))


class Http:
    """`POST /v1/jobs` and `GET /v1/jobs/{id}` over connections that stay open."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @staticmethod
    def session(url: str, connections: int) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            url,
            connector=aiohttp.TCPConnector(limit=connections),
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
        )

    async def submit(self, key: str | None = None) -> str:
        """Hands a job in; returns its id. Raises RuntimeError when it is refused."""
        headers = {} if key is None else {"Idempotency-Key": key}
        async with self._session.post("/v1/jobs", data=REQUEST, headers=headers) as response:
            return self._job(await response.read(), response.status, 202).id

    async def completed(self, job: str) -> None:
        """Waits until the job has completed. Raises RuntimeError when it ends otherwise."""
        while True:
            async with self._session.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=30"}) as response:
                state = self._job(await response.read(), response.status, 200).state
            if state == "completed":
                return
            if state in {"failed", "cancelled", "expired"}:
                raise RuntimeError(f"{job} is {state}")

    @staticmethod
    def _job(body: bytes, status: int, wanted: int) -> "Job":
        if status != wanted:
            raise RuntimeError(f"answered {status}: {body.decode(errors='replace')[:500]}")
        return _decoder.decode(body)


class Job(msgspec.Struct, frozen=True):
    """What is read of a job's document."""

    id: str
    state: str


_decoder = msgspec.json.Decoder(Job)
