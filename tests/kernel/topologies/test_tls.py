"""Redis behind TLS, in every topology; certificates of the wrong authority are refused at once."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from actors.kernel import Partitions, RedisOptions, UnfitServer, admit, connect, primary_of
from tests.conftest import redis_program
from tests.kernel.topologies.certificates import Certificates
from tests.kernel.topologies.servers import Cluster, Server, Watched, running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def program(certificates: Certificates) -> str:
    """A server program that was built with TLS."""
    # The wheel's server, which knows no TLS, stands first on the PATH of a virtual environment: all of it is searched.
    folders = os.environ.get("PATH", "").split(os.pathsep)
    found = [shutil.which(name, path=folder) for folder in folders for name in ("redis-server", "valkey-server")]
    for candidate in (redis_program(), *found):
        if candidate is not None and _speaks_tls(candidate, certificates):
            return candidate
    pytest.skip("no server program with TLS: name one in REELWAY_TEST_REDIS_SERVER")


def _speaks_tls(program: str, certificates: Certificates) -> bool:
    """It ends at once when a setting is unknown to it, and otherwise because its directory is missing."""
    command = [program, "--port", "0", "--tls-port", "0", *certificates.tls_arguments(), "--dir", "/nowhere"]
    ended = subprocess.run(command, check=False, capture_output=True, timeout=10)
    return b"/nowhere" in ended.stdout + ended.stderr


def options(
    url: str, certificates: Certificates, *, client: bool = False, authority: Path | None = None
) -> RedisOptions:
    """Trusts the tests' own authority or another, and has a certificate of its own where `client`."""
    trusting = RedisOptions(url=url, ca_file=str(authority or certificates.authority))
    if not client:
        return trusting
    files = {"certificate_file": str(certificates.client), "key_file": str(certificates.client_key)}
    return msgspec.structs.replace(trusting, **files)


@pytest.fixture(scope="module")
def server(program: str, certificates: Certificates) -> Iterator[Server]:
    """Asks its clients for a certificate."""
    arguments = certificates.tls_arguments(ask_clients=True)
    with running(Server(tls=arguments, program=program)) as started:
        yield started


async def test_a_server_that_asks_for_certificates(server: Server, certificates: Certificates) -> None:
    client = connect(options(f"rediss://{server.address}/0", certificates, client=True))
    assert "Redis" in await admit(client, Partitions(1))
    assert (await primary_of(client, "rw:{p00}:leases")).primary
    await client.aclose()


@pytest.mark.parametrize("scheme", ["rediss", "rediss+cluster"])
async def test_a_certificate_of_an_unknown_authority_is_refused(
    server: Server, certificates: Certificates, scheme: str
) -> None:
    url = f"{scheme}://{server.address}"
    client = connect(options(url, certificates, client=True, authority=certificates.other_authority))
    with pytest.raises(UnfitServer, match=r"(?i)certificate"):
        await asyncio.wait_for(admit(client, Partitions(1)), 5.0)
    await client.aclose()


async def test_a_cluster_behind_tls(program: str, certificates: Certificates) -> None:
    arguments = [*certificates.tls_arguments(), "--tls-cluster", "yes"]
    with running(Cluster(tls=arguments, program=program)) as cluster:
        client = connect(options(cluster.url, certificates))
        assert len(await admit(client, Partitions(4))) == 3
        for partition in Partitions(4):
            await client.set(f"rw:{{p{partition}}}:x", partition)
            assert await client.get(f"rw:{{p{partition}}}:x") == partition.encode()
        await client.aclose()


async def test_a_watched_primary_behind_tls(program: str, certificates: Certificates) -> None:
    with running(Watched(1, tls=certificates.tls_arguments(), program=program)) as watched:
        client = connect(options(watched.url, certificates))
        assert len(await admit(client, Partitions(4))) == 1
        await client.aclose()
