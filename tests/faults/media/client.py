"""A client of the gateway, as the load uses it: it says what was answered and judges nothing."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from tests.faults.history import now_s
from tests.faults.media.sources import Sources
from tests.faults.plan import Media

ANSWER_WITHIN_S = 15.0

CANCEL_STATUS = {200: "cancelled", 202: "flagged", 409: "terminal", 404: "gone"}
"""What an answer to `cancel` means, in the words of the history."""

_REPLAY_CODES = {"ILLEGAL_STATE": "illegal", "PARENT_NOT_WAITING": "parent", "JOB_NOT_FOUND": "gone"}
_REPLAY_CODES["DEAD_LETTER_NOT_FOUND"] = "gone"


class Unreached(Exception):
    """No answer: the connection failed, or the answer did not come or not to its end. What was asked may be done."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `body` is its JSON object, empty if there was none."""

    status: int
    body: dict[str, Any]
    asked_s: float
    at_s: float

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def code(self) -> str:
        """Of a refusal."""
        return str(self.body.get("code", ""))

    @property
    def cancel_status(self) -> str:
        """cancelled, flagged, terminal or gone; of anything else the number of HTTP."""
        return CANCEL_STATUS.get(self.status, str(self.status))

    @property
    def replay_status(self) -> str:
        """ok, illegal, parent or gone; of anything else the number of HTTP."""
        return "ok" if self.accepted else _REPLAY_CODES.get(self.code, str(self.status))


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a job as it was downloaded, next to what the job says of it."""

    name: str
    status: int
    sha256: str
    size_bytes: int
    promised_sha256: str
    promised_bytes: int

    @property
    def whole(self) -> bool:
        same = (self.sha256, self.size_bytes) == (self.promised_sha256, self.promised_bytes)
        return self.status == 200 and same


class MediaRequest:
    """One job to be submitted, as often as it takes, under one key: the same request each time."""

    def __init__(self, media: Media, key: str, terms: Mapping[str, Any] | None = None) -> None:
        self.media = media
        self.key = key
        self.terms = dict(terms or {})
        """`priority`, `deadline_s`, `delay_s` and what else the body may hold."""
        self.source: str | None = None


class MediaClient:
    """Asks the gateways in turn, so that who comes again meets another one. Refusals are answers; only Unreached is
    raised."""

    def __init__(self, gateway_urls: Sequence[str], key: str) -> None:
        self._urls = tuple(gateway_urls)
        self._asked = 0
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"}, timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        )

    async def close(self) -> None:
        await self._session.close()

    async def submit(self, source: str, target: str, key: str, terms: Mapping[str, Any] | None = None) -> Reply:
        """POST /v1/jobs. `target` is the format."""
        body = {"source": source, "format": target, **(terms or {})}
        return await self._ask("POST", "/v1/jobs", json=body, headers={"Idempotency-Key": f'"{key}"'})

    async def submit_media(self, request: MediaRequest, sources: Sources) -> Reply:
        """Submit a planned job. The answer may be that of the upload, if that was refused."""
        if request.source is None and request.media.how == "address":
            request.source = sources.url(request.media.sample, request.key)
        if request.source is None:
            reply = await self.upload(sources.path(request.media.sample).read_bytes(), request.media.sample)
            if not reply.accepted:
                return reply
            request.source = f"upload:{reply.body['id']}"
        reply = await self.submit(request.source, request.media.format, request.key, request.terms)
        if any(error.get("code") == "UPLOAD_NOT_FOUND" for error in reply.body.get("errors", ())):
            request.source = None  # no job has the key, so the next one may be another request
        return reply

    async def upload(self, data: bytes, name: str) -> Reply:
        """POST /v1/uploads. `body["id"]` names the upload."""
        return await self._ask("POST", "/v1/uploads", params={"name": name}, data=data)

    async def cancel(self, job: str) -> Reply:
        return await self._ask("POST", f"/v1/jobs/{job}/cancel")

    async def read(self, job: str, wait_s: int = 0) -> Reply:
        """GET /v1/jobs/{job}. The answer may be held back so long, until the job has ended."""
        return await self._ask("GET", f"/v1/jobs/{job}", headers={"Prefer": f"wait={wait_s}"} if wait_s else {})

    async def replay(self, job: str) -> Reply:
        """POST /v1/admin/dead/{job}/replay: for jobs that failed, were cancelled or expired."""
        return await self._ask("POST", f"/v1/admin/dead/{job}/replay", json={})

    async def events(self, job: str) -> Reply:
        """The first page of its durable events, in `body["events"]`."""
        return await self._ask("GET", f"/v1/jobs/{job}/events")

    async def outputs(self, job: str) -> Reply:
        """`body["outputs"]` lists the files of a completed job."""
        return await self._ask("GET", f"/v1/jobs/{job}/outputs")

    async def download(self, output: Mapping[str, Any]) -> Download:
        """All of one output, as `outputs` or the job lists it."""
        digest, size_bytes = hashlib.sha256(), 0
        try:
            async with self._session.get(self._address(output["url"])) as response:
                async for piece in response.content.iter_chunked(1 << 16):
                    digest.update(piece)
                    size_bytes += len(piece)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreached(repr(error)) from error
        return Download(
            name=output["name"],
            status=response.status,
            sha256=digest.hexdigest(),
            size_bytes=size_bytes,
            promised_sha256=output["sha256"],
            promised_bytes=output["size_bytes"],
        )

    async def _ask(self, method: str, path: str, **parts: Any) -> Reply:
        asked_s = now_s()
        try:
            async with self._session.request(method, self._address(path), **parts) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreached(repr(error)) from error
        at_s = now_s()
        try:
            body = msgspec.json.decode(content, type=dict[str, Any])
        except msgspec.DecodeError:
            body = {}
        return Reply(status=response.status, body=body, asked_s=asked_s, at_s=at_s)

    def _address(self, path: str) -> str:
        self._asked += 1
        return self._urls[self._asked % len(self._urls)] + path
