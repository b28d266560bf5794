"""The stage ingest: decides whether a submission can be worked on, and how its percent is divided."""

from urllib.parse import urlsplit

from actors.egress import EgressPolicy, EgressRefused
from actors.ingest.batch import ingest_batch
from actors.kernel import Next, Result, Task
from actors.media.errors import MediaError
from actors.media.reading import read_spec
from actors.media.spans import overall, spans_for
from actors.media.spec import check_spec
from actors.media.task import BATCH, FetchInput, JobSpec, Progress, encode, upload_id
from actors.storage import Storage
from actors.storage.keys import upload_folder
from actors.storage.uploads import read_upload


class Ingest:
    """The handler of the first stage."""

    stage = "ingest"

    def __init__(self, storage: Storage, egress: EgressPolicy) -> None:
        self._storage = storage
        self._egress = egress

    async def handle(self, task: Task) -> Result:
        return await ingest_batch(task) if task.kind == BATCH else await self._ingest(task)

    async def _ingest(self, task: Task) -> Next:
        spec = read_spec(task.spec)
        problems = check_spec(spec)
        if problems:
            raise problems[0].error
        upload = upload_id(spec.source)
        refs: tuple[str, ...] = ()
        if upload is not None:
            await self._check_upload(upload, task.tenant)
            refs = (upload_folder(upload),)
        else:
            self._check_address(spec)
        spans = spans_for(upload=upload is not None)
        task.report(overall(spans, self.stage, 1.0), encode(Progress(stage=self.stage)))
        return Next("fetch", encode(FetchInput(source=spec.source, spans=spans)), refs)

    async def _check_upload(self, upload: str, tenant: str) -> None:
        meta = await read_upload(self._storage, upload)
        if meta is None or meta.tenant != tenant:
            raise MediaError("UPLOAD_NOT_FOUND", upload)

    def _check_address(self, spec: JobSpec) -> None:
        """Only an early answer: fetch checks the address that it connects to."""
        try:
            self._egress.check_literal(urlsplit(spec.source).hostname or "")
        except EgressRefused as error:
            raise MediaError("ADDRESS_REFUSED", str(error)) from error
