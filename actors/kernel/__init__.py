"""The kernel: streams, leases and transitions. It knows nothing about media and could be lifted out as a library.

Module map, from the names upwards:

    options      what can be told to the kernel
    keys         partitions, key names, job ids
    states       states and legal moves, one table
    lua/         one file a verb; lua/parts is prepended to each
    scripts      assembling and calling the verbs
    connection   rules for connections; which errors mean "wait"
    server       what a role asks of its server before it works
    submitter    submit, cancel                                  ┐
    worker       take, beat, commit, fail, release               ├ the three clients
    keeper       promote, reap, expire, reconcile, retention     ┘
    views        reading jobs, listings and logs
    handler      what a stage is to its author: task, results, failures
    gather       items that wait at the same moment leave in one call
    beats        heartbeats, in a thread of their own
    doorbell     waiting for work without consuming it
    ending       ending background tasks
    execution    one job: run, watch, end
    actor        the loop that ties these together
    telemetry    logs and metrics of stages
    service      start, ready, drain, stop: the contract of every role
"""

from actors.kernel.actor import Actor, ActorOptions
from actors.kernel.connection import StoreFull, StoreUnavailable, connect, is_full, means_wait, persist
from actors.kernel.ending import end_tasks
from actors.kernel.handler import (
    Cancelled,
    Done,
    Failure,
    FailurePolicy,
    Handler,
    Next,
    Permanent,
    Result,
    StageFailure,
    Stalled,
    Task,
    Throttled,
    Transient,
)
from actors.kernel.keeper import Endpoint, Expired, Keeper, Reaped
from actors.kernel.keys import Keys, Partitions, UnknownJobId, new_nonce
from actors.kernel.options import KernelOptions, RedisOptions
from actors.kernel.server import ServerFacts, UnfitServer, admit, read_facts
from actors.kernel.service import Service
from actors.kernel.states import TERMINAL, State, legal
from actors.kernel.submitter import BodyTooLarge, CancelReply, Submission, Submitted, Submitter
from actors.kernel.views import JobView, LogEntry, list_jobs, read_job, read_log
from actors.kernel.worker import Beat, Commit, End, Fail, Grant, Pulse, Release, Taken, Worker

__all__ = [
    "TERMINAL",
    "Actor",
    "ActorOptions",
    "Beat",
    "BodyTooLarge",
    "CancelReply",
    "Cancelled",
    "Commit",
    "Done",
    "End",
    "Endpoint",
    "Expired",
    "Fail",
    "Failure",
    "FailurePolicy",
    "Grant",
    "Handler",
    "JobView",
    "Keeper",
    "KernelOptions",
    "Keys",
    "LogEntry",
    "Next",
    "Partitions",
    "Permanent",
    "Pulse",
    "Reaped",
    "RedisOptions",
    "Release",
    "Result",
    "ServerFacts",
    "Service",
    "StageFailure",
    "Stalled",
    "State",
    "StoreFull",
    "StoreUnavailable",
    "Submission",
    "Submitted",
    "Submitter",
    "Taken",
    "Task",
    "Throttled",
    "Transient",
    "UnfitServer",
    "UnknownJobId",
    "Worker",
    "admit",
    "connect",
    "end_tasks",
    "is_full",
    "legal",
    "list_jobs",
    "means_wait",
    "new_nonce",
    "persist",
    "read_facts",
    "read_job",
    "read_log",
]
