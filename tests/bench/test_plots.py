"""Pictures: one file a plot, the same bytes for the same figures, and nothing stale is left."""

import importlib.util
from pathlib import Path

import pytest

from bench import plots
from bench.findings import Plot, Series

NAMES = ("reelway", "a system with a long name")
BARS = Plot("bars", "Bars", "bars", "", "chains/s", (Series("everysec", NAMES, (2.0, 1.0), (1.5, 0.5), (2.5, 1.5)),))
GROUPS = Plot(
    "groups", "Groups", "bars", "", "s", (Series("a", ("x",), (1.0,)), Series("b", ("x",), (2.0,))), limit=3.0
)
LINES = Plot(
    "lines", "Lines", "lines", "waiting", "µs", (Series("take", (10.0, 1000.0), (3.0, 4.0), (2.0, 3.0), (4.0, 5.0)),),
    log_x=True, log_y=True,
)  # fmt: skip
PERCENTILES = Plot(
    "percentiles", "Times", "percentiles", "", "ms", (Series("reelway", (50.0, 99.0, 100.0), (1, 2, 9)),)
)
ALL = (BARS, GROUPS, LINES, PERCENTILES)
needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="no extra `bench`")


@needs_matplotlib
def test_every_kind_is_drawn_and_always_the_same(tmp_path: Path) -> None:
    assert plots.draw_all(ALL, tmp_path) == {"bars", "groups", "lines", "percentiles"}
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    plots.draw_all(ALL, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert max(map(len, first.values())) < 60_000


@needs_matplotlib
def test_a_picture_holds_its_words_and_no_date(tmp_path: Path) -> None:
    plots.draw(BARS, tmp_path / "bars.svg")
    picture = (tmp_path / "bars.svg").read_text("utf-8")
    for word in ("reelway", "a system with a long name", "chains/s", plots.OURS_COLOUR, plots.TEXT):
        assert word in picture
    assert "<dc:date>" not in picture


@needs_matplotlib
def test_a_picture_that_is_not_wanted_any_more_is_removed(tmp_path: Path) -> None:
    plots.draw_all(ALL, tmp_path)
    plots.draw_all([BARS], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bars.svg"]


def test_without_matplotlib_there_are_no_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "is_available", lambda: False)
    (tmp_path / "stale.svg").touch()
    assert plots.draw_all(ALL, tmp_path) == set()
    assert not list(tmp_path.iterdir())
