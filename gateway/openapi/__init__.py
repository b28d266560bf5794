"""The description of the interface: what every route says of itself, as an OpenAPI document and as a page."""
