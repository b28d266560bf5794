"""What a replay asks the storage: whether everything that a job still needs is there."""

from actors.kernel.replay import RefsExist
from actors.storage import Storage


def refs_in(storage: Storage) -> RefsExist:
    """The question, to be asked of this storage."""

    async def exist(refs: tuple[str, ...]) -> bool:
        for ref in refs:
            if not await storage.exists(ref):
                return False
        return True

    return exist
