"""Requests as prepared bytes, and the report that is made of them."""

from pathlib import Path

import pytest

from bench.chains.clients import Driven
from bench.reaper import free_port
from bench.requests.caller import Answer, Caller, read_answer, request
from bench.roles import Installation, until_ready
from bench.scenarios import api
from bench.streams.watched import start

WHOLE = b'HTTP/1.1 200 OK\r\nETag: "7-a"\r\nContent-Length: 5\r\n\r\nabcde'


@pytest.mark.parametrize("missing", range(1, len(WHOLE)))
def test_an_answer_is_read_once_it_is_whole(missing: int) -> None:
    assert read_answer(WHOLE[:-missing]) is None


def test_an_answer_has_its_status_its_body_and_its_tag() -> None:
    assert read_answer(WHOLE) == Answer(200, b"abcde", b'"7-a"')
    assert read_answer(b'HTTP/1.1 304 Not Modified\r\nEtag: "7-a"\r\n\r\n') == Answer(304, b"", b'"7-a"')


async def test_a_connection_stays_open_for_the_next_request(tmp_path: Path) -> None:
    installation = Installation("redis://127.0.0.1:1/0", tmp_path)
    with start("raw", installation, "") as serving:
        until_ready(serving)
        caller = await Caller.connect(installation.port)
        for each in (request("POST", "/constant", "key", body=b"{}"), request("GET", "/constant", "key")):
            answer = await caller.call(each)
            assert answer.status == 200
            assert answer.body.startswith(b'{"id":')
        assert (await caller.call(request("GET", "/nowhere", "key"))).status == 404
        waiting = request("GET", "/jobs/j00-1/events", "key")
        serving.kill()
        with pytest.raises(ConnectionError):
            await caller.call(waiting)


async def test_nobody_listens() -> None:
    with pytest.raises(OSError):
        await Caller.connect(free_port())


def _sample(kind: api.Kind, in_flight: int) -> api.Sample:
    return api.Sample(Driven(1.0, (0.001,) * 10), 0.05 if kind.startswith("constant") else 0.4, 0.1, 0.02 * in_flight)


def test_every_kind_has_its_rows_and_its_price() -> None:
    samples = {(kind, many): [_sample(kind, many)] for kind in api.WORDS for many in api.IN_FLIGHT}
    made = api.finding(samples)
    (table,) = made.tables
    assert len(table.rows) == 10
    assert all(len(row.figures) == len(table.columns) for row in table.rows)
    assert {series.name: series.x for series in made.plots[0].series} == dict.fromkeys(
        ("server", "Redis"), tuple(api.WORDS)
    )
    assert "a submit costs the gateway 0.40 ms, 8.0 times aiohttp's own" in made.says
    assert "at most 2,500 submits or 2,500 reads a second" in made.says
    assert set(api.WORDS) == {kind for kinds in api.KINDS.values() for kind in kinds}
