"""The kernel: streams, leases and transitions. It knows nothing about media and could be lifted out as a library.

Module map, from the names upwards:

    options      what can be told to the kernel
    keys         partitions, key names, job ids
    states       states and legal moves, one table
    lua/         one file a verb; lua/parts is prepended to each
    scripts      assembling and calling the verbs
    address      addresses of a server, a Redis Cluster, a primary behind Sentinels
    topology     learning who serves which keys
    routed       a client that follows the primary of each key
    transport    connections and pool of redis-py, without their detours
    connection   rules for connections; which errors mean "wait"
    server       what a role asks of its server before it works
    submitter    submit, cancel, replay, delete                  ┐
    worker       take, beat, commit, fail, release, spawn        ├ the three clients
    keeper       promote, reap, expire, reconcile, retention     ┘
    items        what travels in the worker's verbs
    reading      reading several streams with one call
    newest       reading one sorted set of every partition as one
    views        reading jobs and logs
    listing      reading a tenant's jobs, or the children of one, page by page
    dead         dead letters: list, show, count, export (dead_letter: one of them); replay: by page, at a rate
    quarantine   jobs that no script could read
    presence     who works here                                  ┐ rw:{sys}, by scripts of their own
    limits       named limits of the whole installation          ├ (system_scripts, lua/sys)
    pauses       stages for which nothing is taken               ┘
    consumers    names of workers that are gone
    order        in which order partitions and inboxes are read
    handler      what a stage is to its author: task, results, failures
    family       how a running job has children
    gather       items that wait at the same moment leave in one call
    beats        heartbeats, in a thread of their own
    doorbell     waiting for work without consuming it
    ending       ending background tasks
    execution    one job: run, stop, end
    watchdog     stops jobs that stand still
    neighbours   actors of one process go on with each other's jobs
    room         how many jobs an actor may take, and which must be alone
    taking       takes of one worker, with the replies that were lost
    actor        the loop that ties these together
    telemetry    logs and metrics of stages
    service      start, ready, drain, stop: the contract of every role
"""

from actors.kernel.actor import Actor
from actors.kernel.address import BadAddress, parse_address
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
    Split,
    StageFailure,
    Stalled,
    Task,
    Throttled,
    Transient,
)
from actors.kernel.items import (
    Beat,
    BodyTooLarge,
    Child,
    ChildRow,
    Commit,
    End,
    Fail,
    Grant,
    OnChildFailure,
    Pulse,
    Release,
    Spawn,
    Spawned,
    Taken,
)
from actors.kernel.keeper import Endpoint, Expired, Keeper, Reaped
from actors.kernel.keys import Keys, Partitions, UnknownJobId, new_nonce
from actors.kernel.listing import list_children, list_jobs
from actors.kernel.neighbours import Neighbours
from actors.kernel.options import ActorOptions, KernelOptions, RedisOptions
from actors.kernel.routed import is_sharded
from actors.kernel.server import Moment, ServerFacts, UnfitServer, admit, ping_all, primary_of, read_all_facts
from actors.kernel.service import Service
from actors.kernel.states import TERMINAL, State, legal
from actors.kernel.submitter import CancelReply, Deleted, Replayed, Submission, Submitted, Submitter
from actors.kernel.views import JobView, LogEntry, read_job, read_log
from actors.kernel.worker import Worker

__all__ = [
    "TERMINAL",
    "Actor",
    "ActorOptions",
    "BadAddress",
    "Beat",
    "BodyTooLarge",
    "CancelReply",
    "Cancelled",
    "Child",
    "ChildRow",
    "Commit",
    "Deleted",
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
    "Moment",
    "Neighbours",
    "Next",
    "OnChildFailure",
    "Partitions",
    "Permanent",
    "Pulse",
    "Reaped",
    "RedisOptions",
    "Release",
    "Replayed",
    "Result",
    "ServerFacts",
    "Service",
    "Spawn",
    "Spawned",
    "Split",
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
    "is_sharded",
    "legal",
    "list_children",
    "list_jobs",
    "means_wait",
    "new_nonce",
    "parse_address",
    "persist",
    "ping_all",
    "primary_of",
    "read_all_facts",
    "read_job",
    "read_log",
]
