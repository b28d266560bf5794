"""The clients of a run: all the work of its plan, until all of it has ended at one and the same time."""

import asyncio

import aiohttp
import redis.asyncio

from actors.kernel import RedisOptions, connect, end_tasks
from tests.faults.history import Journal, now_s
from tests.faults.house.house import House
from tests.faults.load.board import Board
from tests.faults.load.client import JobClient
from tests.faults.load.doors import Door, HttpDoor, KernelDoor
from tests.faults.load.watching import Watcher
from tests.faults.media.client import MediaClient
from tests.faults.media.sources import Sources
from tests.faults.plan import JobPlan, Media, Plan

FAULTS_OUTLAST_S = 10.0
"""How much longer than planned faults may take, unless `faults_over` says that they have ended."""
CONNECTIONS = 8


class Load:
    """Everybody who wants something."""

    def __init__(self, plan: Plan, house: House, journal: Journal, sources: Sources | None) -> None:
        self._plan = plan
        self._house = house
        self._journal = journal
        self._sources = sources
        self._clients: list[JobClient] = []
        self._redis: list[redis.asyncio.Redis] = []
        self._media: MediaClient | None = None
        self._session: aiohttp.ClientSession | None = None
        self._quiet_from_s: float | None = None

    async def run(self) -> None:
        """Returns when every job is terminal as its client sees it, every planned action is answered, and every watcher
        that stays has seen the end of its stream. Not before the faults are over: a late one can undo an end.
        """
        began_s = now_s()
        if self._quiet_from_s is None:
            ends_s = [fault.at_s + fault.lasts_s + FAULTS_OUTLAST_S for fault in self._plan.faults]
            self._quiet_from_s = began_s + max(ends_s, default=0.0)
        board = Board(self._connect(self._house.url), self._house.partitions)
        self._open(board)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(board.run(), name="board")]
            tasks += [group.create_task(client.run(began_s), name=client.name) for client in self._clients]
            while not self._is_quiet(board):
                await board.next_full_round()
            # Cancelled until they end: a call to Redis may swallow a cancellation.
            await end_tasks(tasks)

    def faults_over(self) -> None:
        """Nothing is broken any more, and nothing will be."""
        self._quiet_from_s = now_s()

    def unfinished(self) -> list[str]:
        """What is still waited for, in words."""
        waits = [client.waits_for() for client in self._clients]
        return [wait for wait in waits if wait is not None]

    async def close(self) -> None:
        """Once `run` has returned or was cancelled."""
        for client in self._redis:
            await client.aclose()
        if self._media is not None:
            await self._media.close()
        if self._session is not None:
            await self._session.close()

    def _is_quiet(self, board: Board) -> bool:
        assert self._quiet_from_s is not None
        ended_at_s = board.all_ended_at_s
        return ended_at_s is not None and ended_at_s >= self._quiet_from_s and not self.unfinished()

    def _open(self, board: Board) -> None:
        house = self._house
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {house.key}"}, connector=aiohttp.TCPConnector(limit=0)
        )
        self._media = MediaClient(house.gateway_urls, house.key)
        direct = self._connect(house.url)
        around = [self._connect(process.proxy.url) for process in house.processes if process.proxy is not None]
        for plan in self._plan.jobs:
            # Half of the clients share the way of a role process, which replies get lost on.
            way = around[plan.number // 2 % len(around)] if around and plan.number % 2 else direct
            key = f"{self._plan.seed}-{plan.number}"
            door = self._door(plan, key, way)
            self._clients.append(JobClient(plan, key, door, board, self._watchers(plan), self._journal))

    def _door(self, plan: JobPlan, key: str, way: redis.asyncio.Redis) -> Door:
        if isinstance(plan.work, Media):
            assert self._media is not None
            assert self._sources is not None, "media jobs need sources"
            return HttpDoor(self._media, self._sources, plan, key)
        return KernelDoor(way, self._house.partitions, self._house.options, plan, key)

    def _watchers(self, plan: JobPlan) -> list[Watcher]:
        assert self._session is not None
        return [
            Watcher(f"{plan.number}-{number}", watcher, self._session, self._house.gateway_urls, self._journal)
            for number, watcher in enumerate(plan.watchers, start=1)
        ]

    def _connect(self, url: str) -> redis.asyncio.Redis:
        client = connect(RedisOptions(url=url), connections=CONNECTIONS)
        self._redis.append(client)
        return client
