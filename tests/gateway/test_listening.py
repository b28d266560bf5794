"""The end of a listener: who has connected is answered, and nobody gets in any more."""

import asyncio
import select
import socket

from gateway.http.listening import stop_listening

CLIENTS = 20


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    writer.close()


async def test_who_waits_in_the_queue_is_answered() -> None:
    """They are connected, as far as they know, and have asked; the gateway has not come to accept them yet."""
    listener = await asyncio.start_server(_answer, "127.0.0.1", 0)
    address = listener.sockets[0].getsockname()
    clients = [socket.create_connection(address) for _ in range(CLIENTS)]
    for number, client in enumerate(clients):
        client.sendall(b"%d\n" % number)
    await stop_listening(listener)
    for number, client in enumerate(clients):
        with client:
            client.setblocking(False)
            async with asyncio.timeout(5):
                assert await asyncio.get_running_loop().sock_recv(client, 100) == b"%d\n" % number
    with socket.socket() as late:
        assert late.connect_ex(address) != 0


async def test_nobody_gets_in_while_those_are_heard() -> None:
    """Else there would always be one more in the queue when it is closed."""
    listener = await asyncio.start_server(_answer, "127.0.0.1", 0)
    address = listener.sockets[0].getsockname()
    stopping = asyncio.create_task(stop_listening(listener))
    await asyncio.sleep(0)
    with socket.socket() as late:
        late.setblocking(False)
        late.connect_ex(address)
        assert select.select([], [late], [], 0.02) == ([], [], []), "neither let in nor refused"
    await stopping
