"""What the reaper and the operator ask for, and what concerns the whole installation."""

from actors.kernel.keys import GROUP
from actors.kernel.scripts import Argument
from actors.kernel.system_scripts import SYSTEM
from bench.case import BATCH, Act, Cases
from bench.house import FOLLOWING, PARTITION, STAGE, WIDTH, House

PRESENCE = (f"{SYSTEM}workers", f"{SYSTEM}present")
FACTS = b'{"stage":"transcode","lane":"cpu","slots":2,"running":1,"host":"node-7","pid":4711,"version":"0.1.0"}'
CASES = Cases()


@CASES.single("promote", "nothing is due")
async def _(house: House) -> Act:
    return lambda: house.keeper.promote(PARTITION)


@CASES.sized("promote", "queued", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.past(house.keys.due, await house.end(items))
    return lambda: house.keeper.promote(PARTITION)


@CASES.single("reap", "every lease is healthy")
async def _(house: House) -> Act:
    await house.start(BATCH)
    heard_ms = await house.keeper.server_time_ms()
    return lambda: house.keeper.reap(PARTITION, heard_ms)


@CASES.sized("reap", "queued again", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.past(house.keys.leases, [grant.job for grant in await house.start(items)])
    heard_ms = await house.keeper.server_time_ms()
    return lambda: house.keeper.reap(PARTITION, heard_ms)


@CASES.sized("reap", "crash budget spent", 1, BATCH)
async def _(house: House, items: int) -> Act:
    jobs = [grant.job for grant in await house.start(items)]
    for job in jobs:
        await house.client.hset(house.keys.job(job), "crashes", house.options.crash_budget - 1)
    await house.past(house.keys.leases, jobs)
    heard_ms = await house.keeper.server_time_ms()
    return lambda: house.keeper.reap(PARTITION, heard_ms)


@CASES.sized("expire", "ended", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.past(house.keys.deadlines, await house.queue(items))
    return lambda: house.keeper.expire(PARTITION)


@CASES.single("delete", "a dead letter")
async def _(house: House) -> Act:
    (job,) = await house.end(1, "permanent")
    return lambda: house.submitter.delete(job)


@CASES.sized("purge", "dead letters", 1, BATCH)
async def _(house: House, items: int) -> Act:
    jobs = await house.end(items, "permanent")
    return lambda: house.keeper.purge(PARTITION, jobs)


@CASES.sized("retention", "forgotten", 1, BATCH)
async def _(house: House, items: int) -> Act:
    jobs = await house.end(items, "permanent")
    await house.past(house.keys.deadlines, jobs)
    return lambda: house.keeper.retention(PARTITION, jobs)


@CASES.single("replay", "a dead letter")
async def _(house: House) -> Act:
    (job,) = await house.end(1, "permanent")
    return lambda: house.submitter.replay(job, from_first=False)


@CASES.sized("reconcile", "queued jobs, nothing to repair", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.queue(items)
    return lambda: house.keeper.reconcile(PARTITION, "0")


@CASES.sized("reconcile", "running jobs, nothing to repair", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.start(items)
    return lambda: house.keeper.reconcile(PARTITION, "0")


@CASES.sized("reconcile", "queued jobs that lost their inbox", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.queue(items)
    await house.client.delete(house.keys.inbox(STAGE, "cpu", "normal"))
    return lambda: house.keeper.reconcile(PARTITION, "0")


@CASES.sized("turn", "the limit was raised", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.client.set(house.keys.limit("acme-0"), 1)
    await house.start(1)
    await house.queue(items)
    await house.client.set(house.keys.limit("acme-0"), WIDTH)
    return lambda: house.keeper.turn("acme-0")


@CASES.sized("drop_consumers", "they hold nothing", 1, BATCH)
async def _(house: House, items: int) -> Act:
    inbox = house.keys.inbox(FOLLOWING, "gpu", "normal")
    await house.client.xgroup_create(inbox, GROUP, mkstream=True)
    names: list[Argument] = [f"worker-{number}" for number in range(items)]
    for name in names:
        await house.client.xgroup_createconsumer(inbox, GROUP, str(name))
    return lambda: house.scripts.call("drop_consumers", house.keys, [inbox], names)


@CASES.single("announce", "a worker is there")
async def _(house: House) -> Act:
    return lambda: house.system.call("announce", PRESENCE, ["worker-1", FACTS, 30_000])


@CASES.single("withdraw", "a worker has ended")
async def _(house: House) -> Act:
    await house.system.call("announce", PRESENCE, ["worker-1", FACTS, 30_000])
    return lambda: house.system.call("withdraw", PRESENCE, ["worker-1"])


@CASES.sized("workers", "who is there", 1, BATCH)
async def _(house: House, items: int) -> Act:
    for number in range(items):
        await house.system.call("announce", PRESENCE, [f"worker-{number}", FACTS, 30_000])
    return lambda: house.system.call("workers", PRESENCE, [0])


@CASES.single("enter", "a place of a named limit")
async def _(house: House) -> Act:
    return lambda: house.system.call("enter", [f"{SYSTEM}limit:youtube"], [2, 10_000, "job-1"])


@CASES.single("pause", "a stage")
async def _(house: House) -> Act:
    return lambda: house.system.call("pause", [f"{SYSTEM}paused"], [STAGE, '"operator"', '"upgrade"'])


@CASES.single("copy_pauses", "into a partition")
async def _(house: House) -> Act:
    return lambda: house.system.call("copy_pauses", [f"{house.keys.root}paused"], [STAGE, "{}"])


@CASES.sized("survey", "inboxes", 1, BATCH)
async def _(house: House, items: int) -> Act:
    sets = [house.keys.leases, house.keys.due, house.keys.active, house.keys.dead, f"{house.keys.root}quarantine"]
    inboxes = [house.keys.inbox(f"stage-{number}", "cpu", "normal") for number in range(items)]
    for inbox in inboxes:
        await house.client.xgroup_create(inbox, GROUP, mkstream=True)
    return lambda: house.system.call("survey", [*sets, *inboxes])
