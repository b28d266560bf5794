"""The local directory behind the storage interface."""

import os
from pathlib import Path

import pytest

from actors.storage import Digest, StorageError, open_storage
from actors.storage.keys import check_key, out_folder, upload_data, work_folder
from actors.storage.local import LocalStorage
from actors.storage.uploads import read_upload


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/./b", ".hidden/x", "a/\x00", "a b", "work/é", "a/" + "x" * 201],
)
def test_keys_cannot_leave_the_root(key: str) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        check_key(key)


@pytest.mark.parametrize("key", ["../x", "/x", "work/../../x"])
def test_storage_knows_no_place_outside_its_root(storage: LocalStorage, key: str) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        storage.local_path(key)


def test_keys_of_jobs_and_uploads() -> None:
    assert work_folder("j00-x", "12.ab") == "work/j00-x/12.ab"
    assert out_folder("j00-x.e4.1", "1.ab") == "out/j00-x.e4.1/1.ab"
    assert upload_data("u00-01jd0000000000000000000000") == "uploads/u00-01jd0000000000000000000000/data"
    for bad in ("", "u0-x", "../../x", "u00-01jd00000000000000000000/0"):
        with pytest.raises(ValueError, match="not an upload"):
            upload_data(bad)


def test_addresses_of_storage(tmp_path: Path) -> None:
    storage = open_storage(f"file://{tmp_path}/with%20space")
    assert storage.local_path("a") == tmp_path / "with space" / "a"
    for address in ("s3://bucket/prefix", "file://host/path", "relative", ""):
        with pytest.raises(StorageError):
            open_storage(address)


async def test_small_files_are_there_whole_or_not_at_all(storage: LocalStorage) -> None:
    await storage.write_atomic("out/j/1/manifest.json", b"{}")
    assert await storage.read("out/j/1/manifest.json") == b"{}"
    await storage.write_atomic("out/j/1/manifest.json", b"[]")
    assert await storage.read("out/j/1/manifest.json") == b"[]"
    folder = storage.local_path("out/j/1")
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    folder.chmod(0o500)
    try:
        if os.geteuid() != 0:
            with pytest.raises(PermissionError):
                await storage.write_atomic("out/j/1/manifest.json", b"{}")
        assert await storage.read("out/j/1/manifest.json") == b"[]"
    finally:
        folder.chmod(0o700)


async def test_links_share_bytes_and_never_move(storage: LocalStorage) -> None:
    await storage.write_atomic("work/j/1/a", b"data")
    await storage.link_or_copy("work/j/1/a", "out/j/2/b")
    assert storage.local_path("out/j/2/b").samefile(storage.local_path("work/j/1/a"))
    await storage.link_or_copy("work/j/1/a", "out/j/2/b")  # again, as a repeated stage does
    assert [path.name for path in storage.local_path("out/j/2").iterdir()] == ["b"]
    await storage.delete("work/j/1")
    assert await storage.read("out/j/2/b") == b"data"


async def test_where_links_are_impossible_bytes_are_copied(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    await storage.write_atomic("work/j/1/a", b"data")
    await storage.link_or_copy("work/j/1/a", "out/j/2/b")
    assert not storage.local_path("out/j/2/b").samefile(storage.local_path("work/j/1/a"))
    assert await storage.read("out/j/2/b") == b"data"


async def test_missing_files_are_file_not_found(storage: LocalStorage) -> None:
    for call in (storage.read("a"), storage.digest("a"), storage.link_or_copy("a", "b")):
        with pytest.raises(FileNotFoundError):
            await call
    assert await storage.list("nothing/here") == []
    await storage.delete("nothing/here")
    assert not await storage.exists("nothing")


async def test_ranges_and_digests(storage: LocalStorage) -> None:
    data = bytes(range(256)) * 10_000
    await storage.write_atomic("a", data)
    seen: list[int] = []
    assert await storage.digest("a", seen.append) == Digest(len(data), __import__("hashlib").sha256(data).hexdigest())
    assert seen[-1] == len(data)
    assert b"".join([piece async for piece in storage.open_read("a", 1000, 1_500_000)]) == data[1000:1_501_000]
    assert b"".join([piece async for piece in storage.open_read("a", len(data) - 3)]) == data[-3:]


async def test_a_folder_disappears_at_once_and_its_rest_is_swept(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await storage.write_atomic(f"out/j/1/{number}", b"x")
    with monkeypatch.context() as patch:  # as if the process ended in the middle
        patch.setattr("shutil.rmtree", lambda *args, **kwargs: None)
        await storage.delete("out/j/1")
    assert not await storage.exists("out/j/1")
    assert len(list((storage.root / "trash").iterdir())) == 1
    await storage.empty_trash()
    assert list((storage.root / "trash").iterdir()) == []
    await storage.delete_empty("out/j")
    assert not await storage.exists("out/j")


async def test_listing_hides_temporary_files(storage: LocalStorage) -> None:
    await storage.write_atomic("work/j/1/a", b"12")
    storage.local_path("work/j/1").joinpath(".a.tmp").write_bytes(b"x")
    (entry,) = await storage.list("work/j/1")
    assert (entry.name, entry.is_folder, entry.size_bytes) == ("a", False, 2)
    (entry,) = await storage.list("work/j")
    assert (entry.name, entry.is_folder) == ("1", True)


async def test_an_upload_without_a_whole_record_is_none(storage: LocalStorage) -> None:
    upload = "u00-01jd0000000000000000000000"
    assert await read_upload(storage, upload) is None
    assert await read_upload(storage, "../../etc/passwd") is None
    await storage.write_atomic(f"uploads/{upload}/meta.json", b"{")
    assert await read_upload(storage, upload) is None


async def test_a_write_that_fails_leaves_what_was_there(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    await storage.write_atomic("out/j/1/manifest.json", b"{}")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            await storage.write_atomic("out/j/1/manifest.json", b"[]")
    assert await storage.read("out/j/1/manifest.json") == b"{}"
    assert [path.name for path in storage.local_path("out/j/1").iterdir()] == ["manifest.json"]
