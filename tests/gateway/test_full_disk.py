"""The gateway on a real disk that is full: clear answers, and nothing that is half."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.command.ledger import Entry, LedgerEntry
from gateway.http.authentication import KEY_FILE, installation_key
from gateway.uploads import receiving
from tests.gateway.conftest import KEY, MakeSettings, StartGateway, client_of
from tests.small_disk import SmallDisk

KIB = 1 << 10
DATA = os.urandom(3000 * KIB)


@pytest.fixture
async def full_api(start_gateway: StartGateway, small_disk: SmallDisk) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a gateway whose storage lies on the small disk, without a floor of free space."""
    gateway = await start_gateway(storage__url=(small_disk.path / "storage").as_uri())
    async with client_of(gateway) as session:
        yield session


async def pieces() -> AsyncIterator[bytes]:
    for place in range(0, len(DATA), 70_000):
        yield DATA[place : place + 70_000]


async def refused(api: aiohttp.ClientSession, body: object) -> None:
    async with api.post("/v1/uploads", data=body) as response:
        assert response.headers["Content-Type"] == "application/problem+json"
        assert (response.status, (await response.json())["code"]) == (507, "DISK_FULL")
        assert int(response.headers["Retry-After"]) > 0


def uploads(disk: SmallDisk) -> list[Path]:
    return sorted((disk.path / "storage" / "uploads").glob("*"))


async def test_an_upload_that_fills_the_disk(full_api: aiohttp.ClientSession, small_disk: SmallDisk) -> None:
    for but_bytes in (0, 64 * KIB, 2000 * KIB):
        small_disk.fill(but_bytes=but_bytes)
        await refused(full_api, pieces())
        assert uploads(small_disk) == []
        assert small_disk.free_bytes >= but_bytes
    small_disk.empty()
    async with full_api.post("/v1/uploads", data=pieces()) as response:
        assert response.status == 201


async def test_an_upload_whose_record_finds_no_room(
    full_api: aiohttp.ClientSession, small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are there, and the disk gets full before its record is written."""
    publish = receiving._Draft.publish

    def publish_and_fill(draft: receiving._Draft) -> None:
        publish(draft)
        small_disk.fill()

    monkeypatch.setattr(receiving._Draft, "publish", publish_and_fill)
    await refused(full_api, DATA)
    assert uploads(small_disk) == []


async def test_an_upload_that_finds_no_name(full_api: aiohttp.ClientSession, small_disk: SmallDisk) -> None:
    small_disk.fill_names()
    await refused(full_api, DATA)
    assert uploads(small_disk) == []


def test_a_key_is_written_whole_or_not_at_all(make_settings: MakeSettings, small_disk: SmallDisk) -> None:
    settings = make_settings(gateway__key=None, data_dir=str(small_disk.path))
    small_disk.fill()
    with pytest.raises(OSError, match="No space left"):
        installation_key(settings)
    assert [path.name for path in small_disk.path.iterdir() if KEY_FILE in path.name] == []
    small_disk.empty()
    key = installation_key(settings)
    assert key.startswith("rw_")
    assert key != KEY
    assert installation_key(settings) == key


def test_a_ledger_that_finds_no_room_keeps_its_old_entry(small_disk: SmallDisk) -> None:
    """It is a help after a kill and no more: the conversion goes on without it."""
    folder = small_disk.path / "converts"
    entry = LedgerEntry(folder, ["a"])
    old = Entry("first")
    entry.keep(old)
    small_disk.fill()
    entry.keep(Entry("second", "u00-1"))
    assert entry.entry.idempotency_key == "second"
    assert [path.suffix for path in folder.iterdir() if path.suffix == ".new"] == []
    entry.close()
    again = LedgerEntry(folder, ["a"])
    assert again.entry == old
    again.close()
