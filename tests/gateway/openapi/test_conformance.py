"""Requests made from `/openapi.json` against a real gateway: no answer that it does not describe, and no 5xx.

schemathesis makes them: examples, bounds of every parameter and field, and what lies beyond; then random ones.
"""

import asyncio
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    positive_data_acceptance,
)

from actors.inboxes import LANES
from gateway.http.application import ROUTES
from gateway.openapi.document import build_document
from tests.conftest import RedisServer
from tests.gateway.conftest import KEY
from tests.gateway.openapi.population import FILE_NAME, populate

ROOT = Path(__file__).parents[3]
DESCRIBED = schemathesis.openapi.from_dict(build_document(ROUTES))
# The key is sent with every request, so to leave it out is no mistake that could be refused.
DESCRIBED.config.generation.with_security_parameters = False
KNOWN: dict[str, list[str]] = {"stage": list(LANES), "tenant": ["default"], "name": [FILE_NAME]}
"""What there is, by the name of the parameter that names it."""
BEYOND_SCHEMAS = {
    "INVALID_CURSOR", "IDEMPOTENCY_KEY_REUSED", "INVALID_IDEMPOTENCY_KEY", "INVALID_SOURCE", "QUALITY_INVALID",
    "ADDRESS_REFUSED", "UPLOAD_NOT_FOUND", "UPLOAD_EMPTY", "EVENTS_GONE", "JOB_GONE", "BAD_REQUEST",
    "PRECONDITION_FAILED", "UPGRADE_NEEDED", "RANGE_NOT_SATISFIABLE",
}  # fmt: skip
"""Codes of requests that fit their schemas: what a source, a cursor or a key is, and what is there."""
SHADOWED = ("/v1/admin/dead/replay", "/v1/admin/dead/purge", "/v1/admin/dead/count", "/v1/admin/dead/export")
"""They are also jobs by the form of `/v1/admin/dead/{job}`, so `Allow` has its methods as well."""


@pytest.fixture(scope="module")
def gateway_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("gateway")
    server = RedisServer()
    server.start()
    made = asyncio.run(populate(server.url, data / "storage"))
    KNOWN["job"] = [job for jobs in made.values() for job in jobs]
    process = start(data, server.url)
    try:
        url = f"http://127.0.0.1:{said(process)['port']}"
        said(process)
        KNOWN["upload"] = [upload(url) for _ in range(4)]
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=20)
        server.stop()


def start(data: Path, redis_url: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")} | {
        "REELWAY_REDIS_URL": redis_url,
        "REELWAY_PARTITIONS": "1",
        "REELWAY_DATA_DIR": str(data),
        "REELWAY_GATEWAY_KEY": KEY,
        "REELWAY_GATEWAY_PORT": "0",
        "REELWAY_GATEWAY_RATE_REQUESTS": "0",
        "PYTHONPATH": str(ROOT),
    }
    with (data / "gateway.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.gateway.gateway_process"], stdout=subprocess.PIPE, stderr=log, env=environment
        )


def said(process: subprocess.Popen[bytes]) -> Mapping[str, float]:
    assert process.stdout is not None
    while not (line := process.stdout.readline()).startswith(b"{"):
        assert line, "the gateway has ended"
    facts: Mapping[str, float] = json.loads(line)
    return facts


def upload(url: str) -> str:
    response = httpx.post(f"{url}/v1/uploads", content=b"abc", headers={"Authorization": f"Bearer {KEY}"})
    return str(response.json()["id"])


def prepare(case: schemathesis.Case[Any]) -> None:
    """Every other id is one that exists, and nothing waits long."""
    for name, value in case.path_parameters.items():
        known = KNOWN[name]
        place = zlib.crc32(str(value).encode()) % (2 * len(known))
        if place < len(known):
            case.path_parameters[name] = known[place]
    if "Prefer" in case.headers:
        case.headers["Prefer"] = "wait=0"
    if isinstance(case.body, dict):
        rate = case.body.get("rate")
        # `true` is an int as well, and must stay what it is: wrong.
        if isinstance(rate, float | int) and not isinstance(rate, bool) and 0.1 <= rate < 50:
            case.body["rate"] = 50


def check(case: schemathesis.Case[Any], url: str) -> None:
    prepare(case)
    response = case.call(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20)
    excluded: list[Any] = []
    if is_beyond_schemas(response):
        excluded.append(positive_data_acceptance)
    if response.status_code == 413:
        excluded.append(negative_data_rejection)  # it is rejected, but schemathesis does not know that this says so
    if case.operation.path in SHADOWED:
        excluded.append(allow_header_conformance)
    case.validate_response(response, excluded_checks=excluded)


def is_beyond_schemas(response: schemathesis.Response) -> bool:
    """Whether the request was refused for something that a schema cannot say."""
    if response.status_code < 400:
        return False
    if not response.content:
        return True  # a HEAD does not say for what
    problem = json.loads(response.content)
    if not problem["errors"]:
        return problem["code"] in BEYOND_SCHEMAS
    # How far ahead a time may be is said in words.
    return all(
        error.get("code") in BEYOND_SCHEMAS or error.get("pointer") == "/start_at" for error in problem["errors"]
    )


@DESCRIBED.parametrize()
@settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_described(case: schemathesis.Case[Any], gateway_url: str) -> None:
    check(case, gateway_url)


@pytest.mark.heavy
@pytest.mark.timeout(900)
@DESCRIBED.parametrize()
@settings(max_examples=400, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_and_with_many_more_requests(case: schemathesis.Case[Any], gateway_url: str) -> None:
    check(case, gateway_url)
