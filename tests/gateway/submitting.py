"""Submitting jobs over HTTP."""

import json
from typing import Any

import aiohttp

REQUEST = {"source": "https://media.example/clip.mp4", "format": "mp3"}


async def post(
    api: aiohttp.ClientSession, body: object, status: int = 202, key: str | None = None
) -> tuple[dict[str, Any], aiohttp.ClientResponse]:
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key is not None else {})
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    async with api.post("/v1/jobs", headers=headers, data=data) as response:
        document = await response.json(content_type=None)
        assert response.status == status, document
        return document, response
