"""Ctrl-C: whatever had begun is ended in order, and the exit code says so."""

import os
import signal
from pathlib import Path

import pytest

from tests.command.reelway import Reelway, finish
from tests.command.waiting import wait_for

_WITHIN_AN_IMPORT = """
import importlib.abc, os, signal, sys

class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                raise TypeError("expected a message argument")

sys.meta_path.insert(0, Interrupting())
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
"""Ctrl-C while `module` is imported, where Python may make another exception of it: this one was seen.

The signal is not ignored, as it is in the background of a shell.
"""


def test_interrupted_convert_cancels_its_job(slow_reelway: Reelway, long_clip: Path) -> None:
    process = slow_reelway.start("convert", str(long_clip), "-o", "out.mp3", "--json")
    slow_reelway.wait_for_ffmpeg()
    process.send_signal(signal.SIGINT)
    ended = finish(process, 10)
    assert ended.code == 130, ended.stderr
    assert ended.json()["state"] == "cancelled"
    assert "Traceback" not in ended.stderr
    wait_for(lambda: not slow_reelway.processes(), "no process is alive", within_s=5)
    assert not list(slow_reelway.data.glob("converts/*"))
    assert [path.name for path in slow_reelway.folder.iterdir() if "out.mp3" in path.name or "part" in path.name] == []


def test_interrupt_before_anything_has_started(reelway: Reelway, clip: Path) -> None:
    process = reelway.start("convert", str(clip), "-o", "out.mp3")
    wait_for(lambda: reelway.data.joinpath("users.lock").exists(), "it has begun")
    process.send_signal(signal.SIGINT)
    ended = finish(process, 10)
    assert ended.code == 130
    assert "Traceback" not in ended.stderr
    wait_for(lambda: not reelway.processes(), "no process is alive", within_s=5)


@pytest.mark.parametrize(
    ("module", "told"), [("gateway.command.convert", ""), ("asyncio", "interrupted\n"), ("aiohttp", "interrupted\n")]
)
def test_interrupt_within_an_import(reelway: Reelway, clip: Path, tmp_path: Path, module: str, told: str) -> None:
    site = tmp_path / "site"
    site.mkdir()
    site.joinpath("sitecustomize.py").write_text(_WITHIN_AN_IMPORT.replace("{module}", module))
    ended = reelway.run("convert", str(clip), "-o", "out.mp3", PYTHONPATH=f"{site}:{os.environ.get('PYTHONPATH', '')}")
    assert ended == (130, "", told)
