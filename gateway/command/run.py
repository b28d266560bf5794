"""`reelway run ROLE…`: roles of a cluster in this process, until SIGTERM.

The first SIGTERM or SIGINT drains: nothing new is taken, running stages get their grace, the rest is given back. The
second ends everything at once. Where the roles find Redis, storage and each other is in the settings alone.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from msgspec.structs import replace

from actors.media.errors import MediaError
from actors.settings import Settings
from actors.settings_values import SettingsError
from gateway.command.connection import load_settings
from gateway.command.failure import CommandFailure, ExitCode

ROLES = ("ingest", "fetch", "transcode", "store", "notify", "reaper", "gateway")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    parser.add_argument("roles", metavar="ROLE", nargs="+", choices=ROLES, help=f"one or more of {', '.join(ROLES)}")
    parser.add_argument("--serve", metavar="DUTIES", help="of the gateway: some of api,streams,bytes (gateway.serve)")
    parser.add_argument("--quarantine", metavar="NAME", help="take only what was replayed to this name (`dead replay`)")


def run(arguments: argparse.Namespace) -> int:
    """Serve the roles. With --json one line, `{"ready": [role…]}`, is written when all of them work."""
    roles = tuple(dict.fromkeys(arguments.roles))
    if arguments.serve and "gateway" not in roles:
        raise CommandFailure(
            ExitCode.USAGE,
            "SERVE_WITHOUT_GATEWAY",
            "--serve says what a gateway serves, and none of the roles is one.",
            "Add `gateway` to the roles, or leave --serve out.",
        )
    settings = load_settings(arguments.data, {"gateway.serve": arguments.serve} if arguments.serve else {})
    if arguments.quarantine:
        settings = replace(settings, kernel=replace(settings.kernel, quarantine=arguments.quarantine))
    try:
        if "transcode" in roles:
            _become_transcode(roles, settings)
        _serve(roles, settings, _say_ready(roles) if arguments.json else None)
    except SettingsError as error:
        raise CommandFailure(
            ExitCode.USAGE, "SETTINGS_INVALID", str(error), "docs/operations.md explains every setting."
        ) from error
    except OSError as error:
        raise CommandFailure(
            ExitCode.UNREACHABLE,
            "CANNOT_SERVE",
            f"{' and '.join(roles)} cannot run here: {error.strerror or error}.",
            "Check the address in gateway.host and gateway.port, and the folders in data_dir and storage.url.",
        ) from error
    return ExitCode.DONE


def _serve(roles: Sequence[str], settings: Settings, on_ready: Callable[[], None] | None) -> None:
    # Imported here: transcode needs none of it, and the roles of the cluster side need no HTTP server.
    from actors.logging import configure
    from actors.run import build_services, serve
    from actors.run import run as run_loop

    configure(settings.logging, "+".join(roles))
    services = build_services([role for role in roles if role != "gateway"], settings)
    if "gateway" in roles:
        from gateway.http.service import GatewayService

        services.append(GatewayService(settings))
    run_loop(serve(services, settings, on_ready))


def _become_transcode(roles: Sequence[str], settings: Settings) -> NoReturn:
    from actors.transcode import run_transcode

    if len(roles) > 1:
        raise CommandFailure(
            ExitCode.USAGE,
            "TRANSCODE_RUNS_ALONE",
            "transcode is a program of its own and cannot share a process with other roles.",
            "Run `reelway run transcode` as one more process.",
        )
    try:
        run_transcode(settings)
    except MediaError as error:
        raise CommandFailure(
            ExitCode.UNREACHABLE,
            error.code,
            f"transcode cannot run here: {error.detail}.",
            "Run `reelway doctor`; installing Reelway again where Rust is installed brings the native program.",
        ) from error


def _say_ready(roles: Sequence[str]) -> Callable[[], None]:
    def say() -> None:
        sys.stdout.write(json.dumps({"ready": list(roles)}) + "\n")
        sys.stdout.flush()

    return say
