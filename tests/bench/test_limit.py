"""The raw limit: an account of Redis's time, shares, and prepared bytes that take the course they were recorded on."""

import shutil

import pytest

from bench.context import Context, Durability
from bench.limit import bare, commands, prepared, reached
from bench.limit.bare import Cost, Plan
from bench.limit.commands import LUA, OUTSIDE, Account, Spent
from bench.limit.reached import Round
from bench.server import bundled_program
from bench.systems.measure import Measured

STATS = {
    "evalsha": (50, 9000.0), "eval": (1, 1000.0), "hmget": (300, 3000.0), "xgroup|create": (1, 10.0),
    "xinfo|groups": (2, 4.0), "get": (100, 20.0), "xread": (9, 90.0), "client|setinfo": (1, 10.0), "zcount": (3, 3.0),
}  # fmt: skip
JOBS = 100


def test_an_account_tells_what_scripts_did_from_what_clients_sent() -> None:
    one = commands.account(STATS, 0.015, JOBS)
    assert one.redis_us == pytest.approx(150)
    assert one.scripts == pytest.approx(0.51)
    assert one.commands.keys() == {"hmget", "xgroup", "xinfo", "get"}
    assert one.commands["hmget"] == Spent(3.0, 30.0)
    assert one.executed == pytest.approx(4.03)
    assert one.lua_us == pytest.approx(100 - 30 - 0.1 - 0.04 - 0.2)
    assert one.outside_us == pytest.approx(150 - 100 - 1.03)


def test_a_table_by_command_has_the_dearest_first_and_lets_the_small_ones_share_a_line() -> None:
    table = commands.table("t", "chain", [commands.account(STATS, 0.015, JOBS)])
    assert [row.labels[0] for row in table.rows] == ["hmget", "all others", LUA, OUTSIDE, "together"]
    hmget, *_, together = table.rows
    assert [figure.values[0] for figure in hmget.figures] == pytest.approx([3, 10, 30, 20])
    assert together.figures[3].median == pytest.approx(100)
    assert sum(row.figures[2].values[0] for row in table.rows[:-1]) == pytest.approx(150 - 1.03)


def test_a_command_that_only_one_round_used_counts_nothing_in_the_other_one() -> None:
    rounds = [commands.account(STATS | {"zadd": (100, 5000.0)}, 0.02, JOBS), commands.account(STATS, 0.015, JOBS)]
    (zadd,) = [row for row in commands.table("t", "job", rounds).rows if row.labels == ("zadd",)]
    assert zadd.figures[0].values == (1.0,)
    assert zadd.figures[2].values == (50.0, 0.0)


def one_round(rate: float, bare_s: float, prepared_s: float) -> Round:
    worker = Measured(jobs=JOBS, rate=rate, submit_rate=1, worker_us=200, redis_us=190)
    costs = [Cost(wall_s, client_s=0.005, redis_s=0.018) for wall_s in (bare_s, prepared_s)]
    return Round(worker, 26.0, 10.0, Account(190, 0.5, {"get": Spent(60, 90)}, 150, 5), *costs)


def test_the_share_of_the_limit_is_that_of_the_same_round() -> None:
    rounds = [one_round(4000, 0.02, 0.02), one_round(3000, 0.02, 0.025)]
    assert [each.share_percent for each in rounds] == [pytest.approx(80), pytest.approx(75)]
    table = reached.table("t", "chains", rounds)
    worker, _, limit = table.rows
    assert list(worker.figures[1].values) == pytest.approx([80, 75])
    assert limit.figures[1].values == (100, 100)
    assert list(worker.figures[4].values) == pytest.approx([80, 60])
    said = reached.in_words("chains", rounds)
    assert "78 % of the 4,500 chains/s" in said
    assert "60 commands" in said


def test_a_request_is_packed_as_redis_reads_it() -> None:
    assert prepared.pack(["SET", b"k", 12]) == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n12\r\n"


@pytest.mark.parametrize(
    ("reply", "bad"),
    [
        ([b"OK", b"OK"], False), ([b"OK", b"FENCED"], True), (ValueError("no script"), True), (b"OK", False),
        ([[[b"j00-1", b"GONE"]], [], [], 0], False), ([b"OK", ValueError("oom")], True),
    ],
)  # fmt: skip
def test_a_reply_that_is_no_success_is_noticed(reply: object, bad: bool) -> None:
    assert prepared.is_bad(reply) is bad


def test_prepared_bytes_end_every_job_of_an_empty_server_in_the_same_way() -> None:
    context = Context(redis_program=shutil.which("redis-server") or bundled_program())
    with context.server(Durability.NONE) as recorded, context.server(Durability.NONE) as empty:
        plan = Plan(recorded.url, "chain", jobs=130, take=25, commit=10)
        cost = bare.apart(prepared.replay, plan, empty.url)
        assert cost.redis_s > 0
        keys = "rw:{p00}:"
        for server in (recorded, empty):
            assert server.client.zcard(f"{keys}active") == 0
            assert server.client.hget(f"{keys}job:j00-{129:026d}", "state") == b"completed"
        assert recorded.client.dbsize() == empty.client.dbsize()


def test_a_bare_client_ends_every_job() -> None:
    context = Context(redis_program=shutil.which("redis-server") or bundled_program())
    with context.server(Durability.NONE) as server:
        cost = bare.apart(bare.work_off, Plan(server.url, "noop", jobs=130, take=25, commit=10))
    assert cost.wall_s > 0
