"""The worker: what `worker.run_sync` does, and a word when it consumes."""

import anyio
from tasks import worker

import reporting


async def main() -> None:
    async with anyio.create_task_group() as group:
        await group.start(worker.run_async)
        reporting.ready()


anyio.run(main, backend=worker.anyio_backend, backend_options=worker.anyio_kwargs)
