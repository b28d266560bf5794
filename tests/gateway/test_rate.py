"""The quota of requests: its arithmetic, and what a client reads of it."""

import re
from collections.abc import Mapping

import aiohttp
import pytest

from gateway.http.rate import LEAST_SWEEP, RateLimiter, rate_field
from gateway.principal import Principal
from tests.gateway.conftest import KEY, OpenStream, StartGateway, client_of
from tests.gateway.submitting import REQUEST, post

ANN, BOB = Principal("t", "ann"), Principal("t", "bob")


def test_a_quota_may_be_spent_at_once_and_comes_back_evenly() -> None:
    rate = RateLimiter(10, 60)
    standings = [rate.spend(ANN, 100.0) for _ in range(10)]
    assert [standing.remaining for standing in standings] == list(range(9, -1, -1))
    assert all(standing.allowed for standing in standings)
    assert standings[-1].after_s == pytest.approx(60)
    refused = rate.spend(ANN, 100.0)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert refused.after_s == pytest.approx(6)
    assert rate.spend(ANN, 105.9).allowed is False
    allowed = rate.spend(ANN, 106.0)
    assert (allowed.allowed, allowed.remaining) == (True, 0), "a refused request costs nothing"
    assert rate.spend(ANN, 118.0).remaining == 1
    assert rate.spend(ANN, 1000.0).remaining == 9


def test_one_principal_costs_another_nothing() -> None:
    rate = RateLimiter(1, 60)
    assert rate.spend(ANN, 0.0).allowed
    assert not rate.spend(ANN, 1.0).allowed
    assert rate.spend(BOB, 1.0).allowed


@pytest.mark.parametrize(("requests", "window_s"), [(1, 1), (3, 1), (7, 60), (6000, 60), (100, 7)])
def test_never_more_than_the_quota_in_any_window_beyond_the_first(requests: int, window_s: int) -> None:
    """Asked ten times as often as is allowed, for three windows: the first burst, then what comes back meanwhile."""
    rate = RateLimiter(requests, window_s)
    step_s = window_s / requests / 10
    allowed = sum(rate.spend(ANN, number * step_s).allowed for number in range(30 * requests))
    assert 4 * requests - 1 <= allowed <= 4 * requests


def test_idle_principals_are_forgotten() -> None:
    rate = RateLimiter(6000, 60)
    for number in range(20 * LEAST_SWEEP):
        rate.spend(Principal("t", str(number)), number * 1.0)
    assert rate.known <= LEAST_SWEEP


def test_those_that_are_not_idle_are_not() -> None:
    rate = RateLimiter(1, 1_000_000)
    names = [Principal("t", str(number)) for number in range(3 * LEAST_SWEEP)]
    assert all(rate.spend(name, 1.0).allowed for name in names)
    assert not any(rate.spend(name, 2.0).allowed for name in names)


def test_the_fields() -> None:
    rate = RateLimiter(100, 60)
    assert rate.policy == '"default";q=100;w=60'
    assert rate_field(rate.spend(ANN, 5.0)) == '"default";r=99;t=1'


def left(headers: Mapping[str, str]) -> int:
    match = re.fullmatch(r'"default";r=(\d+);t=(\d+)', headers["RateLimit"])
    assert match is not None, headers["RateLimit"]
    return int(match[1])


async def test_every_answer_tells_the_quota(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(gateway__rate_requests=5, gateway__rate_window_s=3600)
    async with client_of(gateway) as api:
        remaining = 5
        for path, status in (("/v1/jobs", 200), ("/v1/jobs/j00-x", 404), ("/v1/jobs?limit=0", 400)):
            async with api.get(path) as response:
                remaining -= 1
                assert (response.status, left(response.headers)) == (status, remaining)
                assert response.headers["RateLimit-Policy"] == '"default";q=5;w=3600'
        _, response = await post(api, REQUEST)
        assert left(response.headers) == 1
        async with api.head("/v1/jobs") as response:
            assert left(response.headers) == 0
        async with api.get("/v1/jobs") as response:
            problem = await response.json()
            assert (response.status, problem["code"]) == (429, "RATE_LIMITED")
            assert left(response.headers) == 0
            assert 720 <= int(response.headers["Retry-After"]) <= 722
            assert response.content_type == "application/problem+json"
        for path in ("/metrics", "/livez", "/readyz"):
            async with api.get(path) as response:
                assert response.status == 200
                assert "RateLimit" not in response.headers


async def test_streams_are_not_counted(start_gateway: StartGateway, open_stream: OpenStream) -> None:
    """An EventSource that gets 429 never comes back; who only says that it wants a stream is counted."""
    gateway = await start_gateway(gateway__rate_requests=2, gateway__rate_window_s=3600)
    async with client_of(gateway) as api:
        job, _ = await post(api, REQUEST)
        for _ in range(5):
            stream = await open_stream(gateway, job["id"])
            assert stream.status == 200
        accept = {"Accept": "text/event-stream"}
        async with api.get("/v1/jobs", headers=accept) as response:
            assert (response.status, left(response.headers)) == (200, 0)
        async with api.get("/v1/jobs", headers=accept) as response:
            assert response.status == 429
        stream = await open_stream(gateway, job["id"])
        assert stream.status == 200


async def test_a_wrong_key_costs_nobody(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(gateway__rate_requests=1, gateway__rate_window_s=3600)
    async with aiohttp.ClientSession(gateway.url) as anybody:
        for _ in range(5):
            async with anybody.get("/v1/jobs", headers={"Authorization": f"Bearer {KEY}x"}) as response:
                assert response.status == 401
                assert "RateLimit" not in response.headers
    async with client_of(gateway) as api, api.get("/v1/jobs") as response:
        assert response.status == 200


async def test_it_can_be_switched_off(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(gateway__rate_requests=0)
    async with client_of(gateway) as api, api.get("/v1/jobs") as response:
        assert (response.status, "RateLimit" in response.headers) == (200, False)
