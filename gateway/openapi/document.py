"""The OpenAPI 3.1 document. Pure: routes in, document out."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actors.version import installed_version
from gateway.http.problems import ProblemDocument
from gateway.http.rate import RATE_LIMIT, RATE_LIMIT_POLICY
from gateway.http.route import Route
from gateway.openapi.operation import Answer, Content, Parameter, header
from gateway.openapi.problems import (
    codes_of,
    content_of,
    every_code,
    example_name,
    example_of,
    headers_of,
    is_counted,
    meaning_of,
)
from gateway.openapi.schemas import Schemas

OPENAPI = "3.1.0"
ABOUT = """Media jobs: submit an address or a file, watch live progress, download a verified result.

Names are snake_case, sizes `*_bytes`, durations `*_s`, times RFC 3339 (UTC, milliseconds). Lists are paged: `next` of a
page is the `cursor` of the one behind it, null on the last. Every answer has `X-Request-Id`; a client's own one (8 to
64 letters, digits, `.`, `_`, `-`) is kept. Everything that is not a success is a problem (RFC 9457) with a stable
`code`; bad input names every wrong field at once."""
TAGS = {
    "Jobs": "One unit of work that a client asked for.",
    "Events": "What happens to jobs, live or as a timeline.",
    "Outputs": "The files that a job made.",
    "Uploads": "Files from the client's disk, as sources of jobs.",
    "Dead letters": "Jobs that failed for good. Sees every tenant.",
    "Administration": "Workers, stages and tenants. Sees every tenant.",
    "Health": "For supervisors, monitoring, and people who read this.",
}
_LICENSE = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
_REQUEST_ID = header("X-Request-Id", "Names the request in the server's log.", example="req-3f9a1c22b07d4e51")
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "`Authorization: Bearer rw_…`. The key is `gateway.key`, or the one that was generated into "
    "`<data_dir>/gateway.key` at the first start.",
}


def build_document(routes: Sequence[Route]) -> dict[str, Any]:
    """The description of these routes. Raises ValueError when two types or two operations have one name."""
    schemas = Schemas()
    schemas.of(ProblemDocument)
    operations = list({route.operation.name: route.operation for route in routes}.values())
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    schemas.components["Problem"]["properties"]["code"]["enum"] = every_code(operations)
    document: dict[str, Any] = {
        "openapi": OPENAPI,
        "info": {
            "title": "Reelway",
            "version": installed_version(),
            "description": ABOUT,
            "license": _LICENSE,
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": _KEY},
            "headers": _headers((_REQUEST_ID, RATE_LIMIT, RATE_LIMIT_POLICY), schemas),
            "examples": _problem_examples(routes),
            "schemas": dict(sorted(schemas.components.items())),
        },
    }
    # As a client reads it: defaults such as () are lists.
    return msgspec.json.decode(msgspec.json.encode(document), type=dict[str, Any])


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    operation, head = route.operation, route.method == "HEAD"
    described: dict[str, Any] = {
        "operationId": _head_name(operation.name) if head else operation.name,
        "tags": [operation.tag],
        "summary": f"{operation.summary}, the headers only" if head else operation.summary,
    }
    if operation.description and not head:
        described["description"] = operation.description
    parameters = [
        schemas.of_parameter(each.name, each.where, each.type, required=each.where == "path")
        for each in (*operation.path, *operation.headers)
    ]
    if operation.query is not None:
        parameters += schemas.of_query(operation.query)
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content = operation.body.content
        described["requestBody"] = {
            "required": operation.body.required,
            "content": {content.media_type: _content(content, schemas)},
        }
    described["responses"] = _responses(route, schemas, head=head)
    if operation.messages:
        described["x-messages"] = {
            who: {op: schemas.of(kind) for op, kind in kinds.items()} for who, kinds in operation.messages.items()
        }
    if operation.key != "needed":
        described["security"] = [] if operation.key == "none" else [{"key": []}, {}]
    return described


def _responses(route: Route, schemas: Schemas, *, head: bool) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for answer in route.operation.answers:
        responses[str(answer.status)] = _answer(answer, schemas, head=head)
    for status, codes in codes_of(route).items():
        names = [example_name(status, code) for code in codes]
        meanings = " ".join(f"`{code}`: {meaning_of(status, code)}" for code in codes)
        response = responses.setdefault(str(status), {"description": meanings, "headers": {}})
        response["headers"] |= _headers(headers_of(codes), schemas)
        if not head:
            response.setdefault("content", {}).update(content_of(codes, names))
    common = {name: {"$ref": f"#/components/headers/{name}"} for name in _common_headers(route)}
    for response in responses.values():
        response["headers"] = common | response["headers"]
    return dict(sorted(responses.items()))


def _answer(answer: Answer, schemas: Schemas, *, head: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description, "headers": _headers(answer.headers, schemas)}
    if answer.contents and not head:
        described["content"] = {content.media_type: _content(content, schemas) for content in answer.contents}
    return described


def _content(content: Content, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {}
    if content.type is not None:
        described["schema"] = schemas.of(content.type)
    if content.examples:
        described["examples"] = {
            name: {"value": msgspec.json.decode(msgspec.json.encode(value))} for name, value in content.examples.items()
        }
    if content.events:
        described["x-events"] = {name: schemas.of(kind) for name, kind in content.events.items()}
    return described


def _headers(headers: Iterable[Parameter], schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for each in headers:
        known = schemas.of_parameter(each.name, "header", each.type, required=False)
        described[each.name] = {name: known[name] for name in ("description", "example", "schema") if name in known}
    return described


def _common_headers(route: Route) -> list[str]:
    return [each.name for each in (_REQUEST_ID, *((RATE_LIMIT, RATE_LIMIT_POLICY) if is_counted(route) else ()))]


def _problem_examples(routes: Iterable[Route]) -> dict[str, Any]:
    found = {
        example_name(status, code): example_of(status, code)
        for route in routes
        for status, codes in codes_of(route).items()
        for code in codes
    }
    return dict(sorted(found.items()))


def _head_name(name: str) -> str:
    return f"{name}Head"
