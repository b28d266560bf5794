"""store: publishes verified files in a folder of its own, the manifest last.

It never moves, and deletes nothing but that folder, where it could not finish it.
"""

from datetime import UTC, datetime
from pathlib import Path

from actors.kernel import Done, Task
from actors.media.errors import MediaError
from actors.media.names import display_name, stem_of
from actors.media.reading import read_body, read_spec
from actors.media.spans import overall
from actors.media.task import (
    CompletedEvent,
    Manifest,
    Output,
    OutputFacts,
    Progress,
    Result,
    StoredOutput,
    StoreInput,
    encode,
)
from actors.storage import Storage
from actors.storage.keys import MANIFEST, out_folder
from actors.storage.room import Room

_FACTS = OutputFacts.__struct_fields__


class Store:
    """The handler of the last stage."""

    stage = "store"

    def __init__(self, storage: Storage, min_free_bytes: int = 0) -> None:
        self._storage = storage
        self._room = Room(min_free_bytes)

    async def handle(self, task: Task) -> Done:
        try:
            return await self._publish(task)
        except Exception:
            # Nothing names it, and a full disk would stay full with it.
            await self._storage.delete(out_folder(task.job, task.fence))
            raise

    async def _publish(self, task: Task) -> Done:
        spec = read_spec(task.spec)
        given = read_body(StoreInput, task.input)
        folder = out_folder(task.job, task.fence)
        total = sum(output.size_bytes for output in given.outputs)
        stem = spec.name or stem_of(given.source_name or "")
        stored: list[StoredOutput] = []
        done = 0

        def before_copy(target: Path, _: int) -> None:
            # Asked once, for all of them: with the first copy the work has begun.
            if done == 0:
                self._room.check_now(target, total)

        for number, output in enumerate(given.outputs):
            await self._check(output)
            file = output.name if number == 0 else f"{number}-{output.name}"
            await self._storage.link_or_copy(output.path, f"{folder}/{file}", before_copy)
            stored.append(_stored(output, file, stem))
            done += output.size_bytes
            progress = Progress(stage=self.stage, bytes_done=done, bytes_total=total)
            # The last percent belongs to the manifest, without which nothing is published.
            task.report(overall(given.spans, self.stage, 0.9 * done / max(total, 1)), encode(progress))
        manifest = Manifest(
            job=task.job, tenant=task.tenant, spec=spec, outputs=tuple(stored), created_at=datetime.now(UTC)
        )
        await self._storage.write_atomic(f"{folder}/{MANIFEST}", encode(manifest))
        facts = tuple(_facts(output) for output in stored)
        return Done(encode(Result(path=folder, outputs=tuple(stored))), encode(CompletedEvent(outputs=facts)))

    async def _check(self, output: Output) -> None:
        """Raise MediaError unless the file is still what transcode verified."""
        found = await self._storage.digest(output.path)
        if (found.size_bytes, found.sha256) != (output.size_bytes, output.sha256):
            raise MediaError("OUTPUT_INVALID", f"{output.path} has {found.size_bytes} bytes, {found.sha256}")


def _facts(output: OutputFacts) -> OutputFacts:
    return OutputFacts(**{field: getattr(output, field) for field in _FACTS})


def _stored(output: Output, file: str, stem: str) -> StoredOutput:
    facts = {field: getattr(output, field) for field in _FACTS}
    facts["name"] = display_name(stem, output.name.rpartition(".")[2])
    return StoredOutput(file=file, **facts)
