"""The description as one page of HTML: no script, nothing from elsewhere, light and dark, on phones too. Pure."""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from importlib import resources
from typing import Any

from gateway.openapi.markup import block, code, folded, link, paragraphs, rows, text
from gateway.openapi.wording import property_of, type_of

STYLE = resources.files(__package__).joinpath("page.css").read_text("utf-8")
_DIGEST = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy under which the page works: nothing but its own style."""
_PROBLEM = "application/problem+json"
_KEYS = ("no key needed", "", "the key may come later")


def build_page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document of this gateway."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    by_tag = _by_tag(document)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}: the HTTP interface</title><link rel="icon" href="data:,"><style>{STYLE}</style></head><body>'
        f"<header><h1>{title}</h1>{paragraphs(info['description'])}"
        f"<p>{text(document['components']['securitySchemes']['key']['description'])} "
        f'The same for programs: <a href="/openapi.json">/openapi.json</a>.</p></header>'
        f"<nav>{_contents(by_tag)}</nav><main>"
        + "".join(_tag(tag, by_tag[tag["name"]], document) for tag in document["tags"])
        + _problems(document["components"]["examples"])
        + _schemas(document["components"]["schemas"])
        + "</main></body></html>"
    )


def _by_tag(document: dict[str, Any]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            # A HEAD is a GET without its body, which nobody looks up.
            if method != "head":
                found[operation["tags"][0]].append((method.upper(), path, operation))
    return found


def _contents(by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]]) -> str:
    lists = (
        f"<h2>{link(_anchor(tag), tag)}</h2><ul>"
        + "".join(f"<li>{link(operation['operationId'], operation['summary'])}</li>" for _, _, operation in operations)
        + "</ul>"
        for tag, operations in by_tag.items()
    )
    return "".join(lists) + f"<h2>{link('problems', 'Problems')}</h2><h2>{link('schemas', 'Schemas')}</h2>"


def _tag(tag: dict[str, str], operations: list[tuple[str, str, dict[str, Any]]], document: dict[str, Any]) -> str:
    head = f'<section id="{_anchor(tag["name"])}"><h2>{escape(tag["name"])}</h2>{paragraphs(tag["description"])}'
    return head + "".join(_operation(*each, document) for each in operations) + "</section>"


def _operation(method: str, path: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    also = ", HEAD" if method == "GET" and "head" in document["paths"][path] else ""
    parts = [
        f'<article id="{operation["operationId"]}"><h3>{text(operation["summary"])}</h3>',
        f'<p class="route"><b class="{method.lower()}">{method}{also}</b> {code(path)}'
        + ("" if operation.get("security") is None else f" <i>{_KEYS[len(operation['security'])]}</i>")
        + "</p>",
        paragraphs(operation.get("description", "")),
    ]
    if parameters := operation.get("parameters"):
        pairs = [(f"{code(each['name'])} <i>{each['in']}</i>", _parameter(each)) for each in parameters]
        parts.append(f"<h4>Parameters</h4>{rows(pairs)}")
    if body := operation.get("requestBody"):
        needed = "" if body["required"] else " <i>may be left out</i>"
        parts.append(f"<h4>Body{needed}</h4>{''.join(_contents_of(body['content']))}")
    parts.append(f"<h4>Answers</h4>{''.join(_answers(operation['responses']))}")
    for who, messages in operation.get("x-messages", {}).items():
        said = rows([(code(op), type_of(schema)) for op, schema in messages.items()])
        parts.append(f"<h4>What the {who} says, by its <code>op</code></h4>{said}")
    return "".join(parts) + "</article>"


def _parameter(parameter: dict[str, Any]) -> str:
    said = property_of({**parameter["schema"], "description": parameter.get("description", "")}).removesuffix(" · ")
    return f"{said} · for example {code(parameter['example'])}" if "example" in parameter else said


def _answers(responses: dict[str, Any]) -> Iterator[str]:
    for status, response in responses.items():
        content = response.get("content", {})
        headers = [name for name in response.get("headers", {}) if "$ref" not in response["headers"][name]]
        said = "" if set(content) == {_PROBLEM} else text(response["description"])
        with_headers = f" <i>{escape(', '.join(headers))}</i> " if headers else ""
        yield f'<div class="answer"><b>{status}</b> {said} {with_headers}{"".join(_contents_of(content))}</div>'


def _contents_of(content: dict[str, Any]) -> Iterator[str]:
    for media_type, media in content.items():
        if media_type == _PROBLEM:
            codes = media["schema"]["properties"]["code"]["enum"]
            yield " ".join(_problem_link(each, media["examples"]) for each in codes)
            continue
        shown = f" {type_of(media['schema'])}" if media.get("schema", {}).get("$ref") else ""
        yield f"<p>{code(media_type)}{shown}</p>"
        if events := media.get("x-events"):
            yield rows([(code(name), type_of(schema)) for name, schema in events.items()])
        for name, example in media.get("examples", {}).items():
            yield folded(f"Example: {text(name)}", block(example["value"]))


def _problem_link(problem: str, examples: dict[str, Any]) -> str:
    return link(f"problem-{problem if problem in examples else f'{problem}.field'}", problem)


def _problems(examples: dict[str, Any]) -> str:
    parts = ['<section id="problems"><h2>Problems</h2>']
    for name, example in examples.items():
        value = example["value"]
        head = f"{code(value['code'])} <b>{value['status']}</b> {text(value['detail'])}"
        parts.append(f'<div id="problem-{name}">{folded(head, block(value))}</div>')
    return "".join(parts) + "</section>"


def _schemas(schemas: dict[str, Any]) -> str:
    parts = ['<section id="schemas"><h2>Schemas</h2>']
    for name, schema in schemas.items():
        needed = schema.get("required", ())
        pairs = [
            (f"{code(field)}{'' if field in needed else ' <i>optional</i>'}", property_of(inner))
            for field, inner in schema.get("properties", {}).items()
        ]
        shown = paragraphs(schema.get("description", "")) + (rows(pairs) or f"<p>{type_of(schema)}</p>")
        parts.append(f'<article id="schema-{name}"><h3>{escape(name)}</h3>{shown}</article>')
    return "".join(parts) + "</section>"


def _anchor(tag: str) -> str:
    return f"tag-{tag.lower().replace(' ', '-')}"
