"""JSON Schemas in words, as HTML."""

from typing import Any

from gateway.openapi.markup import code, link, text

_REF = "#/components/schemas/"
_TIMES = {"date-time": "time"}
_BOUNDS = {
    "minimum": "from {}",
    "maximum": "to {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "pattern": "matches {}",
}


def type_of(schema: dict[str, Any]) -> str:
    """What a value of this schema is."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return link(f"schema-{name}", name)
    if "enum" in schema:
        return " | ".join(code(str(choice)) for choice in schema["enum"])
    if "const" in schema:
        return code(str(schema["const"]))
    if "anyOf" in schema:
        return " or ".join(type_of(choice) for choice in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items') or {})}{_bounds(schema)}"
    kind = _TIMES.get(schema.get("format", ""), schema.get("type", "anything"))
    return f"{text(str(kind))}{_bounds(schema)}"


def property_of(schema: dict[str, Any]) -> str:
    """What a property or a parameter is: its type, its meaning, its default."""
    said = [type_of(schema)]
    if schema.get("default") not in (None, "", [], {}):
        said.append(f"default {code(str(schema['default']))}")
    if "description" in schema:
        said.append(text(schema["description"]))
    return " · ".join(said)


def _bounds(schema: dict[str, Any]) -> str:
    said = [words.format(code(str(schema[name]))) for name, words in _BOUNDS.items() if name in schema]
    return f", {' '.join(said)}" if said else ""
