"""How an ended job is told, and the exit code it gives."""

import sys

from gateway.client.documents import Job
from gateway.command.failure import ExitCode

_EXIT_CODES = {
    "completed": ExitCode.DONE,
    "failed": ExitCode.JOB_FAILED,
    "cancelled": ExitCode.JOB_ENDED,
    "expired": ExitCode.JOB_ENDED,
}


def exit_code_of(job: Job) -> ExitCode | None:
    """The exit code for the job's state; None while it has not ended."""
    return _EXIT_CODES.get(job.state)


def say_end(job: Job) -> ExitCode:
    """Tell on stderr why a job did not complete; the exit code comes back."""
    if job.state == "failed" and job.error is not None:
        sys.stderr.write(f"error: {job.error.message} [{job.error.code}]\n")
        if job.error.suggestion:
            sys.stderr.write(f" hint: {job.error.suggestion}\n")
    elif job.state != "completed":
        sys.stderr.write(f"the job {job.id} is {job.state}\n")
    return exit_code_of(job) or ExitCode.DONE
