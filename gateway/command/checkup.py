"""The single checks of `reelway doctor`. None of them changes anything but the data directory's own folders."""

import os
import shutil
import socket
import subprocess
from typing import Literal
from urllib.parse import quote

import msgspec
from redis.exceptions import RedisError

from actors.installation import redis_options
from actors.kernel import RedisOptions, connect, read_all_facts
from actors.kernel.scripts import digests
from actors.native import find_ffmpeg, find_native
from actors.settings import RedisSettings, Settings
from actors.settings_values import SettingsError
from gateway.client import Client
from gateway.client.errors import GatewayError
from gateway.command.calls import failure_of
from gateway.command.connection import Connection
from gateway.command.failure import CommandFailure
from gateway.embedded.data_directory import DataDirectory
from gateway.embedded.failure import CannotStart
from gateway.embedded.instance import is_served, read_instance
from gateway.embedded.redis_server import OLDEST_VERSION, find_redis_program

_ANSWERS_WITHIN_S = 10.0
_REINSTALL = "Install Reelway with its dependencies again."


class Finding(msgspec.Struct, frozen=True):
    """What one check found, and for anything but `ok` what to do."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    suggestion: str = ""


class _NativeVersion(msgspec.Struct, frozen=True):
    version: str
    scripts: dict[str, str]


def check_ffmpeg(settings: Settings) -> Finding:
    """Which ffmpeg is used, and that it runs."""
    program = find_ffmpeg(settings.media)
    if program is None:
        return Finding("ffmpeg", "failed", "not found", f"{_REINSTALL} REELWAY_FFMPEG names another one.")
    said = _first_line([str(program), "-hide_banner", "-version"])
    if said is None:
        return Finding("ffmpeg", "failed", f"{program} does not run", f"{_REINSTALL} REELWAY_FFMPEG names another one.")
    return Finding("ffmpeg", "ok", f"{program}: {said}")


def check_native(_settings: Settings) -> Finding:
    """That the native program is there and runs the same Lua as Python does."""
    program = find_native()
    if program is None:
        return Finding(
            "native program",
            "failed",
            "reelway-transcode is not installed",
            "Install Rust (rustup.rs), then install Reelway again with REELWAY_NATIVE=require.",
        )
    said = _first_line([str(program), "version", "--json"])
    try:
        native = msgspec.json.decode(said or "", type=_NativeVersion)
    except msgspec.DecodeError:
        return Finding("native program", "failed", f"{program} does not run", _REINSTALL)
    ours = digests()
    different = sorted(verb for verb, digest in native.scripts.items() if ours.get(verb) != digest)
    if different:
        return Finding(
            "native program",
            "failed",
            f"{program} {native.version} has other scripts than Python: {', '.join(different)}",
            "Build it again: install Reelway with REELWAY_NATIVE=require.",
        )
    return Finding("native program", "ok", f"{program} {native.version}, {len(native.scripts)} scripts as in Python")


async def check_redis(settings: Settings) -> Finding:
    """The server that runs, or the one that would be started: its version, and that it never evicts."""
    directory = DataDirectory(settings.data_dir)
    if settings.redis != RedisSettings():
        try:
            return await _ask_redis(redis_options(settings))
        except SettingsError as error:
            return Finding("redis", "failed", str(error), "Correct REELWAY_REDIS_URL.")
    if is_served(directory):
        return await _ask_redis(RedisOptions(url=f"unix://{quote(str(directory.redis_socket()))}"))
    try:
        program = find_redis_program(directory)
    except CannotStart as failure:
        return Finding("redis", "failed", failure.message, failure.suggestion)
    return Finding("redis", "ok", f"{program.path} {program.version_text}, started when needed, policy noeviction")


def check_data_directory(settings: Settings) -> Finding:
    """That it can be written, and how much room there is."""
    directory = DataDirectory(settings.data_dir)
    try:
        directory.create()
    except CannotStart as failure:
        return Finding("data directory", "failed", failure.message, failure.suggestion)
    free_gib = shutil.disk_usage(directory.root).free / 2**30
    detail = f"{directory.root}, {free_gib:.1f} GiB free"
    if free_gib < 2:
        return Finding("data directory", "warning", detail, "Make room: results and sources lie here.")
    return Finding("data directory", "ok", detail)


def check_instance(settings: Settings) -> Finding:
    """Whether an embedded instance serves the data directory, and all its parts run."""
    directory = DataDirectory(settings.data_dir)
    instance = read_instance(directory) if is_served(directory) else None
    if instance is None:
        return Finding("instance", "ok", "none runs; one is started when needed")
    if instance.failing:
        return Finding(
            "instance",
            "failed",
            f"{', '.join(instance.failing)} of process {instance.pid} end as soon as they are started",
            f"Look into {directory.logs}.",
        )
    return Finding("instance", "ok", f"process {instance.pid} serves {instance.url} since {instance.started_at}")


def check_port(settings: Settings) -> Finding:
    """Whether `reelway up` would get its default port."""
    host, port = settings.gateway.host, settings.gateway.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            instance = read_instance(DataDirectory(settings.data_dir))
            if instance is not None and instance.url.endswith(f":{port}"):
                return Finding("port", "ok", f"{port} is used by the instance of the data directory")
            detail = f"{port} on {host}: {error.strerror}"
            return Finding("port", "warning", detail, "`reelway up --port 0` picks a free one.")
    return Finding("port", "ok", f"{port} on {host} is free")


async def check_gateway(settings: Settings) -> Finding:
    """Whether the gateway that REELWAY_URL names answers."""
    try:
        with Connection(settings) as connection:
            if connection.is_embedded:
                return Finding("gateway", "ok", "REELWAY_URL is not set: commands use the embedded cluster")
            address = await connection.address()
        async with Client(address.url, address.key, patience_s=0.0) as client:
            await client.page(limit=1)
    except CommandFailure as failure:
        return Finding("gateway", "failed", failure.message, failure.suggestion)
    except GatewayError as error:
        told = failure_of(error)
        return Finding("gateway", "failed", told.message, told.suggestion)
    return Finding("gateway", "ok", f"{address.url} answers")


async def _ask_redis(options: RedisOptions) -> Finding:
    client = connect(options)
    try:
        everybody = await read_all_facts(client)
    except (RedisError, OSError) as error:
        return Finding("redis", "failed", f"does not answer: {error}", "Check REELWAY_REDIS_URL and that Redis runs.")
    finally:
        await client.aclose()
    details = []
    for name, facts in everybody.items():
        detail = f"version {facts.version}, policy {facts.policy}"
        details.append(detail)
        where = f"{name}: " if len(everybody) > 1 else ""
        if tuple(int(part) for part in facts.version.split(".")[:3] if part.isdecimal()) < OLDEST_VERSION:
            return Finding("redis", "failed", where + detail, "Redis 6.2 or newer is needed.")
        if facts.policy != "noeviction":
            suggestion = "Set maxmemory-policy noeviction: any other one loses jobs."
            return Finding("redis", "failed", where + detail, suggestion)
    count = f"{len(everybody)} primaries, " if len(everybody) > 1 else ""
    return Finding("redis", "ok", count + "; ".join(sorted(set(details))))


def _first_line(command: list[str]) -> str | None:
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_ANSWERS_WITHIN_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env=dict(os.environ),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.splitlines()[0] if ended.returncode == 0 and ended.stdout else None
