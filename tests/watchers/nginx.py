"""An nginx in front of gateways, started by the test, with the proxy settings that the test is about."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.keys import KEY

PROGRAM = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
STARTS_WITHIN_S = 10.0
needs_nginx = pytest.mark.skipif(PROGRAM is None, reason="there is no nginx on this machine")
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log notice;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
    upstream gateways {{ {gateways} }}
    server {{
        listen 127.0.0.1:{port} {listen};
        {server}
        {root}
        location = /watch.html {{ types {{ text/html html; }} }}
        location /v1/ {{
            proxy_pass http://gateways;
            proxy_set_header Authorization "Bearer {key}";
        }}
    }}
}}
"""


@asynccontextmanager
async def nginx(
    folder: Path,
    gateway_ports: Sequence[int],
    *,
    http: str = "",
    server: str = "",
    listen: str = "",
    root: str = "html",
) -> AsyncIterator[int]:
    """Its port. Everything but what is given is as nginx has it by itself."""
    assert PROGRAM is not None
    with socket.socket() as reserved:
        # nginx sets SO_REUSEADDR too: so the port stays ours until it listens.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        # Its workers give up the rights of root, and then could not read the test's folder.
        user = "user root;" if Path(folder).owner() == "root" else ""
        # By itself nginx asks nobody for ten seconds who has refused once, and then both of two that are restarted.
        servers = " ".join(f"server 127.0.0.1:{gateway_port} max_fails=0;" for gateway_port in gateway_ports)
        text = CONFIGURATION.format(
            folder=folder, port=port, gateways=servers, key=KEY, http=http, server=server, listen=listen,
            root=f"root {root};" if root else "", user=user,
        )  # fmt: skip
        file = folder / "nginx.conf"
        file.write_text(text)
        process = await asyncio.create_subprocess_exec(PROGRAM, "-e", f"{folder}/nginx.log", "-c", str(file))
        try:
            async with asyncio.timeout(STARTS_WITHIN_S):
                while not await _listens(port):
                    assert process.returncode is None, (folder / "nginx.log").read_text()
            yield port
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        await asyncio.sleep(0.01)
        return False
    writer.close()
    return True


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "1", "-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key
