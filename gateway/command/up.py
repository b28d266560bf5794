"""`reelway up`: the embedded cluster in the foreground, until Ctrl-C."""

import argparse
import json
import sys

from gateway.command.connection import load_settings
from gateway.command.failure import CommandFailure, ExitCode
from gateway.embedded.data_directory import DataDirectory
from gateway.embedded.instance import Instance, read_instance
from gateway.embedded.supervisor import AlreadyServed, Options, Supervisor

# What a role may take for its running stages (`drain_grace_s`), and a little for its own end.
_BEYOND_DRAIN_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `up`."""
    parser.add_argument("--host", metavar="H", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--port", metavar="N", type=int, help="port to listen on; 0 picks a free one; default 8080")


def run(arguments: argparse.Namespace) -> int:
    """Serve. With --json one line, `{"url", "key"}`, is written when everything is ready."""
    settings = load_settings(arguments.data)
    port = settings.gateway.port if arguments.port is None else arguments.port
    if not 0 <= port <= 65535:
        raise CommandFailure(
            ExitCode.USAGE, "PORT_INVALID", f"{port} is no port.", "Give --port a number from 0 to 65535."
        )
    stages = (settings.ingest, settings.fetch, settings.transcode, settings.store, settings.notify)
    options = Options(
        host=arguments.host or settings.gateway.host,
        port=port,
        key=settings.gateway.key.reveal() if settings.gateway.key else None,
        ends_when_unused=False,
        drain_s=max(stage.drain_grace_s for stage in stages) + _BEYOND_DRAIN_S,
        kill_s=_BEYOND_DRAIN_S,
    )
    directory = DataDirectory(settings.data_dir)
    try:
        Supervisor(directory, options).run(_say_json if arguments.json else lambda instance: _say(instance, directory))
    except AlreadyServed:
        raise _already_served(directory) from None
    return ExitCode.DONE


def _say_json(instance: Instance) -> None:
    sys.stdout.write(json.dumps({"url": instance.url, "key": instance.key}) + "\n")
    sys.stdout.flush()


def _say(instance: Instance, directory: DataDirectory) -> None:
    sys.stdout.write(
        f"Reelway is up at {instance.url}\n"
        f"  key   {directory.key_file}\n"
        f"  data  {directory.root}\n"
        f"  logs  {directory.logs}\n"
        "Ctrl-C ends it: running stages are given time, a second Ctrl-C ends them at once.\n"
    )
    sys.stdout.flush()


def _already_served(directory: DataDirectory) -> CommandFailure:
    instance = read_instance(directory)
    who = f" by process {instance.pid} at {instance.url}" if instance else ""
    return CommandFailure(
        ExitCode.USAGE,
        "ALREADY_UP",
        f"{directory.root} is served already{who}.",
        "Other commands find that instance by themselves. For a second one give --data another directory.",
    )
