"""A submitter and a worker that do what a test tells them, through the kernel's own clients."""

import msgspec
import redis.asyncio

from actors.kernel import (
    Beat,
    Commit,
    End,
    Fail,
    Grant,
    Keeper,
    KernelOptions,
    Partitions,
    Pulse,
    Submission,
    Submitter,
    Worker,
    new_nonce,
)
from actors.kernel.keys import PRIORITIES
from actors.media.task import (
    Codecs,
    CompletedEvent,
    JobSpec,
    OutputFacts,
    Progress,
    Result,
    StoredOutput,
    encode,
)

OPTIONS = KernelOptions(window=1000)
"""No job is held, so that a job's events are what the test makes happen."""
STAGES = ("ingest", "fetch", "transcode", "store")


class ScriptedWorker:
    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions, options: KernelOptions = OPTIONS) -> None:
        self.client = client
        self.partitions = partitions
        self.submitter = Submitter(client, partitions, options)
        self.worker = Worker(client, partitions, options, f"test-{new_nonce()}")

    async def submit(self, tenant: str = "default", **fields: object) -> str:
        values = {"spec": encode(JobSpec(source="https://media.example/clip.mp4", format="mp3")), "input": b"{}"}
        submission = Submission(tenant=tenant, stage="ingest", **(values | fields))  # type: ignore[arg-type]
        return (await self.submitter.submit(submission)).job

    async def take(self, stage: str, job: str | None = None) -> Grant:
        partition = self.partitions.of_tenant("default") if job is None else self.partitions.of_job(job)
        keys = self.partitions.keys(partition)
        inboxes = [keys.inbox(stage, "cpu", priority) for priority in ("again", *PRIORITIES)]
        taken = await self.worker.take(partition, inboxes, 1, new_nonce())
        return taken.grants[0]

    async def beat(self, grant: Grant, percent: float, **progress: object) -> Pulse:
        report = encode(Progress(stage=grant.stage, **progress))  # type: ignore[arg-type]
        partition = self.partitions.of_job(grant.job)
        return (await self.worker.beat(partition, [Beat(grant.job, grant.fence, percent, report)]))[0]

    async def next(self, grant: Grant, stage: str, refs: tuple[str, ...] = ()) -> End:
        commit = Commit(grant.job, grant.fence, "next", stage, "cpu", body=b"{}", refs=refs)
        return (await self.worker.commit(self.partitions.of_job(grant.job), [commit]))[0]

    async def done(self, grant: Grant, result: Result | None = None) -> End:
        result = result or a_result(grant)
        facts = tuple(
            OutputFacts(**{name: getattr(output, name) for name in OutputFacts.__struct_fields__})
            for output in result.outputs
        )
        commit = Commit(
            grant.job, grant.fence, "done", "", "cpu", encode(result), (), encode(CompletedEvent(outputs=facts))
        )
        return (await self.worker.commit(self.partitions.of_job(grant.job), [commit]))[0]

    async def fail(self, grant: Grant, *, permanent: bool = True, delay_ms: int = 0) -> End:
        error = {"code": "NOT_MEDIA", "message": "No media.", "suggestion": "Send media.", "retryable": False}
        reason = {"code": "NET_TEMP", "message": "The connection failed."}
        fail = Fail(
            grant.job,
            grant.fence,
            "permanent" if permanent else "transient",
            delay_ms,
            5,
            msgspec.json.encode(error),
            msgspec.json.encode(reason),
        )
        return (await self.worker.fail(self.partitions.of_job(grant.job), [fail]))[0]

    async def expire(self) -> None:
        """Ends the jobs whose deadline has passed."""
        await Keeper(self.client, self.partitions, OPTIONS).expire("00")

    async def run(self, job: str, *, reports: int = 0) -> None:
        """Takes the job through all stages; it must be the only one waiting. 1 + 2 x 4 events, `reports` a stage."""
        for place, stage in enumerate(STAGES):
            grant = await self.take(stage, job)
            assert grant.job == job
            for number in range(reports):
                await self.beat(grant, 25 * place + 25 * (number + 1) / (reports + 1))
            if stage == STAGES[-1]:
                assert await self.done(grant) == End.OK
            else:
                assert await self.next(grant, STAGES[place + 1]) == End.OK


def a_result(grant: Grant) -> Result:
    output = StoredOutput(
        name="clip.mp3",
        type="audio/mpeg",
        size_bytes=5,
        sha256="0" * 64,
        duration_s=8.0,
        codecs=Codecs(audio="mp3"),
        file="output.mp3",
    )
    return Result(path=f"out/{grant.job}/{grant.fence}", outputs=(output,))
