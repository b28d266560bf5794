"""The description of this gateway, and whether a value is what it says."""

from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from gateway.http.application import ROUTES
from gateway.openapi.document import build_document

DOCUMENT = build_document(ROUTES)
_REF = "#/components/schemas/"


def errors_of(schema: dict[str, Any], value: object) -> list[str]:
    """Why the value does not fit."""
    validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]}, format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(value)]


def undescribed(schema: dict[str, Any], value: object, at: str = "") -> list[str]:
    """The members of objects that the schema says nothing of."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].removeprefix(_REF)]
    if "anyOf" in schema:
        schema = next((each for each in schema["anyOf"] if not errors_of(each, value)), {})
        return undescribed(schema, value, at)
    if isinstance(value, list):
        return [
            name for number, each in enumerate(value) for name in undescribed(schema["items"], each, f"{at}/{number}")
        ]
    if not isinstance(value, dict) or "additionalProperties" in schema:
        return []
    known = schema.get("properties", {})
    inner = [name for each in value if each in known for name in undescribed(known[each], value[each], f"{at}/{each}")]
    return [f"{at}/{each}" for each in value if each not in known] + inner
