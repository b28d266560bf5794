"""What the process may open."""

import resource

import structlog

OTHER_FILES = 500
"""Descriptors for everything that is no event stream: transfers, requests, Redis, files."""

_log = structlog.get_logger(__name__)


def most_streams(wanted: int) -> int:
    """How many event streams fit into the process's limit of open files, which is raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    fits = max(1, soft - OTHER_FILES)
    _log.warning("streams.limited", reason="the limit of open files is too low", streams=fits, limit=soft)
    return fits
