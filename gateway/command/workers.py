"""`reelway workers`: the stages, what waits at them, and who works there."""

import argparse
import sys

import msgspec

from gateway.command.admin import AdminClient, Stage, Worker
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.failure import ExitCode


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """`workers` takes the common arguments only."""


def run(arguments: argparse.Namespace) -> int:
    """Show stages and workers."""
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        client = AdminClient(calls)
        stages, workers = client.stages(), client.workers()
    if arguments.json:
        document = {"jobs": stages.jobs, "stages": stages.stages, "workers": workers.workers}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
        return ExitCode.DONE
    known = [msgspec.json.decode(worker, type=Worker) for worker in workers.workers]
    for raw in stages.stages:
        stage = msgspec.json.decode(raw, type=Stage)
        sys.stdout.write(_stage_line(stage) + "\n")
        for worker in known:
            if worker.stage == stage.stage:
                sys.stdout.write(_worker_line(worker) + "\n")
    return ExitCode.DONE


def _stage_line(stage: Stage) -> str:
    line = f"{stage.stage:<10} {stage.waiting} waiting, {stage.running} running, {stage.slots} slots"
    if stage.paused is not None:
        reason = f": {stage.paused.reason}" if stage.paused.reason else ""
        line += f"; paused by {stage.paused.by} at {stage.paused.at}{reason}"
    return line


def _worker_line(worker: Worker) -> str:
    line = f"  {worker.name}  {worker.lane}  {worker.running}/{worker.slots}  seen {worker.seen_at}"
    if worker.draining:
        line += "  draining"
    if worker.quarantine:
        line += f"  only what is replayed to {worker.quarantine}"
    return line
