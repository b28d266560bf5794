"""Watchers while everything around them breaks: no gap, no duplicate, nothing after the end, and the end for everybody.

The heavy form has a thousand watchers. Each prints what was seen (`pytest -s`).
"""

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.conftest import RedisServer
from tests.watchers.faults import FAULTS, Fault
from tests.watchers.scene import Size, scene

SHORT = Size(jobs=12, watchers=60, of_tenant=12, around_s=0.4, ends_within_s=30)
CROWD = Size(jobs=96, watchers=1000, of_tenant=40, around_s=2.5, ends_within_s=60)
SEED = "watchers"


async def _play(fault: Fault, size: Size, folder: Path, server: RedisServer, tick_s: float) -> None:
    began_s = time.monotonic()
    async with scene(folder, server, fault.gateways, SEED, tick_s) as installation:
        await installation.begin(size, SEED, fault.crowd, fault.padding_bytes)
        await asyncio.sleep(size.around_s)
        before = installation.figures()
        allowed = await fault.strike(installation, size.around_s)
        struck_s = time.monotonic()
        await asyncio.sleep(size.around_s)
        await installation.finish(size.ends_within_s)
        wrong = await installation.judge(allowed)
        figures = installation.figures()
    took_s, after_s = time.monotonic() - began_s, time.monotonic() - struck_s
    print(f"{fault.name}: {json.dumps(figures)}; {took_s:.1f} s, {after_s:.1f} s of them after the fault")  # noqa: T201
    assert wrong == []
    assert before["durable"], "nothing was shown before the fault"
    assert figures["ends"] + figures["stopped"] == size.watchers - size.of_tenant
    assert bool(figures["resyncs"]) == allowed.resync, "the fault has struck whom it should"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_few_watchers(fault: Fault, tmp_path: Path, own_redis_server: RedisServer) -> None:
    await _play(fault, SHORT, tmp_path, own_redis_server, tick_s=0.05)


@pytest.mark.heavy
@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_a_thousand_watchers(fault: Fault, tmp_path: Path, own_redis_server: RedisServer) -> None:
    await _play(fault, CROWD, tmp_path, own_redis_server, tick_s=0.2)
