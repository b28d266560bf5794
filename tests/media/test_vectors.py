"""Runs the shared cases (tests/vectors/media) through Python; the native program runs them as well."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.failures import TablePolicy
from actors.kernel import Transient
from actors.media import task
from actors.media.errors import MediaError, error_table

VECTORS = Path(__file__).parents[1] / "vectors" / "media"


def cases(name: str) -> list[Any]:
    loaded: list[Any] = json.loads((VECTORS / name).read_text())
    return loaded


@pytest.mark.parametrize("case", cases("messages.json"), ids=lambda case: case["code"])
def test_messages(case: dict[str, Any]) -> None:
    assert error_table().code_for_ffmpeg(case["text"]) == case["code"]


@pytest.mark.parametrize("case", cases("decisions.json"), ids=lambda case: f"{case['code']}-{case['attempt']}")
def test_decisions(case: dict[str, Any]) -> None:
    failure = _failure(case["code"])
    least_ms, most_ms = case["delay_ms"]
    for _ in range(20):
        decided = TablePolicy({"transcode": case["budget"]}).decide("transcode", case["attempt"], failure)
        assert decided.cls == case["class"]
        assert least_ms <= decided.delay_ms <= most_ms
        assert decided.budget == case["budget_decided"]
        assert case["error"].items() <= json.loads(decided.error).items()
        assert case["reason"].items() <= json.loads(decided.reason).items()


def _failure(code: str) -> Exception:
    from actors.failures import _as_failure

    return _as_failure(MediaError(code)) if code in error_table() else Transient(code)


@pytest.mark.parametrize("case", cases("bodies.json"), ids=lambda case: case["name"])
def test_bodies(case: dict[str, Any]) -> None:
    kind = getattr(task, case["body"])
    wire = json.dumps(case["wire"]).encode()
    if case["valid"]:
        read = task.decode(kind, wire)
        assert task.decode(kind, task.encode(read)) == read
    else:
        with pytest.raises(msgspec.ValidationError):
            task.decode(kind, wire)
