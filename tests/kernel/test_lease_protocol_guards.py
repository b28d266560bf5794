"""With any one guard taken away, exploration finds what it was good for, and the scripts do otherwise."""

import pytest

from actors.kernel import State
from tests.kernel.replayed import Replayed
from tests.model.exploring.exploration import World, explore
from tests.model.exploring.kept import Act
from tests.model.exploring.path import Walk, tell_all, walk_that_breaks
from tests.model.exploring.server import Server
from tests.model.exploring.unguarded import UNGUARDED, Unguarded

EACH = pytest.mark.parametrize("unguarded", UNGUARDED, ids=lambda unguarded: unguarded.kind.__name__)


@EACH
def test_what_breaks_without_a_guard(unguarded: Unguarded) -> None:
    space = explore(World(unguarded.bounds, Server(unguarded.kind)))
    told = tell_all(space)
    assert unguarded.rule in told, f"only {list(told)} in {space}"
    assert "\n   1. " in told[unguarded.rule], told[unguarded.rule]


@EACH
def test_the_scripts_have_the_guard(redis_url: str, unguarded: Unguarded) -> None:
    """They leave the history that broke the rule: so a model that differs from them is noticed, too."""
    space = explore(World(unguarded.bounds, Server(unguarded.kind)))
    walk = walk_that_breaks(space, unguarded.rule)
    replayed = Replayed(redis_url, unguarded.kind)
    try:
        with pytest.raises(AssertionError, match=r"Redis|moves"):
            replayed.history(unguarded.bounds.jobs, [*walk.acts, *_rounds(walk)])
    finally:
        replayed.close()


def _rounds(walk: Walk) -> list[Act]:
    """What a reaper does that comes by then."""
    running = [row.id for row in walk.state.kept.jobs if (row.state, row.row) == (State.RUNNING, "fresh")]
    return [*(Act("time passes", name) for name in running), Act("reap"), Act("promote"), Act("reconcile")]
