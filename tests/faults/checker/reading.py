"""What Redis and the storage hold, read as plain data. Changes nothing."""

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import redis.asyncio

from actors.kernel.keys import GROUP
from actors.kernel.scripts import text
from tests.faults.house.house import House
from tests.faults.house.servers import ServerNode
from tests.faults.leavings import JobFacts, KeyFacts
from tests.faults.media.published import published

PAGE = 500
MOST_MEMBERS = 10_000
SIZES = {"string": "STRLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "hash": "HLEN", "stream": "XLEN"}
MEMBERS: dict[str, tuple[str | int, ...]] = {
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", 0, MOST_MEMBERS - 1),
    "hash": ("HKEYS",),
}
_KEY = re.compile(r"rw:\{p(\d+)\}:(.*)")
Asked = tuple[str | int, ...]


async def scan(server: ServerNode, pattern: str = "*") -> list[str]:
    """The names of its keys, without repeats, in order."""
    found: set[str] = set()
    cursor = 0
    while True:
        answer: Any = await server.client.execute_command(  # type: ignore[no-untyped-call]
            "SCAN", cursor, "MATCH", pattern, "COUNT", PAGE
        )
        cursor = int(answer[0])
        found.update(map(text, answer[1]))
        if cursor == 0:
            return sorted(found)


async def ask_all(client: redis.asyncio.Redis, commands: Iterable[Asked]) -> list[Any]:
    """Their answers, in order; what was refused answers its error."""
    answers: list[Any] = []
    left = iter(commands)
    while page := list(islice(left, PAGE)):
        async with client.pipeline(transaction=False) as pipeline:
            for command in page:
                pipeline.execute_command(*command)
            answers += await pipeline.execute(raise_on_error=False)
    return answers


async def read_keys(house: House) -> tuple[list[KeyFacts], dict[str, str]]:
    """Every key of every server, and which server holds which partition, where there are several."""
    keys: list[KeyFacts] = []
    places: dict[str, str] = {}
    for server in house.servers:
        found = await _keys_of(server)
        keys += found
        if len(house.servers) > 1:
            places |= {key.partition: server.name for key in found if key.partition.isdecimal()}
    return keys, places


async def read_jobs(house: House) -> dict[str, JobFacts]:
    """Every job that there is."""
    jobs: dict[str, JobFacts] = {}
    for server in house.servers:
        hashes = await scan(server, "rw:{p*}:job:*")
        roots = [(key.partition("job:")[0], key.partition("job:")[2]) for key in hashes]
        fields = await ask_all(server.client, (("HGETALL", key) for key in hashes))
        logs = await ask_all(server.client, (("LRANGE", f"{root}log:{job}", 0, -1) for root, job in roots))
        kids = await ask_all(server.client, (("HGETALL", f"{root}kids:{job}") for root, job in roots))
        for (_, job), own, log, rows in zip(roots, fields, logs, kids, strict=True):
            jobs[job] = JobFacts(
                job=job,
                fields=_texts(own),
                log=[msgspec.json.decode(entry) for entry in log] if isinstance(log, list) else [],
                kids=_texts(rows),
            )
    return dict(sorted(jobs.items()))


def read_files(house: House) -> list[str]:
    """Files and empty folders of the storage, and of each process's scratch folder as `scratch/<process>/…`."""
    found = list(_walk(house.storage, ""))
    for folder in sorted(house.data.glob("*/scratch")):
        found += _walk(folder, f"scratch/{folder.parent.name}/")
    # The storage keeps its areas and its trash when they are empty.
    return [path for path in found if path.rstrip("/") not in ("work", "out", "uploads", "trash")]


def read_published(house: House) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Manifests by their paths, and the digests of the files that they list."""
    manifests, digests = {}, {}
    for publications in published(house.storage).values():
        for publication in publications:
            manifests[f"{publication.path}/manifest.json"] = publication.manifest
            for file in publication.files:
                if file.found_sha256 is not None:
                    digests[f"{publication.path}/{file.file}"] = file.found_sha256
    return manifests, digests


async def _keys_of(server: ServerNode) -> list[KeyFacts]:
    names = await scan(server)
    client = server.client
    types = list(map(text, await ask_all(client, (("TYPE", name) for name in names))))
    kept = [(name, kind) for name, kind in zip(names, types, strict=True) if kind in SIZES]
    lives = await ask_all(client, (("PTTL", name) for name, _ in kept))
    sizes = await ask_all(client, ((SIZES[kind], name) for name, kind in kept))
    members = await _some(client, kept, MEMBERS.keys(), lambda name, kind: (MEMBERS[kind][0], name, *MEMBERS[kind][1:]))
    groups = await _some(client, kept, ["stream"], lambda name, _: ("XPENDING", name, GROUP))
    return [
        KeyFacts(
            partition=_place(name)[0],
            name=_place(name)[1],
            type=kind,
            ttl_ms=int(life),
            size=int(size),
            pending=int(groups[name][0]) if isinstance(groups.get(name), list) else 0,
            members=tuple(sorted(map(text, members.get(name, ()))))[:MOST_MEMBERS],
        )
        for (name, kind), life, size in zip(kept, lives, sizes, strict=True)
        if not isinstance(size, Exception) and int(life) != -2
    ]


async def _some(
    client: redis.asyncio.Redis,
    keys: Sequence[tuple[str, str]],
    kinds: Iterable[str],
    command: Callable[[str, str], Asked],
) -> dict[str, Any]:
    wanted = [(name, kind) for name, kind in keys if kind in kinds]
    answers = await ask_all(client, (command(name, kind) for name, kind in wanted))
    return {
        name: answer for (name, _), answer in zip(wanted, answers, strict=True) if not isinstance(answer, Exception)
    }


def _place(key: str) -> tuple[str, str]:
    """Partition and name without its root. What belongs to the installation keeps `{sys}`; other names stay whole."""
    match = _KEY.fullmatch(key)
    return (match[1], match[2]) if match else ("sys", key.removeprefix("rw:"))


def _texts(answer: Any) -> dict[str, str]:
    """Of HGETALL, whose answer is a dictionary or a flat list; nothing when it was an error."""
    if isinstance(answer, list):
        answer = dict(zip(answer[::2], answer[1::2], strict=True))
    return {text(name): text(value) for name, value in answer.items()} if isinstance(answer, dict) else {}


def _walk(root: Path, prefix: str) -> Iterable[str]:
    """Paths below it; a folder is named when nothing is in it. What goes meanwhile is left out."""
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(root.iterdir()):
            if path.is_dir() and not path.is_symlink():
                inside = list(_walk(path, f"{prefix}{path.name}/"))
                yield from inside or [f"{prefix}{path.name}/"]
            else:
                yield f"{prefix}{path.name}"
