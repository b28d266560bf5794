"""notify: hands an event to one endpoint. A dead endpoint never touches the job it tells about."""

import asyncio
import errno
import fcntl
import os
from pathlib import Path

import msgspec
import structlog
from prometheus_client import Counter

from actors.kernel import Done, Endpoint, Keeper, KernelOptions, Partitions, RedisOptions, Task, connect, persist
from actors.media.errors import MediaError
from actors.media.reading import read_body
from actors.media.task import DeliveryInput
from actors.storage.room import NO_SPACE

LOG_ENDPOINT = "log"
LOG_TENANT = "default"
TERMINAL_EVENTS = ("job.completed", "job.failed", "job.cancelled", "job.expired")
DELIVERY_LIFE_MS = 24 * 3600 * 1000

DELIVERED = Counter("reelway_deliveries_total", "Events handed to an endpoint.", ["endpoint"])
log = structlog.get_logger("notify")


class LogLine(msgspec.Struct, frozen=True):
    """One line of the log endpoint. `delivery` is the same when a delivery is repeated."""

    delivery: str
    event: msgspec.Raw


class Notify:
    """The handler of deliveries. `log_path` is the file of the endpoint `log`, None when there is none."""

    stage = "notify"

    def __init__(self, log_path: Path | None) -> None:
        self._log_path = log_path

    async def handle(self, task: Task) -> Done:
        given = read_body(DeliveryInput, task.input)
        if given.endpoint != LOG_ENDPOINT or self._log_path is None:
            raise MediaError("ENDPOINT_UNKNOWN", given.endpoint)
        line = msgspec.json.encode(LogLine(task.job, given.event)) + b"\n"
        try:
            await asyncio.to_thread(append_line, self._log_path, line)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise
            raise MediaError("DELIVERY_FAILED", str(error)) from error
        DELIVERED.labels(given.endpoint).inc()
        log.debug("delivery.done", delivery=task.job, endpoint=given.endpoint)
        return Done(b"{}")


def append_line(path: Path, line: bytes) -> None:
    """Append a line durably, whole or not at all. Processes of one machine take turns by a lock on the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size_bytes = os.fstat(descriptor).st_size
        if size_bytes and os.pread(descriptor, 1, size_bytes - 1) != b"\n":
            # A writer was killed within its line: a line end keeps this one whole.
            line = b"\n" + line
        written = os.write(descriptor, line)
        if written != len(line):
            # The disk is full; half a line would stand in the way of the next one.
            os.ftruncate(descriptor, size_bytes)
            raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written", str(path))
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LogEndpoint:
    """A Service that at its start makes the endpoint `log` of the tenant `default` what `notify.log` says."""

    name = "notify-log"

    def __init__(
        self, redis_options: RedisOptions, partitions: Partitions, options: KernelOptions, log_path: Path | None
    ) -> None:
        self._redis_options = redis_options
        self._partitions = partitions
        self._options = options
        self._log_path = log_path

    async def start(self) -> None:
        client = connect(self._redis_options, connections=1)
        try:
            keeper = Keeper(client, self._partitions, self._options)
            await persist(lambda: self._register(keeper))
        finally:
            await client.aclose()

    async def ready(self) -> None:
        """It is ready once it has started."""

    async def drain(self) -> None:
        """Nothing of it runs."""

    async def stop(self) -> None:
        """Nothing of it runs; the endpoint stays, so that no event is lost while this process restarts."""

    async def _register(self, keeper: Keeper) -> None:
        if self._log_path is None:
            await keeper.drop_endpoint(LOG_TENANT, LOG_ENDPOINT)
        else:
            endpoint = Endpoint(dict.fromkeys(TERMINAL_EVENTS, True), self._log_path.as_uri(), DELIVERY_LIFE_MS)
            await keeper.set_endpoint(LOG_TENANT, LOG_ENDPOINT, endpoint)
