"""What a scenario found: the data of the report. No scenario writes Markdown or draws: `report` and `plots` do."""

import statistics
from collections.abc import Iterable
from typing import Literal

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One quantity, measured once in every round."""

    unit: str
    values: tuple[float, ...]
    """In the order of the rounds. Empty: nothing was measured, and `note` says why."""
    note: str = ""

    @staticmethod
    def of(unit: str, values: Iterable[float], note: str = "") -> "Figure":
        """One value a round, however they come."""
        return Figure(unit, tuple(values), note)

    @property
    def median(self) -> float:
        """Of the rounds. Raises StatisticsError where nothing was measured."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """Smallest and largest round."""
        return min(self.values), max(self.values)


class Row(msgspec.Struct, frozen=True):
    """One line of a table: what was measured, then its figures in the order of the table's columns."""

    labels: tuple[str, ...]
    figures: tuple[Figure, ...]


class Table(msgspec.Struct, frozen=True):
    """Figures side by side."""

    title: str
    labels: tuple[str, ...]
    """Names of the columns of labels."""
    columns: tuple[str, ...]
    """Names of the columns of figures; the unit is each figure's own."""
    rows: tuple[Row, ...]


class Series(msgspec.Struct, frozen=True):
    """One line, or one group of bars. `low` and `high` bound each point where they are given."""

    name: str
    x: tuple[float | str, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Plot(msgspec.Struct, frozen=True):
    """One picture."""

    name: str
    """Of the file, without its ending; unique in the whole report."""
    title: str
    kind: Literal["bars", "lines", "percentiles"]
    """bars: x are names; lines: x are numbers; percentiles: x are percents, drawn towards 100."""
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False
    limit: float | None = None
    """A promise, drawn as a dashed line."""


class Check(msgspec.Struct, frozen=True):
    """One thing that this run was to show, and whether it did."""

    what: str
    wanted: str
    found: str
    met: bool


class Finding(msgspec.Struct, frozen=True):
    """What one scenario found in one run."""

    scenario: str
    title: str
    how: str
    """Method and settings, as Markdown paragraphs."""
    tables: tuple[Table, ...]
    plots: tuple[Plot, ...] = ()
    checks: tuple[Check, ...] = ()
    says: str = ""
    """What follows from the figures, as Markdown paragraphs; made from the figures, so that it is true of this run."""
