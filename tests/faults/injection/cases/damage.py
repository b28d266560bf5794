"""Losses, with keys made by hand."""

from hashlib import sha1
from typing import Any

from actors.kernel.keys import GROUP
from actors.kernel.scripts import text
from tests.faults.history import FaultBegan
from tests.faults.injection.cases.case import INBOX, KEYS, shows
from tests.faults.injection.damage import LOSE_DEADLINES
from tests.faults.injection.scene import Scene


async def _fill_inbox(scene: Scene, delivered: int = 0) -> None:
    """Three hints and a group, to which so many have been delivered."""
    server = await scene.start_server()
    for number in range(3):
        await server.client.xadd(INBOX, {"job": f"j00-{number}"})
    await server.client.xgroup_create(INBOX, GROUP, "0")
    if delivered:
        await server.client.xreadgroup(GROUP, "worker", {INBOX: ">"}, count=delivered)


@shows("delete_stream")
async def _delete_stream(scene: Scene) -> None:
    await _fill_inbox(scene)
    await scene.inflict("delete_stream")
    assert not await scene.client().exists(INBOX)


@shows("delete_group")
async def _delete_group(scene: Scene) -> None:
    await _fill_inbox(scene, delivered=2)
    await scene.inflict("delete_group")
    assert await scene.client().xinfo_groups(INBOX) == []
    assert await scene.client().xlen(INBOX) == 3


@shows("delete_consumers")
async def _delete_consumers(scene: Scene) -> None:
    await _fill_inbox(scene, delivered=2)
    await scene.inflict("delete_consumers")
    assert (await scene.client().xinfo_groups(INBOX))[0]["consumers"] == 0


@shows("trim_inbox")
async def _trim_inbox(scene: Scene) -> None:
    await _fill_inbox(scene)
    await scene.inflict("trim_inbox")
    assert await scene.client().xlen(INBOX) == 0
    assert len(await scene.client().xinfo_groups(INBOX)) == 1


async def _rows_are_lost(scene: Scene, name: str, key: str) -> None:
    server = await scene.start_server()
    await server.client.zadd(key, {f"j00-{number}": number for number in range(6)})
    await scene.inflict(name)
    left = {text(row) for row in await server.client.zrange(key, 0, -1)}
    began = scene.told(FaultBegan)[0]
    assert isinstance(began, FaultBegan)
    assert 3 <= len(left) <= 5
    assert set(began.victims) == {key} | {f"j00-{number}" for number in range(6)} - left


@shows("delete_leases")
async def _delete_leases(scene: Scene) -> None:
    await _rows_are_lost(scene, "delete_leases", KEYS.leases)


@shows("delete_due")
async def _delete_due(scene: Scene) -> None:
    await _rows_are_lost(scene, "delete_due", KEYS.due)


@shows("delete_held")
async def _delete_held(scene: Scene) -> None:
    await _rows_are_lost(scene, "delete_held", KEYS.held("many"))


@shows("delete_deadlines")
async def _delete_deadlines(scene: Scene) -> None:
    """Rows of jobs that have ended stay: nothing would bring them back."""
    server = await scene.start_server()
    await server.client.zadd(KEYS.deadlines, {"ended": 1, "running": 1, "queued": 1})
    await server.client.zadd(KEYS.active, {"running": 1, "queued": 1})
    digest = sha1(LOSE_DEADLINES.encode(), usedforsecurity=False).hexdigest()
    await scene.inflict("delete_deadlines")
    # Whatever ended between the look and the loss is left alone.
    await server.client.evalsha(digest, 2, KEYS.deadlines, KEYS.active, "ended")
    left = await server.client.zrange(KEYS.deadlines, 0, -1)
    assert len(left) == 2
    assert b"ended" in left


async def _keys_are_lost(scene: Scene, name: str, *keys: str) -> None:
    client = (await scene.start_server()).client
    for key in keys:
        if "ready" in key:
            await client.sadd(key, "j00-1")
        elif key.endswith(("feed", "pulse")):
            await client.xadd(key, {"job": "j00-1"})
        else:
            await client.set(key, 1)
    await client.set(KEYS.job("j00-1"), "stays")
    await scene.inflict(name)
    assert await client.exists(*keys) == 0
    assert await client.exists(KEYS.job("j00-1"))


@shows("delete_ready")
async def _delete_ready(scene: Scene) -> None:
    await _keys_are_lost(scene, "delete_ready", KEYS.ready("step1", "cpu", "many"))


@shows("delete_width")
async def _delete_width(scene: Scene) -> None:
    await _keys_are_lost(scene, "delete_width", f"{KEYS.root}width:step1:cpu")


@shows("delete_taken")
async def _delete_taken(scene: Scene) -> None:
    await _keys_are_lost(scene, "delete_taken", KEYS.taken("a"), KEYS.taken("b"))


@shows("delete_pulse")
async def _delete_pulse(scene: Scene) -> None:
    await _keys_are_lost(scene, "delete_pulse", KEYS.pulse)


@shows("delete_feed")
async def _delete_feed(scene: Scene) -> None:
    await _keys_are_lost(scene, "delete_feed", KEYS.feed, KEYS.epoch)


@shows("trim_feed")
async def _trim_feed(scene: Scene) -> None:
    server = await scene.start_server()
    for number in range(12):
        await server.client.xadd(KEYS.feed, {"job": f"j00-{number}"})
    await scene.inflict("trim_feed")
    left: Any = await server.client.xrange(KEYS.feed)
    assert [entry[1][b"job"] for entry in left] == [f"j00-{number}".encode() for number in range(2, 12)]
