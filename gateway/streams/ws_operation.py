"""What `/v1/ws` says of itself: OpenAPI has no words for what happens after an upgrade, so its messages are listed."""

from gateway.openapi.operation import Answer, Operation, header
from gateway.streams.messages import MOST_MESSAGE_BYTES, Close, Said
from gateway.streams.operations import TAG
from gateway.streams.replies import Reply, by_op
from gateway.streams.websocket import PROTOCOL
from gateway.streams.ws_session import MOST_SUBSCRIPTIONS

_WITHIN = ("INVALID_MESSAGE", "SUBSCRIPTION_EXISTS", "TOO_MANY_SUBSCRIPTIONS", "JOB_NOT_FOUND", "STORE_UNAVAILABLE")


def _closes(*, final: bool) -> str:
    return ", ".join(f"{code.value} ({code.name.lower()})" for code in Close if code.final == final)


_WORDS = (
    f"A WebSocket of text messages in JSON, at most {MOST_MESSAGE_BYTES // 1024} KiB from the client, subprotocol "
    f"`{PROTOCOL}`. The key comes as a header or, from a client that cannot send headers, in `auth` as the first "
    "message, within 5 s. Every message is an object that says in `op` what it is.\n\n"
    "A topic is `job:<id>`, `tag:<tag>` or `jobs`; `id` is the client's name for the subscription, `since` the id of "
    f"the last event that it has seen. A connection holds {MOST_SUBSCRIPTIONS} subscriptions. The gateway says `hello` "
    "first. What cannot be done is answered with `error`, whose codes are "
    f"{', '.join(f'`{code}`' for code in _WITHIN)}; the rest goes on.\n\n"
    "Before it closes it says `bye`. "
    f"{_closes(final=False)} mean: come back after `retry_ms` and resume. "
    f"{_closes(final=True)} and 1009 (a message is too large) mean: change something first. "
    "Pages of other origins are refused, unless `gateway.origins` names them."
)

WEBSOCKET = Operation(
    name="openWebSocket",
    tag=TAG,
    summary="Follow any number of jobs on one connection",
    description=_WORDS,
    headers=(
        header("Upgrade", "Asks for a WebSocket, as RFC 6455 has it.", example="websocket"),
        header("Sec-WebSocket-Protocol", "The subprotocol; may be left out.", example=PROTOCOL),
    ),
    answers=(Answer(101, "The connection is a WebSocket now."),),
    problems=("ORIGIN_REFUSED", "UPGRADE_NEEDED", "TOO_MANY_STRANGERS"),
    messages={"client": by_op(Said), "server": by_op(Reply)},
    within=_WITHIN,
    key="later",
)
