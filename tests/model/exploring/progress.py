"""Whether every state can still reach its end when nothing more goes wrong, and whether it must.

Two questions to the graph of sure steps (what is alive goes on; time passes; the reaper comes round):

- `end`: from every state some sure steps lead to a state in which all has ended.
- `cycle`: no sure steps lead in a circle. So any sure steps, in any order, come to the end after finitely many; nothing
  has to be assumed about who is how fast, only that somebody who can do something does it some day.
"""

from collections import deque

from tests.model.exploring.exploration import Space


def stuck(space: Space) -> int | None:
    """The nearest state from which no sure steps lead to the end."""
    back: list[list[int]] = [[] for _ in space.states]
    for number, following in enumerate(space.sure):
        for one in following:
            back[one].append(number)
    reach = bytearray(len(space.states))
    waiting = deque(number for number, state in enumerate(space.states) if state.over)
    for number in waiting:
        reach[number] = 1
    while waiting:
        for number in back[waiting.popleft()]:
            if not reach[number]:
                reach[number] = 1
                waiting.append(number)
    found = reach.find(0)
    return None if found < 0 else found


def circle(space: Space) -> list[int] | None:
    """States of a circle of sure steps, the nearest first and again at the end."""
    back: list[list[int]] = [[] for _ in space.states]
    left = [len(following) for following in space.sure]
    for number, following in enumerate(space.sure):
        for one in following:
            back[one].append(number)
    done = deque(number for number, count in enumerate(left) if count == 0)
    while done:
        for number in back[done.popleft()]:
            left[number] -= 1
            if left[number] == 0:
                done.append(number)
    # What is left has a way on among what is left, or leads there: whoever goes on and on comes round.
    nearest = next((number for number, count in enumerate(left) if count), None)
    if nearest is None:
        return None
    way = [nearest]
    while way[-1] not in way[:-1]:
        way.append(next(one for one in space.sure[way[-1]] if left[one]))
    return way[way.index(way[-1]) :]
