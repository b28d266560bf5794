"""Findings as one Markdown page: what was to be shown, the systems, then a section for each scenario."""

from collections.abc import Collection, Iterable

from bench import plots
from bench.findings import Figure, Finding, Row, Table
from bench.machine import Machine
from bench.page import write_section
from bench.record import Place, Record
from bench.systems.guarantees import TITLES
from bench.systems.guarantees import table as guarantees
from bench.systems.system import System, load

SPACE = "\N{NO-BREAK SPACE}"
"""Between groups of digits: a number stays on one line."""
NOTHING = "–"
ELSEWHERE = {"transitions": "operations.md"}
"""Scenarios whose tables have a place on another page beside this one, between two comments."""
NO_PICTURES = "Pictures are left out: they are drawn by matplotlib, which `pip install 'reelway[bench]'` brings."
QUICK = "**This was a quick run: the smallest sizes, once. It shows that the bench works; its figures mean nothing.**"


def write(records: Iterable[Record], place: Place) -> None:
    """Draws the pictures and writes the page."""
    made = list(records)
    drawn = plots.draw_all((plot for each in made for plot in each.finding.plots), place.pictures)
    elsewhere = set()
    for each in made:
        name = each.finding.scenario
        other = place.page.with_name(ELSEWHERE.get(name, place.page.name))
        if other != place.page and other.exists():
            write_section(other, *marks(name), inserted(each))
            elsewhere.add(name)
    place.page.parent.mkdir(parents=True, exist_ok=True)
    place.page.write_text(page(made, drawn, place.link, elsewhere), "utf-8")


def marks(name: str) -> tuple[str, str]:
    """The comments on another page between which a scenario's tables are."""
    return f"<!-- {name}: written by python -m bench {name} --record -->", f"<!-- /{name} -->"


def inserted(record: Record) -> str:
    """What another page shows between the marks."""
    tables = (_rows(table) for table in record.finding.tables)
    return "\n\n".join([f"{_facts([record])} {_run(record)}", *tables]) + "\n"


def page(
    records: Iterable[Record],
    pictures: Collection[str] = (),
    link: str = "",
    elsewhere: Collection[str] = (),
    *,
    plain: bool = False,
) -> str:
    """The whole page.

    `pictures`: names of the plots that were drawn, in the folder `link`; `plain`: none are wanted. `elsewhere`:
    scenarios whose tables are on another page.
    """
    made = list(records)
    parts = [_front(made)]
    if any(each.quick for each in made):
        parts.append(QUICK)
    if not plain and not pictures and any(each.finding.plots for each in made):
        parts.append(NO_PICTURES)
    parts += [_checks(each.finding for each in made), _systems(made)]
    parts += [section(each, pictures, link, elsewhere) for each in made]
    return "\n\n".join(part for part in parts if part) + "\n"


def section(record: Record, pictures: Collection[str], link: str, elsewhere: Collection[str] = ()) -> str:
    """One scenario."""
    finding = record.finding
    parts = [f"## {finding.title}", finding.how.strip()]
    if finding.scenario in elsewhere:
        parts.append(f"The table is in [{ELSEWHERE[finding.scenario]}]({ELSEWHERE[finding.scenario]}).")
    else:
        parts += [_table(table) for table in finding.tables]
    parts += [f"![{plot.title}]({link}/{plot.name}.svg)" for plot in finding.plots if plot.name in pictures]
    parts += [finding.says.strip(), _run(record)]
    return "\n\n".join(part for part in parts if part)


def number(value: float) -> str:
    """At least three digits that count, all digits of what is whole; thousands apart."""
    if abs(value) >= 99.95 or value == round(value):
        return f"{round(value):,}".replace(",", SPACE)
    if abs(value) >= 9.995:
        return f"{value:.1f}"
    if abs(value) >= 0.9995:
        return f"{value:.2f}"
    return f"{value:.3f}" if abs(value) >= 0.00995 else f"{value:.2g}"


def cell(figure: Figure, *, with_unit: bool = False) -> str:
    """The median, its smallest and largest round where they differ, and what is to be said about it."""
    if not figure.values:
        return figure.note or NOTHING
    low, high = map(number, figure.spread)
    said = number(figure.median)
    if with_unit and figure.unit:
        said += f"{SPACE}{figure.unit}"
    if low != high:
        said += f" ({low}–{high})"
    return f"{said}; {figure.note}" if figure.note else said


def _table(table: Table) -> str:
    return f"### {table.title}\n\n{_rows(table)}"


def _rows(table: Table) -> str:
    units = [_unit(table, number) for number in range(len(table.columns))]
    heads = [*table.labels, *(_head(name, unit) for name, unit in zip(table.columns, units, strict=True))]
    align = ["---"] * len(table.labels) + ["---:"] * len(table.columns)
    lines = [_line(heads), f"|{'|'.join(align)}|"]
    lines += [_line([*row.labels, *_cells(row, units)]) for row in table.rows]
    return "\n".join(lines)


def _cells(row: Row, units: list[str | None]) -> list[str]:
    return [cell(figure, with_unit=unit is None) for figure, unit in zip(row.figures, units, strict=True)]


def _unit(table: Table, column: int) -> str | None:
    """The one of all figures of a column; None where they differ."""
    units = {row.figures[column].unit for row in table.rows if row.figures[column].values}
    return units.pop() if len(units) == 1 else None if units else ""


def _head(name: str, unit: str | None) -> str:
    return f"{name}, {unit}" if unit and unit not in name else name


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |"


def _checks(findings: Iterable[Finding]) -> str:
    rows = [(finding.scenario, check) for finding in findings for check in finding.checks]
    if not rows:
        return ""
    missed = sum(not check.met for _, check in rows)
    said = f"{len(rows) - missed} of {len(rows)} were met."
    if not missed:
        said = f"All {len(rows)} were met." if len(rows) > 1 else "It was met."
    lines = ["## What was to be shown", "", said, "", "| scenario | what | wanted | found | |", "|---|---|---|---|---|"]
    lines += [
        _line([scenario, check.what, check.wanted, check.found, "met" if check.met else "**not met**"])
        for scenario, check in rows
    ]
    return "\n".join(lines)


def _systems(records: Iterable[Record]) -> str:
    """What was compared and what it promises, of the systems that the records name; nothing where ours was alone."""
    versions: dict[str, dict[str, str]] = {}
    for each in records:
        versions |= each.versions
    compared = [load(name) for name in TITLES if name in versions]
    if len(compared) < 2:
        return ""
    parts = [
        "## The systems",
        (
            "Each has an environment of its own, its documented good settings, and one worker process unless a table"
            " says otherwise. What they guarantee differs, and so does the work that it takes:"
        ),
        guarantees(compared).strip(),
        "\n".join(_system(each, versions[each.name]) for each in compared),
    ]
    return "\n\n".join(parts)


def _system(system: System, versions: dict[str, str]) -> str:
    installed = ", ".join(f"{name} {version}" for name, version in versions.items())
    said = [system.settings, *(note.rstrip(".") for note in system.notes), f"Installed: {installed}"]
    return f"- **{TITLES[system.name]}**: {'. '.join(said)}."


def _front(records: list[Record]) -> str:
    parts = [
        "# Benchmarks",
        (
            "Written by `python -m bench --record`, which measures everything on this page again; `python -m bench"
            " install` makes the environments of the other systems first. `python -m bench report` writes the page from"
            " the recorded figures, and `reelway bench` shows the same on any machine."
        ),
        (
            "A cell is the median of the rounds, behind it the smallest and the largest round. Systems take turns in"
            " every round. The files in [`bench/results`](../bench/results) have every round."
        ),
    ]
    if records:
        parts.append(_facts(records))
    return "\n\n".join(parts)


def _facts(records: list[Record]) -> str:
    machines = list(dict.fromkeys(_machine(each.machine) for each in records))
    versions = sorted({each.redis for each in records})
    days = sorted({each.date for each in records})
    day = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"Measured on {'; '.join(machines)}; Redis {', '.join(versions)}; {day}."


def _machine(machine: Machine) -> str:
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, {machine.system},"
        f" Python {machine.python}"
    )


def _run(record: Record) -> str:
    parts = [
        f"`reelway bench {record.finding.scenario}`: {record.date}, rounds asked for: {record.rounds}",
        f"seed {record.seed}",
        f"load at start {record.machine.load_at_start:g}",
    ]
    if record.seconds is not None:
        parts.append(f"{number(record.seconds)} s")
    if record.steal_percent is not None:
        parts.append(f"steal {record.steal_percent:g} %")
    if record.other_percent is not None:
        parts.append(f"other programs {record.other_percent:g} % of a core")
    return f"{', '.join(parts)}."
