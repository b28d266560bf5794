"""The places of an actor, without one."""

import msgspec
import pytest

from actors.kernel.room import Room
from tests.kernel.workplace import grant_of

PLAIN = grant_of("plain")
SUSPECT = msgspec.structs.replace(grant_of("suspect"), crashes=2)


def test_it_is_full_when_every_place_is_taken_or_kept() -> None:
    room = Room(2)
    room.enter([PLAIN])
    assert (room.free, room.full) == (1, False)
    assert room.reserve()
    assert (room.busy, room.free, room.full) == (2, 0, True)
    assert not room.reserve()
    room.give_up()
    room.leave(PLAIN)
    assert (room.busy, room.free, room.full) == (0, 2, False)


def test_what_a_take_may_bring_is_kept_for_nobody_else() -> None:
    room = Room(2)
    room.asked = 2
    assert not room.reserve()
    room.asked = 1
    assert room.reserve()
    assert not room.reserve()


def test_a_suspect_is_alone() -> None:
    room = Room(3)
    room.enter([SUSPECT])
    assert room.full
    assert not room.reserve()
    room.leave(SUSPECT)
    assert not room.full


@pytest.mark.parametrize("reserved", [False, True])
def test_who_makes_room_takes_nothing_before_all_have_left(*, reserved: bool) -> None:
    room = Room(3)
    if reserved:
        room.reserve()
    else:
        room.enter([PLAIN])
    room.clearing = True
    assert room.full
    assert not room.reserve()
    if reserved:
        room.give_up()
    else:
        room.leave(PLAIN)
    assert not room.full, "the one that is awaited may come"
    assert not room.reserve(), "and nobody before it"
