"""What an operator may send: filters of dead letters, the bodies of the verbs, the queries of the listings."""

from typing import Annotated

import msgspec
from msgspec import Meta

from actors.inboxes import Stage
from actors.kernel.dead_letter import DeadFilter, Why
from actors.kernel.replay import MOST_OF_A_PAGE
from gateway.http.fields import AskedTime, expected
from gateway.http.queries import PageCursor, PageLimit
from gateway.jobs.request import Life
from gateway.times import milliseconds

PAGE = 50
MOST_A_SECOND = 1000
LEAST_A_SECOND = 0.1
MOST_JOBS = 100
MOST_FILTER_CHARACTERS = 256
MOST_REASON_CHARACTERS = 500
MOST_RUNNING = 1_000_000

_ALL_OR_SOME = expected('an object such as {"stage": "fetch"}; {} means all')
Name = Annotated[str, Meta(min_length=1, max_length=MOST_FILTER_CHARACTERS)]
BodyCursor = Annotated[str | None, expected("the `next` of the page before"), Meta(description="Its `next`.")]
BodyLimit = Annotated[
    int,
    Meta(ge=1, le=MOST_OF_A_PAGE, description="The most jobs of the page."),
    expected(f"a number from 1 to {MOST_OF_A_PAGE}"),
]
QuarantineWorker = Annotated[
    Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None,
    Meta(description="The quarantine worker that alone may take the job.", examples=["lab-1"]),
    expected("the name of a quarantine worker (letters, digits, dots, dashes)"),
]
NewLife = Annotated[Life | None, Meta(description="How long the job may take; default `kernel.deadline_s`.")]


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which dead letters are meant; what is left out does not matter."""

    stage: Annotated[Stage | msgspec.UnsetType, Meta(description="Where it died.")] = msgspec.UNSET
    tenant: Annotated[Name | msgspec.UnsetType, expected("the name of a tenant")] = msgspec.UNSET
    kind: Annotated[
        Name | msgspec.UnsetType, Meta(examples=["media"]), expected("a kind of job, for example media or delivery")
    ] = msgspec.UNSET
    code: Annotated[
        Name | msgspec.UnsetType,
        Meta(description="Of the last error.", examples=["NO_AUDIO"]),
        expected("the code of an error"),
    ] = msgspec.UNSET
    why: Annotated[Why | msgspec.UnsetType, Meta(description="The class of the last error.")] = msgspec.UNSET
    since: Annotated[AskedTime | msgspec.UnsetType, Meta(description="Died at this time or later.")] = msgspec.UNSET
    until: Annotated[AskedTime | msgspec.UnsetType, Meta(description="Died at this time or earlier.")] = msgspec.UNSET

    def to_kernel(self) -> DeadFilter:
        """The same for the kernel."""
        return DeadFilter(
            stage=self.stage or None,
            tenant=self.tenant or None,
            kind=self.kind or None,
            code=self.code or None,
            why=self.why or None,
            since_ms=milliseconds(self.since) if self.since else None,
            until_ms=milliseconds(self.until) if self.until else None,
        )


class DeadQuery(DeadLetterFilter, frozen=True, kw_only=True):
    """The query of the listing of dead letters."""

    limit: Annotated[PageLimit, Meta(description="The most letters of a page.")] = PAGE
    cursor: PageCursor = None


class QuarantineQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query of the listing of quarantined jobs."""

    limit: Annotated[PageLimit, Meta(description="The most jobs of a page.")] = PAGE
    cursor: PageCursor = None


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How one job is replayed."""

    worker: QuarantineWorker = None
    deadline_s: NewLife = None


class ReplayPageRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which page of dead letters is replayed, and how."""

    filter: Annotated[DeadLetterFilter, _ALL_OR_SOME]
    cursor: BodyCursor = None
    limit: BodyLimit = MOST_OF_A_PAGE
    rate: Annotated[
        Annotated[float, Meta(ge=LEAST_A_SECOND, le=MOST_A_SECOND)] | None,
        Meta(description="The most jobs a second."),
        expected(f"a number of jobs a second, {LEAST_A_SECOND} to {MOST_A_SECOND}"),
    ] = None
    worker: QuarantineWorker = None
    deadline_s: NewLife = None


class PurgeRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which dead letters are given up: a page of a `filter`, or `jobs` by their ids; one of the two."""

    filter: Annotated[DeadLetterFilter | msgspec.UnsetType, _ALL_OR_SOME] = msgspec.UNSET
    cursor: BodyCursor = None
    limit: BodyLimit = MOST_OF_A_PAGE
    jobs: Annotated[
        Annotated[tuple[str, ...], Meta(min_length=1, max_length=MOST_JOBS)] | msgspec.UnsetType,
        expected(f"a list of 1 to {MOST_JOBS} job ids"),
    ] = msgspec.UNSET


PurgeBody = Annotated[
    PurgeRequest, Meta(extra_json_schema={"oneOf": [{"required": ["filter"]}, {"required": ["jobs"]}]})
]


class PauseRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Why a stage is paused."""

    reason: Annotated[
        str,
        Meta(max_length=MOST_REASON_CHARACTERS, examples=["The site asks us to wait."]),
        expected(f"a text of at most {MOST_REASON_CHARACTERS} characters"),
    ] = ""


class LimitRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many jobs of a tenant may be under way."""

    limit: Annotated[
        Annotated[int, Meta(ge=0, le=MOST_RUNNING)] | None,
        Meta(description="0: no limit; null: the installation's.", examples=[20]),
        expected(f"a number from 0 (no limit) to {MOST_RUNNING}, or null for the default"),
    ]
