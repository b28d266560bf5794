"""JSON Schemas of the types that operations name, collected as components."""

from typing import Annotated, Any, get_args, get_origin

import msgspec

from gateway.http.fields import Field, fields_of, present

_REF = "#/components/schemas/"
_SUFFIX = "Document"
"""`JobDocument` renders a job; its schema is called `Job`."""


class Schemas:
    """The schemas so far. Each struct becomes one component, under its own name."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}

    def of(self, annotation: Any) -> dict[str, Any]:
        """The schema of a type; of a struct a reference. Raises ValueError when two structs have one name."""
        (schema,), found = msgspec.json.schema_components([annotation], ref_template=_REF + "{name}")
        for name, component in found.items():
            renamed = _renamed(component)
            if self.components.setdefault(_short(name), renamed) != renamed:
                raise ValueError(f"two types are called {_short(name)}")
        shown: dict[str, Any] = _renamed(schema)
        return shown

    def of_parameter(self, name: str, where: str, annotation: Any, *, required: bool) -> dict[str, Any]:
        """A parameter: description and example beside its schema."""
        schema = self.of(annotation)
        described = {"name": name, "in": where, "required": required}
        if "description" in schema:
            described["description"] = schema.pop("description")
        if "examples" in schema:
            described["example"] = schema.pop("examples")[0]
        return described | {"schema": schema}

    def of_query(self, kind: type[msgspec.Struct]) -> list[dict[str, Any]]:
        """The parameters that a struct declares."""
        defaults = {field.encode_name: field.default for field in msgspec.structs.fields(kind)}
        return [self._query_parameter(field, defaults[field.name]) for field in fields_of(kind).values()]

    def _query_parameter(self, field: Field, default: object) -> dict[str, Any]:
        described = self.of_parameter(field.name, "query", _flat(field.annotation), required=field.required)
        if default not in (None, "", msgspec.UNSET, msgspec.NODEFAULT):
            described["schema"]["default"] = default
        return described


def _flat(annotation: Any) -> Any:
    """The type of a value that is there, its annotations side by side."""
    shown = present(annotation)
    if get_origin(shown) is not Annotated:
        return shown
    inner, *outer = get_args(shown)
    return Annotated[(_flat(inner), *outer)]


def _renamed(schema: Any) -> Any:
    """The schema with the short names in its references and titles."""
    if isinstance(schema, list):
        return [_renamed(item) for item in schema]
    if not isinstance(schema, dict):
        return _short_ref(schema) if isinstance(schema, str) else schema
    return {
        name: _short(value) if name == "title" and isinstance(value, str) else _renamed(value)
        for name, value in schema.items()
    }


def _short(name: str) -> str:
    return name.removesuffix(_SUFFIX)


def _short_ref(text: str) -> str:
    return _short(text) if text.startswith(_REF) else text
