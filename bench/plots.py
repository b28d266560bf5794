"""Plots as SVG files: the same bytes for the same figures, small, readable on a white page and on a dark one."""

import importlib.util
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.context import OURS
from bench.findings import Plot, Series

TEXT = "#768390"
"""Has enough contrast on white and on black; so have the colours."""
OURS_COLOUR = "#e5534b"
COLOURS = ("#4184e4", "#46954a", "#ae7c14", "#986ee2", "#c96198", "#1b9aaa")
DASHES = ("-", "--", "-.", ":")
MANY_BARS = 5
"""More names than this, or longer ones, lie on their side."""
LONG_NAME = 12
FEW_BARS = 4
"""Fewer than this are drawn as narrow as if there were so many."""
FEW_POWERS = 300.0
"""An axis of powers that spans less has marks between them."""
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reelway",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial", "sans-serif"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), TEXT
    ),
}


def is_available() -> bool:
    """Whether matplotlib is there; it comes with the extra `bench`."""
    return importlib.util.find_spec("matplotlib") is not None


def draw_all(plots: Iterable[Plot], folder: Path) -> set[str]:
    """Draws every plot into the folder and removes what is not drawn any more. Returns the names of those drawn."""
    wanted = {plot.name: plot for plot in plots} if is_available() else {}
    if wanted:
        folder.mkdir(parents=True, exist_ok=True)
    for plot in wanted.values():
        draw(plot, folder / f"{plot.name}.svg")
    for stale in folder.glob("*.svg"):
        if stale.stem not in wanted:
            stale.unlink()
    return set(wanted)


def draw(plot: Plot, path: Path, **options: Any) -> None:
    """One picture; its ending says of what kind. Needs matplotlib."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        sideways = plot.kind == "bars" and _lies(plot)
        figure = Figure(figsize=(7.2, _height(plot, sideways=sideways)), layout="constrained")
        axes = figure.add_subplot()
        _DRAWN[plot.kind](plot, axes)
        _label(plot, axes, sideways=sideways)
        metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else None
        figure.savefig(path, transparent=True, metadata=metadata, **options)


def _names(plot: Plot) -> list[str]:
    """Of the bars, in the order in which they first appear."""
    return list(dict.fromkeys(str(x) for series in plot.series for x in series.x))


def _lies(plot: Plot) -> bool:
    names = _names(plot)
    return len(names) > MANY_BARS or any(len(name) > LONG_NAME for name in names)


def _height(plot: Plot, *, sideways: bool) -> float:
    legend = 0.2 if len(plot.series) > 1 else 0.0
    if not sideways:
        return 3.8 + legend
    return 1.2 + legend + 0.17 * len(_names(plot)) * (len(plot.series) + 0.7)


def _bars(plot: Plot, axes: Any) -> None:
    names, count = _names(plot), len(plot.series)
    sideways = _lies(plot)
    share = 0.8 / count
    for number, series in enumerate(plot.series):
        places = [names.index(str(x)) + (number - (count - 1) / 2) * share for x in series.x]
        colours = [_colour(str(x) if count == 1 else series.name, number) for x in series.x]
        bars = axes.barh if sideways else axes.bar
        bars(places, series.y, share * 0.92, color=colours, label=series.name)
        if series.low != series.high:
            ends = (series.y, places) if sideways else (places, series.y)
            reach = {"xerr" if sideways else "yerr": _reach(series)}
            axes.errorbar(*ends, **reach, fmt="none", ecolor=TEXT, elinewidth=1, capsize=2)
    if sideways:
        axes.set_yticks(range(len(names)), names)
        for label in axes.get_yticklabels():
            label.set_fontweight("bold" if _is_ours(label.get_text()) else "normal")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
    else:
        axes.set_xticks(range(len(names)), names)
        middle, half = (len(names) - 1) / 2, max(len(names), FEW_BARS) / 2
        axes.set_xlim(middle - half, middle + half)
        axes.grid(visible=False, axis="x")


def _lines(plot: Plot, axes: Any) -> None:
    _curves(plot, axes, lambda series: [float(x) for x in series.x])


def _percentiles(plot: Plot, axes: Any) -> None:
    seen = sorted({float(x) for series in plot.series for x in series.x})
    beyond = max((_towards_hundred(x) for x in seen if x < 100), default=1.0) + 0.4

    def place(percent: float) -> float:
        return _towards_hundred(percent) if percent < 100 else beyond

    _curves(plot, axes, lambda series: [place(float(x)) for x in series.x])
    last = max((x for x in seen if x < 100), default=0.0)
    ticks = [x for x in (0.0, 50.0, 90.0, 95.0, 99.0, 99.9, 99.99) if seen[0] <= x <= last]
    ticks += [100.0] if seen[-1] == 100 else []
    axes.set_xticks([place(x) for x in ticks], ["max" if x == 100 else f"{x:g}" for x in ticks])


def _towards_hundred(percent: float) -> float:
    """Each nine takes as much room as the one before."""
    return -math.log10(1 - percent / 100)


def _curves(plot: Plot, axes: Any, places: Any) -> None:
    for number, series in enumerate(plot.series):
        colour, ours = _colour(series.name, number), _is_ours(series.name)
        x = places(series)
        axes.plot(
            x,
            series.y,
            DASHES[number // len(COLOURS) % len(DASHES)],
            color=colour,
            label=series.name,
            marker="o",
            markersize=4 if ours else 3,
            linewidth=2.4 if ours else 1.4,
            zorder=3 if ours else 2,
        )
        if series.low:
            axes.fill_between(x, series.low, series.high, color=colour, alpha=0.15, linewidth=0)


_DRAWN = {"bars": _bars, "lines": _lines, "percentiles": _percentiles}


def _label(plot: Plot, axes: Any, *, sideways: bool) -> None:
    values = axes.xaxis if sideways else axes.yaxis
    if plot.log_x and plot.kind == "lines":
        axes.set_xscale("log")
    if plot.log_y:
        (axes.set_xscale if sideways else axes.set_yscale)("log")
    else:
        _, end = values.get_view_interval()
        (axes.set_xlim if sideways else axes.set_ylim)(0, max(end, 1.08 * (plot.limit or 0.0)))
    if plot.limit is not None:
        (axes.axvline if sideways else axes.axhline)(plot.limit, color=TEXT, linestyle="--", linewidth=1.2, zorder=1)
    axes.set_title(plot.title, loc="left")
    value_label = plot.y_label if plot.limit is None else f"{plot.y_label} (dashed: {plot.limit:g} wanted)"
    axes.set_xlabel(value_label if sideways else plot.x_label)
    axes.set_ylabel(plot.x_label if sideways else value_label)
    _write_plainly(values, log=plot.log_y)
    if plot.kind == "lines":
        _write_plainly(axes.xaxis, log=plot.log_x)
    if len(plot.series) > 1:
        longest = max(len(series.name) for series in plot.series)
        axes.figure.legend(loc="outside lower center", ncols=max(1, min(len(plot.series), 6, 80 // (longest + 6))))


def _write_plainly(axis: Any, *, log: bool) -> None:
    """Numbers as people write them, on an axis of powers too."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}".replace(",", "\N{NO-BREAK SPACE}")))
    if log:
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < FEW_POWERS else (1.0,)))
        axis.set_minor_formatter(NullFormatter())


def _reach(series: Series) -> list[list[float]]:
    """Below and above each bar's end."""
    below = [max(0.0, y - low) for y, low in zip(series.y, series.low, strict=True)]
    return [below, [max(0.0, high - y) for y, high in zip(series.y, series.high, strict=True)]]


def _is_ours(name: str) -> bool:
    return name.lower().startswith(OURS)


def _colour(name: str, number: int) -> str:
    """Ours stands out; bars of one series that name systems share another colour."""
    return OURS_COLOUR if _is_ours(name) else COLOURS[number % len(COLOURS)]
