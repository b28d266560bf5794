"""A directory of this machine, or one that several machines mount."""

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from actors.storage.interface import Digest, Entry
from actors.storage.keys import check_key
from actors.storage.room import NO_SPACE

_PIECE_BYTES = 1024 * 1024
_TRASH = "trash"
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES})


class LocalStorage:
    """Storage below `root`. Durable writes are fsynced, with their folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def local_path(self, key: str) -> Path:
        return self.root / check_key(key)

    async def make_folder(self, key: str) -> Path:
        path = self.local_path(key)
        await asyncio.to_thread(path.mkdir, parents=True, exist_ok=True)
        return path

    async def read(self, key: str) -> bytes:
        return await asyncio.to_thread(self.local_path(key).read_bytes)

    async def open_read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        file = await asyncio.to_thread(self.local_path(key).open, "rb")
        try:
            await asyncio.to_thread(file.seek, start)
            left = length
            while left is None or left > 0:
                piece = await asyncio.to_thread(file.read, _PIECE_BYTES if left is None else min(left, _PIECE_BYTES))
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece
        finally:
            file.close()

    async def write_atomic(self, key: str, data: bytes) -> None:
        await asyncio.to_thread(_write_atomic, self.local_path(key), data)

    async def link_or_copy(
        self, source: str, target: str, before_copy: Callable[[Path, int], None] | None = None
    ) -> None:
        await asyncio.to_thread(_link_or_copy, self.local_path(source), self.local_path(target), before_copy)

    async def sync_folder(self, key: str) -> None:
        await asyncio.to_thread(_sync_folder, self.local_path(key))

    async def digest(self, key: str, on_bytes: Callable[[int], None] | None = None) -> Digest:
        path = self.local_path(key)
        sha256 = hashlib.sha256()
        size_bytes = 0
        file = await asyncio.to_thread(path.open, "rb")
        try:
            while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
                await asyncio.to_thread(sha256.update, piece)
                size_bytes += len(piece)
                if on_bytes is not None:
                    on_bytes(size_bytes)
        finally:
            file.close()
        return Digest(size_bytes, sha256.hexdigest())

    async def list(self, key: str) -> list[Entry]:
        return await asyncio.to_thread(_list, self.local_path(key))

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self.local_path(key).exists)

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._delete, self.local_path(key))

    def _delete(self, path: Path) -> None:
        """A folder is renamed away first, so that a reader sees all of it or nothing.

        Where that cannot be it goes where it lies: on a full disk the trash, or a name in it, may find no room, and an
        area may be a disk of its own.
        """
        if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)
            return
        trash = self.root / _TRASH
        doomed = trash / secrets.token_hex(8)
        try:
            trash.mkdir(exist_ok=True)
            path.rename(doomed)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in NO_SPACE | {errno.EXDEV}:
                raise
            doomed = path
        shutil.rmtree(doomed, ignore_errors=True)

    async def delete_empty(self, key: str) -> None:
        path = self.local_path(key)
        with contextlib.suppress(OSError):  # it is not empty, or not there
            await asyncio.to_thread(path.rmdir)

    async def empty_trash(self) -> None:
        # The folder itself stays: another process may be about to rename something into it.
        for entry in await self.list(_TRASH):
            await asyncio.to_thread(shutil.rmtree, self.root / _TRASH / entry.name, ignore_errors=True)


def _write_atomic(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _link_or_copy(source: Path, target: Path, before_copy: Callable[[Path, int], None] | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        try:
            temporary.hardlink_to(source)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            if before_copy is not None:
                before_copy(target.parent, source.stat().st_size)
            shutil.copyfile(source, temporary)
        _sync_file(temporary)
        temporary.rename(target)
        # rename() of two names of the same file does nothing and leaves both.
        temporary.unlink(missing_ok=True)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _list(path: Path) -> list[Entry]:
    found: list[Entry] = []
    try:
        scan = os.scandir(path)
    except (FileNotFoundError, NotADirectoryError):
        return found
    with scan:
        for item in scan:
            if item.name.startswith("."):
                continue
            try:
                status = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            found.append(Entry(item.name, item.is_dir(follow_symlinks=False), status.st_size, status.st_mtime))
    found.sort()
    return found
