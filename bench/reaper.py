"""The reaper role as a process of a benchmark: how it is started, and when it may reap."""

import re
import socket
import urllib.request

PROGRAM = """
from actors import run
from actors.logging import configure
from actors.settings import load
settings = load()
configure(settings.logging, "reaper")
run.run(run.serve(run.build_services(["reaper"], settings), settings, lambda: print("ready", flush=True)))
"""
"""For `python -c`; prints `ready` once it serves."""
_WATCHING = re.compile(r"^reelway_reaper_watching 1\.0$", re.MULTILINE)


def environ(url: str, data: str, port: int) -> dict[str, str]:
    """Variables of a reaper of one partition with default settings, whose metrics are on `port`."""
    return {
        "REELWAY_REDIS_URL": url,
        "REELWAY_PARTITIONS": "1",
        "REELWAY_DATA_DIR": data,
        "REELWAY_METRICS_PORT": str(port),
    }


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def may_reap(port: int) -> bool:
    """Whether this reaper has watched the server for a whole lease: before that it ends no lease."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as response:
        return _WATCHING.search(response.read().decode()) is not None
