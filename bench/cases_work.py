"""What clients and workers ask for."""

import msgspec

from actors.kernel import Beat, Release
from bench.case import BATCH, Act, Cases
from bench.house import ERROR, PARTITION, WIDTH, House, commit, fail, spawn

PROGRESS = b'{"fps":51.2,"speed":2.1,"position_s":63.5}'
CASES = Cases()


@CASES.single("submit", "queued")
async def _(house: House) -> Act:
    return house.submit


@CASES.single("submit", "with an idempotency key")
async def _(house: House) -> Act:
    return lambda: house.submit(idempotency_key="order-1")


@CASES.single("submit", "repeated under its key")
async def _(house: House) -> Act:
    await house.submit(idempotency_key="order-1")
    return lambda: house.submit(idempotency_key="order-1")


@CASES.single("submit", "held behind its tenant's window")
async def _(house: House) -> Act:
    await house.queue(WIDTH)
    return lambda: house.submit("acme-0")


@CASES.single("submit", "starts later")
async def _(house: House) -> Act:
    later_ms = await house.keeper.server_time_ms() + 3_600_000
    return lambda: house.submit(start_at_ms=later_ms)


@CASES.single("take", "nothing waits")
async def _(house: House) -> Act:
    return lambda: house.take(BATCH)


@CASES.sized("take", "granted", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.queue(items)
    return lambda: house.take(items)


@CASES.sized("take", "granted, each job another tenant's", BATCH)
async def _(house: House, items: int) -> Act:
    await house.queue(items, tenants=items)
    return lambda: house.take(items)


@CASES.sized("take", "granted, a held job follows each", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.queue(WIDTH + items)
    return lambda: house.take(items)


@CASES.sized("take", "repeated under its nonce", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.queue(items)
    nonce = house.new_nonce()
    await house.worker.take(PARTITION, house.inboxes(), items, nonce)
    return lambda: house.worker.take(PARTITION, house.inboxes(), items, nonce)


@CASES.sized("beat", "nothing moved", 1, BATCH)
async def _(house: House, items: int) -> Act:
    beats = [Beat(grant.job, grant.fence) for grant in await house.start(items)]
    return lambda: house.worker.beat(PARTITION, beats)


@CASES.sized("beat", "with progress", 1, BATCH)
async def _(house: House, items: int) -> Act:
    beats = [Beat(grant.job, grant.fence, 12.5, PROGRESS) for grant in await house.start(items)]
    return lambda: house.worker.beat(PARTITION, beats)


@CASES.sized("beat", "with progress of children", 1, BATCH)
async def _(house: House, items: int) -> Act:
    _, children = await house.children(items)
    beats = [Beat(child.job, child.fence, 12.5, PROGRESS) for child in children]
    return lambda: house.worker.beat(PARTITION, beats)


@CASES.sized("commit", "next stage", 1, BATCH)
async def _(house: House, items: int) -> Act:
    commits = [commit(grant) for grant in await house.start(items)]
    return lambda: house.worker.commit(PARTITION, commits)


@CASES.sized("commit", "next stage, which the worker keeps", 1, BATCH)
async def _(house: House, items: int) -> Act:
    commits = [msgspec.structs.replace(commit(grant), keep="w") for grant in await house.start(items)]
    return lambda: house.worker.commit(PARTITION, commits)


@CASES.sized("commit", "next stage, each job another tenant's", BATCH)
async def _(house: House, items: int) -> Act:
    commits = [commit(grant) for grant in await house.start(items, tenants=items)]
    return lambda: house.worker.commit(PARTITION, commits)


@CASES.sized("commit", "done", 1, BATCH)
async def _(house: House, items: int) -> Act:
    commits = [commit(grant, "done") for grant in await house.start(items)]
    return lambda: house.worker.commit(PARTITION, commits)


@CASES.sized("commit", "done, one endpoint hears of it", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.endpoint()
    commits = [commit(grant, "done") for grant in await house.start(items)]
    return lambda: house.worker.commit(PARTITION, commits)


@CASES.sized("commit", "done at the tenant's limit, a held job follows each", 1, BATCH)
async def _(house: House, items: int) -> Act:
    await house.keeper.set_limit("acme-0", items)
    grants = await house.start(items)
    await house.queue(2 * items)
    commits = [commit(grant, "done") for grant in grants]
    return lambda: house.worker.commit(PARTITION, commits)


@CASES.single("commit", "split, children are open")
async def _(house: House) -> Act:
    (parent,) = await house.start(1)
    await house.worker.spawn(PARTITION, spawn(parent, range(1, BATCH + 1)))
    return lambda: house.worker.commit(PARTITION, [commit(parent, "split")])


@CASES.sized("commit", "done, children of a waiting parent", 1, BATCH)
async def _(house: House, items: int) -> Act:
    _, children = await house.children(items + 1)
    commits = [commit(child, "done") for child in children[:items]]
    return lambda: house.worker.commit(PARTITION, commits)


@CASES.single("commit", "done, the last child")
async def _(house: House) -> Act:
    _, children = await house.children(1)
    return lambda: house.worker.commit(PARTITION, [commit(children[0], "done")])


@CASES.sized("fail", "again after a delay", 1, BATCH)
async def _(house: House, items: int) -> Act:
    fails = [fail(grant) for grant in await house.start(items)]
    return lambda: house.worker.fail(PARTITION, fails)


@CASES.sized("fail", "for good", 1, BATCH)
async def _(house: House, items: int) -> Act:
    fails = [fail(grant, "permanent") for grant in await house.start(items)]
    return lambda: house.worker.fail(PARTITION, fails)


@CASES.sized("release", "given back", 1, BATCH)
async def _(house: House, items: int) -> Act:
    releases = [Release(grant.job, grant.fence, ERROR) for grant in await house.start(items)]
    return lambda: house.worker.release(PARTITION, releases)


@CASES.sized("spawn", "children queued", 1, BATCH)
async def _(house: House, items: int) -> Act:
    (parent,) = await house.start(1)
    return lambda: house.worker.spawn(PARTITION, spawn(parent, range(1, items + 1)))


@CASES.single("cancel", "it waits")
async def _(house: House) -> Act:
    (job,) = await house.queue(1)
    return lambda: house.submitter.cancel(job, "acme")


@CASES.single("cancel", "it runs")
async def _(house: House) -> Act:
    (grant,) = await house.start(1)
    return lambda: house.submitter.cancel(grant.job, "acme")


@CASES.sized("cancel", "it waits for running children", 1, BATCH)
async def _(house: House, items: int) -> Act:
    parent, _ = await house.children(items)
    return lambda: house.submitter.cancel(parent.job, "acme")
