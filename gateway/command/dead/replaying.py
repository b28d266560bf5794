"""`reelway dead replay`: let dead letters run again, the named ones or those of a filter at a set rate."""

import argparse
import math
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec

from gateway.command.admin import AdminClient, Count, Replay
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.dead.selection import add_jobs, check_choice, without
from gateway.command.failure import ExitCode
from gateway.command.interrupts import Interrupts, held
from gateway.command.progress import Display, make_display
from gateway.command.times import positive

_MOST_OF_A_PAGE = 100
_MOST_A_SECOND = 1000
_REFUSALS = {
    "illegal": "it has completed",
    "parent": "it is part of another job that does not wait for it: replay that one",
    "gone": "it is no longer kept",
}


class _Tally:
    """What has become of the jobs so far."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.refused: list[Replay] = []

    def add(self, replay: Replay) -> None:
        self.outcomes[replay.outcome] += 1
        if replay.outcome in _REFUSALS:
            self.refused.append(replay)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `dead replay`."""
    parser.add_argument(
        "--rate", metavar="N", type=_rate, default=10.0, help="jobs a second where a filter is given; default 10"
    )
    parser.add_argument("--limit", metavar="N", type=positive, help="stop after so many")
    parser.add_argument("--worker", metavar="NAME", help="the quarantine worker that alone may take them")
    parser.add_argument(
        "--deadline", metavar="SECONDS", type=positive, help="time to their new deadline; default: the installation's"
    )
    add_jobs(parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay. Ctrl-C ends it after the page that is under way; the same command again goes on with the rest."""
    wanted = check_choice(arguments)
    how = without({"worker": arguments.worker, "deadline_s": arguments.deadline})
    tally = _Tally()
    complete = False
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        client = AdminClient(calls)
        if wanted is None:
            for job in arguments.job:
                tally.add(client.replay(job, how))
            complete = True
        else:
            with suppress(KeyboardInterrupt), make_display() as display, Interrupts():
                _replay_all(client, wanted, how, arguments, tally, display)
                complete = True
    _say(tally, complete=complete, as_json=arguments.json)
    return ExitCode.DONE if complete else ExitCode.INTERRUPTED


def _replay_all(
    client: AdminClient,
    wanted: dict[str, str],
    how: dict[str, Any],
    arguments: argparse.Namespace,
    tally: _Tally,
    display: Display,
) -> None:
    counted = msgspec.json.decode(client.count(wanted), type=Count)
    if counted.newest_at is None:
        return
    # Whoever dies again meanwhile is newer than that and is not met again.
    asked = {"filter": {**wanted, "until": counted.newest_at}, "rate": arguments.rate, **how}
    total = min(counted.matching, arguments.limit or counted.matching)
    left = arguments.limit
    cursor: str | None = None
    began_s = time.monotonic()
    while left is None or left > 0:
        # About a second's worth: so long an interrupt waits, and so often the progress moves.
        page_length = min(_MOST_OF_A_PAGE, max(1, math.ceil(arguments.rate)), left or _MOST_OF_A_PAGE)
        with held():
            page_began_s = time.monotonic()
            page = client.replay_page(asked | {"cursor": cursor, "limit": page_length})
            for replay in page.replays:
                tally.add(replay)
        cursor = page.next
        left = None if left is None else left - len(page.replays)
        _show(display, sum(tally.outcomes.values()), total, time.monotonic() - began_s)
        if cursor is None:
            break
        # The page kept the rate within itself; the first job of the next one waits for its turn as well.
        due_s = page_began_s + len(page.replays) / arguments.rate
        time.sleep(max(0.0, due_s - time.monotonic()))
    display.finish("replay")


def _show(display: Display, done: int, total: int, took_s: float) -> None:
    speed = done / took_s if took_s > 0 else 0.0
    eta_s = (total - done) / speed if speed and total > done else None
    display.show("replay", min(1.0, done / total) if total else 1.0, f"{speed:.1f} jobs/s", eta_s)


def _say(tally: _Tally, *, complete: bool, as_json: bool) -> None:
    if as_json:
        document = {
            "replayed": tally.outcomes["replayed"],
            "already": tally.outcomes["already"],
            "refused": tally.refused,
            "complete": complete,
        }
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
        return
    for replay in tally.refused:
        sys.stderr.write(f"{replay.job} not replayed: {_REFUSALS[replay.outcome]}\n")
    sys.stdout.write(f"{tally.outcomes['replayed']} replayed")
    if tally.outcomes["already"]:
        sys.stdout.write(f", {tally.outcomes['already']} were on their way already")
    if tally.refused:
        sys.stdout.write(f", {len(tally.refused)} not")
    sys.stdout.write("\n" if complete else "; interrupted, the same command goes on with the rest\n")


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= _MOST_A_SECOND:
        message = f"`{text}` is no number from 0.1 to {_MOST_A_SECOND}"
        raise argparse.ArgumentTypeError(message)
    return number
