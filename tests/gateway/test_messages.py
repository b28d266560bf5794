"""What a WebSocket client may say, how messages are framed, and which tags are remembered."""

import pytest
import redis.asyncio

from actors.kernel import Partitions
from actors.media.task import JobSpec, encode
from gateway.streams.framing import PING, text_message
from gateway.streams.messages import Close, JobTopic, Ping, Resume, Subscribe, TenantTopic, read_message, read_topic
from gateway.streams.strangers import Strangers
from gateway.streams.tags import Tags
from tests.gateway.events import event
from tests.gateway.scripted_worker import ScriptedWorker


def unframed(data: bytes) -> tuple[int, bytes, bytes]:
    """First byte, payload and rest of a frame, by RFC 6455, section 5.2."""
    size, begin = data[1], 2
    assert not size & 0x80, "a server does not mask"
    if size == 126:
        size, begin = int.from_bytes(data[2:4], "big"), 4
        assert size > 125, "the shortest form is used"
    elif size == 127:
        size, begin = int.from_bytes(data[2:10], "big"), 10
        assert size > 65_535, "the shortest form is used"
    return data[0], data[begin : begin + size], data[begin + size :]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_messages_of_every_size_are_framed(size: int) -> None:
    first, payload, rest = unframed(text_message(b"x" * size) + PING)
    assert (first, payload) == (0x81, b"x" * size)
    assert unframed(rest) == (0x89, b"", b"")


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "[]", "{}", '{"op": "fly"}', '{"op": "sub"}', '{"op": "sub", "id": 1, "topic": "jobs"}',
        '{"op": "sub", "id": "", "topic": "jobs"}', '{"op": "sub", "id": "a b", "topic": "jobs"}',
        '{"op": "sub", "id": "\\"", "topic": "jobs"}', '{"op": "resume", "id": "a", "topic": "jobs"}',
        "[" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_message(text)


def test_messages_are_read() -> None:
    assert read_message('{"op": "sub", "id": "a", "topic": "jobs", "extra": 1}') == Subscribe("a", "jobs")
    assert read_message('{"op": "resume", "id": "a", "topic": "jobs", "since": "x"}') == Resume("a", "jobs", "x")
    assert read_message('{"op": "ping"}') == Ping()


def test_topics() -> None:
    assert read_topic("jobs") == TenantTopic(None)
    assert read_topic("tag:a:b") == TenantTopic("a:b")
    assert read_topic("job:j00-1") == JobTopic("j00-1")
    for nonsense in ("", "job:", "tag:", "tag:" + "x" * 65, "Jobs", "tenant:another"):
        with pytest.raises(ValueError):
            read_topic(nonsense)


def test_strangers_of_one_address_are_counted_until_they_have_gone() -> None:
    strangers = Strangers(most=1)
    with strangers.present("here"):
        assert strangers.is_crowded("here")
        assert not strangers.is_crowded("there")
    assert not strangers.is_crowded("here")


async def test_tags_are_read_once_and_few_are_remembered(
    worker: ScriptedWorker, redis_client: redis.asyncio.Redis, partitions: Partitions
) -> None:
    tags = Tags(redis_client, partitions, most=2)
    spec = encode(JobSpec(source="https://media.example/a.mp4", format="mp3", tags=("a",)))
    job, bare = await worker.submit(spec=spec), await worker.submit(spec=b"{}")
    assert tags.carries(job, "a") is None
    await tags.learn({job, bare})
    assert (tags.carries(job, "a"), tags.carries(job, "b"), tags.carries(bare, "a")) == (True, False, False)
    await tags.learn({event(1).job})
    assert tags.carries(event(1).job, "a") is False, "a job that is gone carries none"
    assert sum(tags.carries(one, "a") is None for one in (job, bare)) == 1, "the oldest is forgotten"


def test_below_4500_a_client_comes_back() -> None:
    assert [code for code in Close if not code.final] == [4000, 4001, 4002, 4003]
    assert [code for code in Close if code.final] == [4500, 4501, 4504]
