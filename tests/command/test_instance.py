"""Who serves a data directory: the record, the locks, the port."""

import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.embedded.attach import Attachment
from gateway.embedded.data_directory import DataDirectory
from gateway.embedded.environment import child_environment, ensure_key
from gateway.embedded.failure import CannotStart
from gateway.embedded.instance import FileLock, Instance, is_served, read_instance, write_instance
from gateway.embedded.port import ReservedPort
from tests.command.waiting import wait_for

_HOLDER = """
import sys
from pathlib import Path
from gateway.embedded.instance import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.try_exclusive()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    made = DataDirectory(tmp_path / "data")
    made.create()
    return made


def test_record_is_private_and_read_back(directory: DataDirectory) -> None:
    instance = Instance("http://127.0.0.1:1", "rw_x", 7, "0.1.0", "2026-01-01T00:00:00.000Z", True)
    write_instance(directory, instance)
    assert stat.S_IMODE(directory.instance_file.stat().st_mode) == 0o600
    assert read_instance(directory) == instance
    directory.instance_file.write_text("{")
    assert read_instance(directory) is None


def test_lock_ends_with_its_killed_holder(directory: DataDirectory) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(directory.serving_lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert is_served(directory)
    holder.kill()
    holder.wait()
    assert not is_served(directory)


def test_command_waits_while_an_unused_instance_ends(directory: DataDirectory) -> None:
    ending = FileLock(directory.users_lock)
    assert ending.try_exclusive()
    attached: list[Attachment] = []
    command = threading.Thread(target=lambda: attached.append(Attachment(directory)))
    command.start()
    command.join(0.1)
    assert not attached
    ending.close()
    command.join(5)
    assert attached
    attached[0].close()


def test_users_share(directory: DataDirectory) -> None:
    with Attachment(directory), Attachment(directory), FileLock(directory.users_lock) as supervisor:
        assert not supervisor.try_exclusive()


def test_data_directory_that_is_a_file_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(CannotStart) as refused:
        DataDirectory(tmp_path / "data").create()
    assert refused.value.code == "DATA_DIRECTORY_UNUSABLE"


def test_reserved_port_is_kept_for_a_gateway_that_restarts() -> None:
    reserved = ReservedPort("127.0.0.1", 0)
    try:
        for _ in range(2):
            with (
                socket.create_server(("127.0.0.1", reserved.port)),
                socket.create_connection(("127.0.0.1", reserved.port)),
            ):
                pass
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", reserved.port))
    finally:
        reserved.close()


def test_taken_port_is_refused_with_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(CannotStart) as refused:
        ReservedPort("127.0.0.1", other.getsockname()[1])
    assert refused.value.code == "PORT_IN_USE"


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "http://127.0.0.1:"), ("::", "http://[::1]:"), ("::1", "http://[::1]:")]
)
def test_address_for_this_machine(host: str, url: str) -> None:
    reserved = ReservedPort(host, 0)
    try:
        assert reserved.url() == f"{url}{reserved.port}"
    finally:
        reserved.close()


def test_key_is_made_once_and_private(directory: DataDirectory) -> None:
    key = ensure_key(directory, None)
    assert key.startswith("rw_")
    assert ensure_key(directory, None) == key
    assert stat.S_IMODE(directory.key_file.stat().st_mode) == 0o600
    assert ensure_key(directory, "rw_own") == "rw_own"
    assert directory.key_file.read_text() == "rw_own\n"


def test_children_never_see_another_cluster(directory: DataDirectory) -> None:
    foreign = {
        "REELWAY_REDIS_URL": "redis://production",
        "REELWAY_REDIS_PASSWORD": "secret",
        "REELWAY_STORAGE_URL": "s3://production",
        "REELWAY_GATEWAY_KEY": "rw_production",
        "REELWAY_URL": "https://production",
        "REELWAY_KEY": "rw_production",
        "REELWAY_EGRESS_ALLOW": "127.0.0.0/8",
        "HOME": "/home/somebody",
    }
    seen = child_environment(foreign, directory, directory.redis_socket(), "127.0.0.1", 8080)
    assert not [value for value in seen.values() if "production" in value or value == "secret"]
    assert seen["REELWAY_EGRESS_ALLOW"] == "127.0.0.0/8"
    assert seen["HOME"] == "/home/somebody"
    assert seen["REELWAY_STORAGE_URL"] == directory.storage.as_uri()


def test_stale_record_of_a_dead_instance_is_not_believed(directory: DataDirectory) -> None:
    write_instance(directory, Instance("http://127.0.0.1:1", "rw_x", 7, "0", "2026-01-01T00:00:00.000Z", True))
    with Attachment(directory) as attachment:
        # Nothing serves, so an instance is started; its supervisor removes the record before anything else.
        attachment.begin()
        wait_for(
            lambda: (
                read_instance(directory)
                != Instance("http://127.0.0.1:1", "rw_x", 7, "0", "2026-01-01T00:00:00.000Z", True)
            ),
            "the stale record is gone",
        )
