"""The private redis-server: the right program is chosen, and it runs as promised."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
import redis

from gateway.embedded.data_directory import DataDirectory
from gateway.embedded.failure import CannotStart
from gateway.embedded.redis_server import bundled_program, find_redis_program, redis_answers, redis_command
from tests.command.waiting import wait_for


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    made = DataDirectory(tmp_path / "data")
    made.create()
    return made


def _server_of_version(folder: Path, version: str) -> Path:
    folder.mkdir()
    program = folder / "redis-server"
    program.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=00000000:0 malloc=libc bits=64 build=0'\n")
    program.chmod(0o755)
    return program


def test_server_inside_the_wheel_is_found() -> None:
    program = bundled_program()
    assert program is not None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert "v=6.2" in said


def test_first_server_on_path_is_taken(
    tmp_path: Path, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _server_of_version(tmp_path / "a", "7.2.4")
    _server_of_version(tmp_path / "b", "8.0.0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    assert find_redis_program(directory).path == first


def test_server_older_than_6_2_is_passed_over(
    tmp_path: Path, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _server_of_version(tmp_path / "a", "6.0.16")
    monkeypatch.setenv("PATH", f"{tmp_path / 'a'}")
    assert find_redis_program(directory).path == bundled_program()


def test_directory_is_never_given_to_an_older_server(
    tmp_path: Path, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.version_file.write_text("99.1.0\n")
    _server_of_version(tmp_path / "a", "7.2.4")
    monkeypatch.setenv("PATH", f"{tmp_path / 'a'}")
    with pytest.raises(CannotStart) as refused:
        find_redis_program(directory)
    assert refused.value.code == "REDIS_OLDER_THAN_DATA"
    assert "99.1.0" in refused.value.message
    _server_of_version(tmp_path / "b", "99.1.0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    assert find_redis_program(directory).version == (99, 1, 0)


def test_server_runs_as_promised(directory: DataDirectory) -> None:
    program = find_redis_program(directory)
    socket_path = directory.socket_directory() / "redis.sock"
    server = subprocess.Popen(redis_command(program, directory, socket_path), stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: redis_answers(socket_path), "redis answers")
        assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
        with redis.Redis(unix_socket_path=str(socket_path), decode_responses=True) as client:
            wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "port": "0"}
            assert {name: client.config_get(name)[name] for name in wanted} == wanted
            assert client.config_get("save") == {"save": ""}
    finally:
        server.terminate()
        server.wait()


def test_long_data_directory_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    deep = DataDirectory(tmp_path / ("d" * 120))
    deep.create()
    made = deep.socket_directory()
    assert len(os.fsencode(made / "redis.sock")) < 100
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    (made / "redis.sock").touch()
    assert deep.redis_socket() == made / "redis.sock"
    again = deep.socket_directory()
    assert not made.exists(), "what a dead instance left is removed"
    deep.remove_socket_directory()
    assert not again.exists()
