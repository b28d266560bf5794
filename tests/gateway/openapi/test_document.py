"""`/openapi.json` is a valid OpenAPI document, and says what the handlers do."""

from itertools import chain
from typing import Any

import aiohttp
import msgspec
import openapi_spec_validator
import pytest

from actors.media.errors import error_table
from gateway.http.application import ROUTES
from gateway.http.fields import fields_of
from gateway.http.middleware import OPEN_PATHS
from gateway.http.problems import KINDS, MEDIA_TYPE, OF_EVERY_REQUEST, type_of
from gateway.http.route import Route
from gateway.http.service import GatewayService
from gateway.openapi.document import TAGS
from tests.gateway.openapi.reach import reach
from tests.gateway.openapi.validity import DOCUMENT, errors_of

CANNOT = {
    ("submitJob", "JOB_NOT_FOUND"): "the id was made by the call before",
    ("readAllEvents", 204): "a tenant's events have no end",
    ("submitJob", 304): "nothing is compared with If-None-Match",
    ("cancelJob", 304): "nothing is compared with If-None-Match",
    ("retryJob", 304): "nothing is compared with If-None-Match",
}
"""What a handler reaches in functions that it shares, and why it cannot end so."""


def operations() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


async def test_it_is_served_without_a_key(gateway: GatewayService) -> None:
    async with aiohttp.ClientSession(gateway.url) as anybody, anybody.get("/openapi.json") as response:
        assert (response.status, response.content_type) == (200, "application/json")
        served = await response.json()
    assert served == DOCUMENT
    openapi_spec_validator.validate(served)
    assert served["openapi"].startswith("3.1")


def test_every_route_is_in_it_and_nothing_else() -> None:
    listed = {name for name, _ in operations()}
    assert listed == {f"{route.method} {route.path}" for route in ROUTES}
    names = [operation["operationId"] for _, operation in operations()]
    assert len(set(names)) == len(names)
    assert {tag for _, operation in operations() for tag in operation["tags"]} == set(TAGS)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_an_operation_says_what_its_handler_answers(route: Route) -> None:
    """Both ways: no problem and no status that the handler cannot give, and none left out."""
    operation, found = route.operation, reach(route.handler)
    cannot = {what for name, what in CANNOT if name == operation.name}
    common = {*OF_EVERY_REQUEST, "UNAUTHORIZED"}
    assert {*operation.problems, *operation.within} == found.problems - common - cannot
    assert set(operation.refusals) == found.refusals
    documented = {answer.status for answer in operation.answers}
    certain = {status for status in found.statuses if status < 400}
    assert certain - cannot <= documented
    assert documented - {101, 200} <= found.numbers


def test_exceptions_of_that_are_needed() -> None:
    for name, what in CANNOT:
        route = next(route for route in ROUTES if route.operation.name == name)
        found = reach(route.handler)
        assert what in found.problems | found.statuses, (name, what)


def test_paths_and_keys_are_those_of_the_gateway() -> None:
    for route in ROUTES:
        assert (route.operation.key == "none") == (route.path in OPEN_PATHS), route.path
        named = {each.name for each in route.operation.path}
        assert named == {part.strip("{}") for part in route.path.split("/") if part.startswith("{")}, route.path
        assert route.method != "HEAD" or route.operation in [
            other.operation for other in ROUTES if (other.method, other.path) == ("GET", route.path)
        ]


def test_every_code_is_known_and_every_problem_can_happen() -> None:
    for route in ROUTES:
        assert set(route.operation.problems) <= set(KINDS)
        assert set(route.operation.refusals) <= {rule.code for rule in error_table()}
    said = {code for route in ROUTES for code in (*route.operation.problems, *route.operation.within)}
    of_the_server = {
        "ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED", "REQUEST_FAILED", "UNAUTHORIZED", "NOT_SERVED_HERE", "RATE_LIMITED",
        *OF_EVERY_REQUEST,
    }  # fmt: skip
    assert said == set(KINDS) - of_the_server
    listed = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert set(listed) == set(KINDS) | {code for route in ROUTES for code in route.operation.refusals}


def test_every_problem_has_an_example() -> None:
    examples = DOCUMENT["components"]["examples"]
    for name, operation in operations():
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get(MEDIA_TYPE)
            if content is None:
                assert int(status) < 400 or name.startswith("HEAD") or name == "GET /readyz", (name, status)
                continue
            shown = [
                examples[each["$ref"].removeprefix("#/components/examples/")]["value"]
                for each in content["examples"].values()
            ]
            assert sorted(each["code"] for each in shown) == content["schema"]["properties"]["code"]["enum"]
            for value in shown:
                assert value["status"] == int(status)
                assert value["type"] == type_of(value["code"])
                assert errors_of(content["schema"], value) == []


def test_every_example_is_valid() -> None:
    count = 0
    for name, operation in operations():
        contents = [response.get("content", {}) for response in operation["responses"].values()]
        contents.append(operation.get("requestBody", {}).get("content", {}))
        for media_type, content in chain.from_iterable(each.items() for each in contents):
            for title, example in content.get("examples", {}).items():
                if media_type != MEDIA_TYPE:
                    assert errors_of(content["schema"], example["value"]) == [], (name, title)
                    count += 1
        for parameter in operation.get("parameters", ()):
            if "example" in parameter:
                assert errors_of(parameter["schema"], parameter["example"]) == [], (name, parameter["name"])
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, inner in schema.get("properties", {}).items():
            for example in inner.get("examples", ()):
                assert errors_of(inner, example) == [], (name, field)
    assert count > 30


def test_what_a_client_sends_and_reads_has_an_example() -> None:
    for name, operation in operations():
        contents = {
            **operation.get("requestBody", {}).get("content", {}),
            **{
                media_type: content
                for response in operation["responses"].values()
                for media_type, content in response.get("content", {}).items()
            },
        }
        for media_type, content in contents.items():
            if "$ref" in content.get("schema", {}):
                assert content["examples"], (name, media_type)


def test_every_field_of_a_request_says_what_it_must_be() -> None:
    asked = [route.operation.query for route in ROUTES] + [
        route.operation.body.content.type for route in ROUTES if route.operation.body is not None
    ]
    count = 0
    for annotation in asked:
        kind = getattr(annotation, "__origin__", annotation)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            for field in fields_of(kind).values():
                assert field.expected, f"{kind.__name__}.{field.name}"
                count += 1
    assert count > 30
