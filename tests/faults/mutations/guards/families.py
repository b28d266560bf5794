"""Guards of parents and children."""

from tests.faults.mutations.guards.places import CASES, KERNEL, LUA, PARTS, vector
from tests.faults.mutations.mutation import Mutation

KIDS = f"{PARTS}/kids.lua"

MUTATIONS = (
    Mutation(
        name="child-counted-once",
        guard="a child's end closes its row once",
        file=KIDS,
        old="  if redis.call('HGET', key, number) ~= 'open' then return end\n",
        new="",
        tests=(f"{CASES}/test_children.py::test_a_row_that_is_closed_is_not_closed_again",),
    ),
    Mutation(
        name="split-waits",
        guard="a parent waits while a child is open",
        file=f"{LUA}/commit.lua",
        old="elseif kind == 'split' and has_open_children(job) then",
        new="elseif false then",
        tests=(vector("spawn: children run beside their parent, and the last one queues its next stage"),),
    ),
    Mutation(
        name="split-without-children-goes-on",
        guard="a parent whose children have all ended does not wait",
        file=f"{LUA}/commit.lua",
        old="elseif kind == 'split' and has_open_children(job) then",
        new="elseif kind == 'split' then",
        tests=(vector("spawn: a split without open children goes on at once"),),
    ),
    Mutation(
        name="last-child-wakes",
        guard="a parent goes on with its last child's end and not before",
        file=KIDS,
        old="  if parent.state == 'waiting' and open <= 0 then wake(parent) end\n",
        new="  if parent.state == 'waiting' then wake(parent) end\n",
        tests=(vector("spawn: children run beside their parent, and the last one queues its next stage"),),
    ),
    Mutation(
        name="needed-child-fails-its-parent",
        guard="with `on_child_failure: fail` a failed child ends its parent",
        file=KIDS,
        old="  if parent.on_child_failure == 'fail' and",
        new="  if false and",
        tests=(vector("spawn: with fail the first failed child ends its waiting parent and the others"),),
    ),
    Mutation(
        name="unneeded-child-does-not",
        guard="without it the parent goes on",
        file=KIDS,
        old="  if parent.on_child_failure == 'fail' and",
        new="  if",
        tests=(vector("spawn: without fail the parent goes on and reads who failed"),),
    ),
    Mutation(
        name="parent-ends-its-children",
        guard="children end with their parent",
        file=f"{PARTS}/finish.lua",
        old="  end_children(job)\n",
        new="",
        tests=(f"{CASES}/test_children.py::test_children_end_with_their_parent",),
    ),
    Mutation(
        name="orphans-end-where-they-are-met",
        guard="a child beyond the first fifty ends where it is met",
        file=f"{PARTS}/end_lease.lua",
        old="  return not parents[job.parent]\n",
        new="  return false\n",
        tests=(f"{CASES}/test_children.py::test_children_beyond_the_first_fifty_end_where_they_are_met",),
    ),
    Mutation(
        name="spawn-exists-by-id",
        guard="a child whose row was lost is not made a second time",
        file=f"{LUA}/spawn.lua",
        old="  if known or redis.call('EXISTS', ROOT .. 'job:' .. id) == 1 then",
        new="  if known then",
        tests=(f"{KERNEL}/test_children.py::test_a_child_whose_row_was_lost_is_not_made_again",),
    ),
    Mutation(
        name="child-replay-while-parent-waits",
        guard="a child begins again only while its parent waits for it",
        file=f"{LUA}/replay.lua",
        old="if not parent or parent.state ~= 'waiting' then",
        new="if not parent then",
        tests=(f"{CASES}/test_children.py::test_a_child_begins_again_only_while_its_parent_waits",),
    ),
    Mutation(
        name="revive-spares-success",
        guard="a parent that is replayed runs no child again that had completed",
        file=f"{PARTS}/replay.lua",
        old="and not string.match(rows[index + 1], '^completed ') then",
        new="then",
        tests=(f"{CASES}/test_children.py::test_a_parent_that_is_replayed_revives_only_children_without_success",),
    ),
    Mutation(
        name="children-have-no-children-for-ever",
        guard="families are three generations deep at most",
        file=f"{LUA}/spawn.lua",
        old="if depth >= DEEPEST then return { 'DEEP' } end\n",
        new="",
        tests=(vector("spawn: children have children three times"),),
    ),
    Mutation(
        name="replayed-child-waits",
        guard="a child that waited for children of its own waits again when it is replayed",
        file=f"{LUA}/parts/replay.lua",
        old="  if waited(child) then",
        new="  if false then",
        tests=(f"{CASES}/test_children.py::test_a_child_that_waited_for_children_of_its_own_waits_again",),
    ),
)
