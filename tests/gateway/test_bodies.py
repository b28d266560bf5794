"""What people and programs get wrong in a request: told clearly, and never an error of the server."""

import json
import random
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from tests.gateway.submitting import REQUEST, post

TEXT = json.dumps(REQUEST)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"[1]", "a list, not a JSON object"),
        (b'"text"', "a text, not a JSON object"),
        (b"12", "a number, not a JSON object"),
        (b"true", "true or false, not a JSON object"),
        (b"null", "null, not a JSON object"),
        (b'{"source" 1}', "expected ':' (byte 10)"),
        (b'{"source": NaN}', "invalid character (byte 11)"),
        (b'{"source": Infinity}', "invalid character (byte 11)"),
        (b'{"source": "a"', "it ends too early"),
        (b'{"deadline_s": 1e400}', "a number is too large"),
        (b'{"deadline_s": ' + b"9" * 5000 + b"}", "a number is too large"),
        (b'{"source": "\xff"}', "it is not encoded in UTF-8"),
        ('{"source": "ü"}'.encode("latin-1"), "it is not encoded in UTF-8"),
        ('{"source": "a"}'.encode("utf-16"), "invalid character (byte 0)"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "invalid character (byte 0)"),
        (b'{"a":' * 20_000, "it is nested too deeply"),
        (TEXT.encode() + b"x", "trailing characters"),
    ],
)
async def test_what_is_no_json_object(api: aiohttp.ClientSession, body: bytes, said: str) -> None:
    problem, _ = await post(api, body, 400)
    assert problem["code"] == "INVALID_JSON"
    assert said in problem["detail"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ('{"source": "a", "format": "mp3", "source": "b"}', ["/source"]),
        ('{"source": "a", "source": "a", "source": "a", "x/~": 1, "x/~": 2}', ["/source", "/x~1~0"]),
        ('{"metadata": {"a": "1", "b": "2", "a": "3"}}', ["/metadata/a"]),
        ('{"source": [{"a": 1, "a": 2}]}', ["/source/0/a"]),
    ],
)
async def test_a_member_that_stands_twice(api: aiohttp.ClientSession, body: str, pointers: list[str]) -> None:
    """Whoever checked the first and whoever reads the last would not mean the same job."""
    problem, _ = await post(api, body, 422)
    assert problem["code"] == "INVALID_REQUEST"
    assert [error["pointer"] for error in problem["errors"]] == pointers


@pytest.mark.parametrize("depth", [10, 100, 200, 300, 500, 800, 900, 950, 990])
async def test_members_that_stand_twice_far_inside(api: aiohttp.ClientSession, depth: int) -> None:
    body = '{"a":' * depth + '{"b": 1, "b": 2}' + "}" * depth
    async with api.post("/v1/jobs", data=body.encode()) as response:
        problem = await response.json()
        assert (response.status, problem["code"]) in ((422, "INVALID_REQUEST"), (400, "INVALID_JSON")), problem


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (None, 202),
        ("application/json; charset=utf-8", 202),
        ("APPLICATION/JSON", 202),
        ("application/merge-patch+json", 202),
        ("application/x-www-form-urlencoded", 202),  # what curl -d says
        ("application/xml", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/html", 415),
    ],
)
async def test_the_type_of_a_body(api: aiohttp.ClientSession, kind: str | None, status: int) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    skipped = ("Content-Type",) if kind is None else ()
    async with api.post("/v1/jobs", data=TEXT.encode(), headers=headers, skip_auto_headers=skipped) as response:
        document = await response.json(content_type=None)
        assert response.status == status, document
    if status == 415:
        assert document["code"] == "UNSUPPORTED_TYPE"
        assert "application/json" in document["suggestion"]


@pytest.mark.parametrize(
    "text", ["a\x00b", "\u202e", "😀" * 10, "ä" * 64, "\n", "'; DROP TABLE jobs; --", "{p00}", "%s%n"]
)
async def test_texts_come_back_as_they_were(api: aiohttp.ClientSession, text: str) -> None:
    job, _ = await post(api, REQUEST | {"tags": [text], "metadata": {text: text}})
    async with api.get(f"/v1/jobs/{job['id']}") as response:
        document = await response.json()
    assert (document["tags"], document["metadata"]) == ([text], {text: text})
    async with api.get("/v1/jobs", params={"tag": text}) as response:
        assert [row["id"] for row in (await response.json())["jobs"]] == [job["id"]]


def _odd(draw: random.Random, depth: int = 0) -> Any:
    """A value that somebody might send by mistake or on purpose."""
    plain = [
        None, True, 0, -1, 1.5, 2**63, 10**30, -0.0, 1e308, "", "mp3", "x" * 300, "\x00", "\ud7ff", "http://[", "http://a:b:c/",
        "https://a.example:99999/x", "upload:", "upload:" + "/" * 9, "2026-13-01T00:00:00Z", "0000-00-00T00:00:00Z",
        "9999-12-31T23:59:59+00:00", "1e9", "\u2028",
    ]  # fmt: skip
    if depth < 3 and draw.random() < 0.3:
        many = [_odd(draw, depth + 1) for _ in range(draw.randrange(4))]
        return many if draw.random() < 0.5 else {str(number): value for number, value in enumerate(many)}
    return draw.choice(plain)


async def test_odd_values_are_no_errors_of_the_server(api: aiohttp.ClientSession) -> None:
    draw = random.Random(6)
    names = [
        "source", "format", "quality", "name", "tags", "metadata", "cache", "priority", "deadline_s", "start_at",
        "delay_s", "on_child_failure", "colour",
    ]  # fmt: skip
    for _ in range(600):
        body = REQUEST | {name: _odd(draw) for name in draw.sample(names, draw.randrange(1, 5))}
        async with api.post("/v1/jobs", data=json.dumps(body).encode()) as response:
            document = await response.json(content_type=None)
            assert response.status in (202, 400, 413, 422), (body, document)
            if response.status == 422:
                assert all(error["pointer"].startswith("/") and error["detail"] for error in document["errors"])


async def test_broken_bytes_are_no_errors_of_the_server(api: aiohttp.ClientSession) -> None:
    draw = random.Random(7)
    text = json.dumps(
        REQUEST | {"tags": ["ü", "a"], "metadata": {"k": "v"}, "deadline_s": 12.5}, ensure_ascii=False
    ).encode()
    for _ in range(600):
        body = bytearray(text)
        for _ in range(draw.randrange(1, 4)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        async with api.post("/v1/jobs", data=bytes(body)) as response:
            document = await response.json(content_type=None)
            assert response.status in (202, 400, 422), (bytes(body), document)


ODD_NAMES = [
    "x", "j", "j00", "j00-", "j00-x", "j00-x.1", "j00-..", "j0٠-x", "j99-x", "jj00-x", "J00-X", "j00-" + "x" * 3000,
    "j00-\x00", "j00-ü", "j00-*", "j00-{a}", "j00- ", "j00-\n", "%", "j00-a/b",
    "j00-01jd0000000000000000000000.1.2.3.4",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_ids_are_no_errors_of_the_server(api: aiohttp.ClientSession, name: str) -> None:
    path = f"/v1/jobs/{quote(name, safe='')}"
    calls = [
        ("GET", ""),
        ("HEAD", ""),
        ("DELETE", ""),
        ("POST", "/retry"),
        ("POST", "/cancel"),
        ("GET", "/events"),
        ("GET", "/outputs"),
    ]
    for method, rest in calls:
        async with api.request(method, URL(path + rest, encoded=True)) as response:
            assert response.status in (204, 404, 405, 400), (method, rest, await response.text())
            assert response.status != 204 or method == "DELETE"
    async with api.get("/v1/jobs", params={"parent": name}) as response:
        assert response.status == 404
    for parameter in ("cursor", "state", "limit"):
        async with api.get("/v1/jobs", params={parameter: name}) as response:
            assert response.status == 400, (parameter, await response.text())


@pytest.mark.parametrize("cursor", ["1-x", "0-", "-1-x", "1-\x00", "9" * 400 + "-x", "1-" + "ü" * 99, "1e5-x", "٣-x"])
async def test_odd_cursors_are_no_errors_of_the_server(api: aiohttp.ClientSession, cursor: str) -> None:
    await post(api, REQUEST)
    async with api.get("/v1/jobs", params={"cursor": cursor}) as response:
        assert response.status in (200, 400), await response.text()
