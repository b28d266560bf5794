"""Runs the shared conformance cases (tests/vectors/kernel) through the Python worker."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio

from actors.kernel import Beat, Commit, Fail, KernelOptions, Partitions, Release, Worker
from actors.kernel.items import Child, Spawn
from actors.kernel.scripts import Scripts, text

VECTORS = Path(__file__).parents[1] / "vectors" / "kernel"
CASES = [
    pytest.param(case["steps"], id=f"{path.stem}: {case['name']}")
    for path in sorted(VECTORS.glob("*.json"))
    for case in json.loads(path.read_text())
]
OPTIONS = KernelOptions(lease_s=10, window=100)


def plain(value: Any) -> Any:
    """A raw reply with text for bytes."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return text(value) if isinstance(value, bytes) else value


def matches(expected: Any, actual: Any) -> bool:
    if expected == "*":
        return True
    if isinstance(expected, list):
        return len(expected) == len(actual) and all(map(matches, expected, actual))
    return bool(expected == actual)


class Run:
    """One case on one empty database."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self.client = client
        self.partitions = Partitions(1)
        self.keys = self.partitions.keys("00")

    def worker(self, name: str = "w1") -> Worker:
        return Worker(self.client, self.partitions, OPTIONS, name)

    async def step(self, step: dict[str, Any]) -> None:
        match step:
            case {"script": verb, "keys": keys, "arguments": arguments, "reply": expected}:
                seconds, microseconds = await self.client.time()
                now = str(int(seconds) * 1000 + int(microseconds) // 1000)
                values = [now if argument == "@now" else argument for argument in arguments]
                full = [self.keys.root + key for key in keys]
                reply = await Scripts(self.client, OPTIONS).call(verb, self.keys, full, values)
                assert matches(expected, plain(reply)), plain(reply)
            case {"redis": words}:
                command = [self.keys.root + word[1:] if word.startswith("@") else word for word in words]
                await self.client.execute_command(*command)  # type: ignore[no-untyped-call]
            case {"take": asked, "grants": grants}:
                await self.take(asked, grants, step)
            case {"spawn": asked, "reply": expected}:
                children = tuple(_child(child) for child in asked["children"])
                spawn = Spawn(asked["job"], asked["fence"], children, asked.get("on_child_failure", "go_on"))
                spawned = await self.worker().spawn("00", spawn)
                assert {"status": spawned.status, "outcomes": list(spawned.outcomes)} == expected
            case {"children": asked, "reply": expected}:
                rows = await self.worker().children("00", asked["parent"], asked["first"], asked["count"])
                assert [list(msgspec.structs.astuple(row)) for row in rows] == expected
            case {"beat": items, "reply": expected}:
                beats = [
                    Beat(
                        item["job"],
                        item["fence"],
                        float(item["percent"]) if "percent" in item else None,
                        item.get("progress", "{}").encode(),
                    )
                    for item in items
                ]
                assert await self.worker().beat("00", beats) == expected
            case {"commit": items, "reply": expected}:
                commits = [msgspec.convert(_bodies(item), Commit, strict=False) for item in items]
                assert await self.worker().commit("00", commits) == expected
            case {"fail": items, "reply": expected}:
                fails = [msgspec.convert(_bodies({**item, "cls": item["class"]}), Fail) for item in items]
                assert await self.worker().fail("00", fails) == expected
            case {"release": items, "reply": expected}:
                releases = [msgspec.convert(_bodies(item), Release) for item in items]
                assert await self.worker().release("00", releases) == expected
            case {"expect": expected}:
                await self.expect(expected)
            case _:
                pytest.fail(f"unknown step {step}")

    async def take(self, asked: dict[str, Any], grants: list[dict[str, Any]], step: dict[str, Any]) -> None:
        inboxes = [self.keys.root + inbox for inbox in asked["inboxes"]]
        holding = asked.get("holding", 0)
        taken = await self.worker(asked["worker"]).take("00", inboxes, asked["want"], asked["nonce"], holding=holding)
        assert step.get("paused", taken.paused) == taken.paused
        assert step.get("clear", taken.clear) == taken.clear
        found = [
            {
                field: text(value) if isinstance(value, bytes) else value
                for field, value in msgspec.structs.asdict(grant).items()
            }
            for grant in taken.grants
        ]
        assert len(found) == len(grants), found
        for expected, actual in zip(grants, found, strict=True):
            actual["refs"] = list(actual["refs"])
            assert expected.items() <= {field: actual[field] for field in expected}.items()
        if "bells" in step:
            assert sorted(taken.bells) == sorted(self.keys.root + inbox for inbox in step["bells"])

    async def expect(self, expected: dict[str, Any]) -> None:
        for key, fields in expected.get("hash", {}).items():
            found = {
                text(name): text(value) for name, value in (await self.client.hgetall(self.keys.root + key)).items()
            }
            assert {name: found.get(name) for name in fields} == fields
        for key, members in expected.get("members", {}).items():
            assert sorted(plain(await self.client.zrange(self.keys.root + key, 0, -1))) == sorted(members), key
        for key, length in expected.get("length", {}).items():
            assert await self.client.xlen(self.keys.root + key) == length, key
        for job, types in expected.get("events", {}).items():
            entries = [json.loads(entry) for entry in await self.client.lrange(self.keys.log(job), 0, -1)]
            assert [entry["type"] for entry in entries] == types
            assert [entry["rev"] for entry in entries] == list(range(1, len(types) + 1))


def _bodies(item: dict[str, Any]) -> dict[str, Any]:
    """The item with its opaque bodies as bytes, which is how the client carries them."""
    bodies = {"body", "data", "error", "reason"}
    return {name: value.encode() if name in bodies else value for name, value in item.items()}


def _child(child: dict[str, Any]) -> Child:
    bodies = {name: child.get(name, "{}").encode() for name in ("spec", "input")}
    return msgspec.convert({**child, **bodies}, Child)


@pytest.mark.parametrize("steps", CASES)
async def test_conformance(steps: list[dict[str, Any]], redis_client: redis.asyncio.Redis) -> None:
    run = Run(redis_client)
    for step in steps:
        await run.step(step)
